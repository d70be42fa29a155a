import { BaseSequencer, type TestSpecification } from "vitest/node";
import { defineConfig } from "vitest/config";
import project from "../../vitest.config.ts";

const tests: readonly string[] = JSON.parse(process.env.MUTATION_TESTS ?? "[]") as string[];

/** In the order in which they are listed: the first failure ends the judgement of a mutant, so quick ones go first. */
class ListedOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => tests.findIndex((test) => moduleId.endsWith(test));
    return files.toSorted((left, right) => place(left) - place(right));
  }
}

export default defineConfig({
  resolve: project.resolve ?? {},
  test: {
    include: [...tests],
    provide: { engineUnderTest: "sqlite" },
    setupFiles: ["tools/mutation/fixed-chance.ts"],
    sequence: { sequencer: ListedOrder },
    testTimeout: 30_000,
  },
});
