/** `completion`: what lets a shell complete commands and options. */
import { Argument, type Command } from "commander";
import { action } from "../action.ts";
import { completionScript, shells } from "../completion.ts";
import type { Context } from "../context.ts";

export function addCompletion(program: Command, context: Context): void {
  program
    .command("completion")
    .summary("print what lets a shell complete commands")
    .description(
      "Print the completion script of a shell. For bash, put `source <(azoth-scheduler completion bash)` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc.",
    )
    .addArgument(new Argument("<shell>", "which shell").choices(shells))
    .action(
      action<object, readonly [shell: (typeof shells)[number]]>(context, async ({ output, args: [shell] }) => {
        const script = completionScript(program, shell);
        await output.answer({ shell, script }, script.trimEnd());
      }),
    );
}
