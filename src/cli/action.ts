/** From a command line that was understood to the function that does it. */
import type { Command } from "commander";
import type { Context } from "./context.ts";
import { Output } from "./output.ts";

/** The options that every command takes. */
export interface GlobalOptions {
  readonly store?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** What a command was asked, and what it answers with. */
export interface Call<Options = object, Arguments extends readonly unknown[] = readonly unknown[]> {
  readonly context: Context;
  readonly output: Output;
  readonly args: Arguments;
  readonly options: Options & GlobalOptions;
}

/** What a command does, in the form that commander calls. */
export function action<Options = object, Arguments extends readonly unknown[] = readonly []>(
  context: Context,
  run: (call: Call<Options, Arguments>) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalOptions>();
    const output = new Output(context, { json: options.json === true });
    await run({ context, output, options, args: command.processedArgs as unknown as Arguments });
  };
}
