/**
 * The private place of a store that ends with the process: a real file, because an in-memory database could not be
 * read while it is being written.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { openError } from "./store-file.ts";

/** Places that are still there. */
const places = new Set<string>();

/** Makes a directory for one store. Whoever does not discard it leaves that to the end of the process. */
export function makeMemoryPlace(): { readonly directory: string; readonly discard: () => void } {
  let directory: string;
  try {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "azoth-memory-"));
  } catch (error) {
    throw openError(error, os.tmpdir());
  }
  // One listener for all of them.
  if (places.size === 0) process.on("exit", discardAll);
  places.add(directory);
  return { directory, discard: () => discard(directory) };
}

function discard(directory: string): void {
  places.delete(directory);
  if (places.size === 0) process.off("exit", discardAll);
  fs.rmSync(directory, { recursive: true, force: true });
}

function discardAll(): void {
  for (const directory of places) {
    try {
      fs.rmSync(directory, { recursive: true, force: true });
    } catch {
      // Some platforms keep files that are open: the system's own clearing of temporary files takes them.
    }
  }
}
