/** Scripts that complete the command line in a shell, made from the program itself. */
import type { Argument, Command, Option } from "commander";

/** What may follow the words of a command. */
interface Place {
  /** "tasks list". */
  readonly path: string;
  /** With a word of what each is. */
  readonly words: readonly (readonly [word: string, text: string])[];
  /** Options that take a value: the word after them is not a command. */
  readonly takesValue: readonly string[];
  /** Options whose value is one of some words. */
  readonly choices: readonly (readonly [flag: string, words: readonly string[]])[];
}

export const shells = ["bash", "zsh"] as const;

function placesOf(program: Command): Place[] {
  const places: Place[] = [];
  const shared = program.options;
  const visit = (command: Command, path: readonly string[]) => {
    const options: readonly Option[] = path.length === 0 ? shared : [...command.options, ...shared];
    const flags = options.flatMap(({ short, long }) =>
      [short, long].filter((flag) => flag !== undefined && flag !== null),
    );
    const valued = options.filter((option) => option.required || option.optional);
    places.push({
      path: path.join(" "),
      words: [
        ...command.commands.map((child) => [child.name(), child.summary() || child.description()] as const),
        ...command.registeredArguments.flatMap(({ argChoices }: Argument) =>
          (argChoices ?? []).map((word) => [word, ""] as const),
        ),
        ...options
          .filter(({ long }) => long !== undefined && long !== null)
          .map(({ long, description }) => [long ?? "", description] as const),
        ["--help", "show help"] as const,
      ],
      takesValue: flags.filter((flag) => valued.some(({ short, long }) => flag === short || flag === long)),
      choices: valued.flatMap(({ long, argChoices }) =>
        argChoices === undefined ? [] : [[long ?? "", argChoices] as const],
      ),
    });
    for (const child of command.commands) visit(child, [...path, child.name()]);
  };
  visit(program, []);
  return places;
}

export function completionScript(program: Command, shell: (typeof shells)[number]): string {
  return shell === "bash" ? bashScript(program) : zshScript(program);
}

/** Walks the words before the cursor to the command that they name; shared by both shells' syntax. */
function walk(places: readonly Place[], words: string, from: string): string {
  const paths = places.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`);
  const valued = [...new Set(places.flatMap(({ takesValue }) => takesValue))];
  return `  local place="" word skip=0 index
  for ((index = ${from}; index < current; index++)); do
    word="\${${words}[index]}"
    if ((skip)); then skip=0; continue; fi
    case "$word" in
      ${valued.join("|")}) skip=1; continue ;;
      -*) continue ;;
    esac
    case "\${place:+$place }$word" in
      ${paths.join("|")}) place="\${place:+$place }$word" ;;
    esac
  done`;
}

function bashScript(program: Command): string {
  const name = program.name();
  const places = placesOf(program);
  const cases = places.map(({ path, words }) => `    "${path}") words="${words.map(([word]) => word).join(" ")}" ;;`);
  const choices = choicesOf(places).map(([flag, words]) => `    ${flag}) words="${words.join(" ")}" ;;`);
  return `# ${name}: completion for bash. Put this into ~/.bashrc:
#   source <(${name} completion bash)
_azoth_scheduler() {
  local current=$COMP_CWORD words=""
${walk(places, "COMP_WORDS", "1")}
  case "$place" in
${cases.join("\n")}
  esac
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in
    --store|-s|--handlers) COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")); return ;;
${choices.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _azoth_scheduler ${name}
`;
}

function zshScript(program: Command): string {
  const name = program.name();
  const places = placesOf(program);
  const cases = places.map(({ path, words }) => {
    const described = words.map(([word, text]) =>
      text === "" ? quoted(word) : quoted(`${word}:${text.replaceAll(":", "\\:")}`),
    );
    return `    "${path}") words=(${described.join(" ")}) ;;`;
  });
  const choices = choicesOf(places).map(([flag, words]) => `    ${flag}) words=(${words.join(" ")}) ;;`);
  return `#compdef ${name}
# ${name}: completion for zsh. Put this into ~/.zshrc, after compinit:
#   source <(${name} completion zsh)
_azoth_scheduler() {
  local current=$CURRENT
  local -a words_before=("\${words[@]}")
${walk(places, "words_before", "2")}
  local -a words
  case "$place" in
${cases.join("\n")}
  esac
  case "\${words_before[current - 1]}" in
    --store|-s|--handlers) _files; return ;;
${choices.join("\n")}
  esac
  _describe '${name}' words || _files
}
compdef _azoth_scheduler ${name}
`;
}

function choicesOf(places: readonly Place[]): (readonly [flag: string, words: readonly string[]])[] {
  return [...new Map(places.flatMap(({ choices }) => choices))];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
