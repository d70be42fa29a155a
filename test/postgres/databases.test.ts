/** Each test has a schema of its own, which goes with it. */
import { Client } from "pg";
import { expect, test } from "vitest";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";
import { freshUrl, schemaOf, sharedServerUrl } from "./databases.ts";

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row & object>(sql)).rows;
  } finally {
    await client.end();
  }
}

const schemas = async () =>
  (await query<{ nspname: string }>(sharedServerUrl(), "SELECT nspname FROM pg_namespace")).map(
    ({ nspname }) => nspname,
  );

const made: string[] = [];

test("a fresh URL leads to the shared server, and names a schema that nobody has", async () => {
  const urls = [await freshUrl(), await freshUrl()];
  const names = urls.map(schemaOf);
  expect(new Set(names).size).toBe(2);
  for (const [index, url] of urls.entries()) {
    expect(schemaOf(url)).toMatch(/^azoth_test_\w+$/);
    expect(await schemas()).not.toContain(names[index]);
    await query(url, `CREATE SCHEMA ${names[index]}; CREATE TABLE ${names[index]}.t (a int)`);
    made.push(schemaOf(url));
  }
  expect(await schemas()).toEqual(expect.arrayContaining(made));
});

test("the schemas went with their test", async () => {
  expect(made).toHaveLength(2);
  expect((await schemas()).filter((name) => made.includes(name))).toEqual([]);
});

test("these tests run on PostgreSQL", async () => {
  expect(engineUnderTest).toBe("postgres");
  expect(schemaOf(await newLocation())).toContain("azoth_test_");
});
