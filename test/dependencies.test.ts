/** What comes along with the package, and how it is published: docs/security.md promises both. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly integrity?: string;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8")) as unknown;
const { packages } = read("package-lock.json") as { readonly packages: Readonly<Record<string, Locked>> };
const locked = Object.entries(packages).filter(([place]) => place !== "");

test("users get eight packages at most", () => {
  const names = locked.filter(([, { dev }]) => dev !== true).map(([place]) => place.replace("node_modules/", ""));
  expect(names).toEqual([
    "@photostructure/sqlite",
    "@standard-schema/spec",
    "commander",
    "jiti",
    "node-addon-api",
    "node-gyp-build",
    "picocolors",
    "zod",
  ]);
});

test("every package is pinned by its hash", () => {
  expect(locked.length).toBeGreaterThan(0);
  expect(locked.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([place]) => place)).toEqual([]);
});

test("none runs a script on installation, and what is published says what it was built from", () => {
  const manifest = read("package.json") as {
    readonly allowScripts: Readonly<Record<string, boolean>>;
    readonly publishConfig: object;
  };
  expect(Object.values(manifest.allowScripts)).not.toContain(true);
  expect(manifest.publishConfig).toEqual({ access: "public", provenance: true });
});
