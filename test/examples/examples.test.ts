/** Each example runs as a process of its own and prints what the comment at its end says. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ExampleProcess } from "./run-example.ts";

const folder = new URL("../../examples/", import.meta.url);

/** The lines after `// Prints:`, without their comment signs. */
function expectedOutput(file: string): string {
  const [, comment] = readFileSync(new URL(file, folder), "utf8").split("\n// Prints:\n");
  if (comment === undefined) throw new Error(`${file} does not say what it prints.`);
  return comment.replaceAll(/^\/\/ ?/gm, "");
}

// monitor.ts never ends and has tests of its own.
const files = readdirSync(folder).filter((file) => file.endsWith(".ts") && file !== "monitor.ts");

describe.concurrent("examples", () => {
  test.each(files)("%s", async (file) => {
    const example = new ExampleProcess(file.replace(/\.ts$/, ""));
    expect(await example.ended()).toBe(0);
    expect(example.output).toBe(expectedOutput(file));
  });
});
