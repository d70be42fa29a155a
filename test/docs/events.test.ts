/** docs/events.md has a row for every event type, with exactly the fields of its TypeScript type. */
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { systemEventTypes } from "../../src/tasks/task-event.ts";
import { readPage, root, tableRows } from "./markdown.ts";

/** The fields by event type of an interface such as SystemEventData, "?" after optional ones. */
function fieldsOf(file: string, name: string): Record<string, string[]> {
  const path = join(root, file);
  const program = ts.createProgram([path], { strict: true, noEmit: true, module: ts.ModuleKind.NodeNext });
  const checker = program.getTypeChecker();
  const declaration = program
    .getSourceFile(path)
    ?.statements.find((statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === name);
  if (declaration === undefined) throw new Error(`${file} declares no interface ${name}.`);
  const events = checker.getTypeAtLocation(declaration).getProperties();
  return Object.fromEntries(
    events.map((event) => {
      const fields = checker.getTypeOfSymbol(event).getProperties();
      return [event.name, fields.map((field) => field.name + (field.flags & ts.SymbolFlags.Optional ? "?" : ""))];
    }),
  );
}

function describedFields(heading: string): Record<string, string[]> {
  const [, section = ""] = readPage("docs/events.md").split(`\n## ${heading}\n`);
  const [table = ""] = section.split("\n## ");
  const rows = tableRows(table).filter(([event]) => event !== "event");
  return Object.fromEntries(
    rows.map(([event = "", fields = ""]) => [event.replaceAll("`", ""), fields.replaceAll("`", "").split(", ")]),
  );
}

test("events of tasks", () => {
  expect(sorted(describedFields("Of tasks"))).toEqual(sorted(fieldsOf("src/store/log.ts", "LifecyclePayloads")));
});

test("events of schedulers and event handlers", () => {
  const described = describedFields("Of schedulers and event handlers");
  expect(sorted(described)).toEqual(sorted(fieldsOf("src/store/system-events.ts", "SystemEventData")));
  expect(Object.keys(described).toSorted()).toEqual([...systemEventTypes].toSorted());
});

function sorted(fields: Record<string, string[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(fields).map(([event, names]) => [event, names.toSorted()]));
}
