/** Opens a system on a fresh store. */
import { Azoth } from "./azoth.ts";
import { BareLoop } from "./bare-loop.ts";
import type { OpenSystem, System } from "./system.ts";

export function openSystem(directory: string, system: System): Promise<OpenSystem> {
  return system.kind === "azoth" ? Azoth.open(directory, system) : BareLoop.open(directory, system);
}
