import type { Command } from "commander";

export function cliPage(
  program: Command,
  exitCodes: Readonly<Record<string, { readonly code: number; readonly meaning: string }>>,
): string;
