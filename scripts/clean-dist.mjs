/** Removes dist, so that what is published holds nothing of files that have since been renamed or removed. */
import { rmSync } from "node:fs";

rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
