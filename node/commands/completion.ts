/**
 * `grapevine completion bash|zsh|fish`: a script that teaches a shell the commands, options and choices. It is made of the
 * same tree of commands that reads the arguments, so that it cannot say anything else.
 */
import { Argument, Command, type Option } from 'commander';
import { globalOptions, printResult } from './cli.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const EXAMPLES = `
Examples:
  $ source <(grapevine completion bash)                                         in this shell, or from ~/.bashrc
  $ grapevine completion zsh > "\${fpath[1]}/_grapevine"                         then start a new zsh
  $ grapevine completion fish > ~/.config/fish/completions/grapevine.fish

They complete the word "grapevine": if it is no command of your shell yet, make it one with
  $ alias grapevine='npx grapevine'`;

/** `load` makes the whole tree: all groups of commands. */
export function completionCommand(load: () => Promise<Command>): Command {
  return new Command('completion')
    .description('Print a script by which your shell completes commands, options and their values.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', EXAMPLES)
    .action(async (shell: Shell, _parsed: unknown, self: Command) => {
      const script = completionScript(await load(), shell);
      printResult(globalOptions(self.optsWithGlobals()), { shell, script }, script.trimEnd());
    });
}

/** What can be said at one place of the tree. */
export interface Place {
  /** The words that lead there, without the program's name: `devnet up`. */
  readonly path: string;
  readonly commands: readonly Word[];
  readonly options: readonly OptionWords[];
  /** Values of its arguments, where only some are allowed. */
  readonly values: readonly string[];
}
interface Word {
  readonly word: string;
  readonly description: string;
}
interface OptionWords {
  /** `-q` and `--quiet`. */
  readonly words: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** All places, from the program itself down; the program's options can be given at each of them. */
export function placesOf(
  program: Command,
  words: readonly string[] = [],
  inherited: readonly OptionWords[] = [],
): readonly Place[] {
  const help = program.createHelp();
  const own = help.visibleOptions(program).map(optionWords);
  const known = new Set(own.flatMap((option) => option.words));
  const options = [...own, ...inherited.filter((option) => !option.words.some((word) => known.has(word)))];
  const commands = help.visibleCommands(program);
  const place: Place = {
    path: words.join(' '),
    commands: commands.map((command) => ({ word: command.name(), description: help.subcommandDescription(command) })),
    options,
    values: program.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
  };
  const below = program.commands.flatMap((child) =>
    placesOf(child, [...words, child.name()], words.length === 0 ? own : inherited),
  );
  return [place, ...below];
}

function optionWords(option: Option): OptionWords {
  return {
    words: [option.short, option.long].filter((word) => word !== undefined),
    description: option.description,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
  };
}

/** The script for one shell. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program);
  switch (shell) {
    case 'bash':
      return bashScript(places);
    case 'zsh':
      return zshScript(places);
    case 'fish':
      return fishScript(places);
  }
}

/** In single quotes: nothing in it means anything to the shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** In fish's single quotes. */
function quoteFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** One line, for a list. */
function brief(description: string): string {
  return description.replace(/\s+/g, ' ').trim();
}

/** `devnet up`: the word `up` at the place `devnet`; of the program itself ` devnet`. */
const steps = (places: readonly Place[]) =>
  places.flatMap(({ path, commands }) => commands.map(({ word }) => `${path} ${word}`));

/** Options behind which a value stands, as words at a place. */
const valued = (places: readonly Place[]) =>
  places.flatMap(({ path, options }) =>
    options.filter(({ takesValue }) => takesValue).flatMap(({ words }) => words.map((word) => `${path} ${word}`)),
  );

/**
 * Shell code, the same in bash and zsh, that walks over the words before the cursor: `at` becomes the place, `expects` the
 * option whose value is being typed.
 */
function walk(places: readonly Place[], indent: string): string {
  return [
    'if [[ -n $expects ]]; then expects=; continue; fi',
    'case "$at $word" in',
    `  ${steps(places).map(quote).join('|')}) at="\${at:+$at }$word" ;;`,
    `  ${valued(places).map(quote).join('|')}) expects=$word ;;`,
    'esac',
  ]
    .map((line) => indent + line)
    .join('\n');
}

function bashScript(places: readonly Place[]): string {
  const values = places.flatMap(({ path, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ words, choices }) => {
        const patterns = words.map((word) => quote(`${path} ${word}`)).join('|');
        return `      ${patterns}) words=${quote(choices.join(' '))} ;;`;
      }),
  );
  const words = places.map(({ path, commands, options, values: given }) => {
    const all = [...commands.map(({ word }) => word), ...given, ...options.flatMap((option) => option.words)];
    return `      ${quote(path)}) words=${quote(all.join(' '))} ;;`;
  });
  return `# Completion of grapevine for bash. Made by "grapevine completion bash".
_grapevine() {
  local cur=\${COMP_WORDS[COMP_CWORD]} at='' expects='' word words='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
${walk(places, '    ')}
  done
  if [[ -n $expects ]]; then
    case "$at $expects" in
${values.join('\n')}
    esac
  else
    case "$at" in
${words.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _grapevine grapevine
`;
}

function zshScript(places: readonly Place[]): string {
  const described = (word: string, description: string) =>
    quote(`${word.replaceAll(':', '\\:')}:${brief(description)}`);
  const values = places.flatMap(({ path, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ words, choices }) => {
        const patterns = words.map((word) => quote(`${path} ${word}`)).join('|');
        return `      ${patterns}) compadd -- ${choices.map(quote).join(' ')}; return ;;`;
      }),
  );
  const entries = places.map(({ path, commands, options, values: given }) => {
    const found = [
      ...commands.map(({ word, description }) => described(word, description)),
      ...given.map((value) => described(value, '')),
    ];
    const flags = options.flatMap(({ words, description }) => words.map((word) => described(word, description)));
    return `    ${quote(path)}) commands=(${found.join(' ')}) options=(${flags.join(' ')}) ;;`;
  });
  return `#compdef grapevine
# Completion of grapevine for zsh. Made by "grapevine completion zsh".
_grapevine() {
  local at='' expects='' word i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
${walk(places, '    ')}
  done
  if [[ -n $expects ]]; then
    case "$at $expects" in
${values.join('\n')}
    esac
    _files
    return
  fi
  case "$at" in
${entries.join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe option options
  elif (( \${#commands} )); then
    _describe command commands
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _grapevine ]]; then _grapevine "$@"; else compdef _grapevine grapevine; fi
`;
}

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, commands, options, values }) => {
    const start = `complete -c grapevine -n ${quoteFish(`__grapevine_at ${quoteFish(path)}`)}`;
    const words = [...commands, ...values.map((word) => ({ word, description: '' }))];
    return [
      ...words.map(({ word, description }) => `${start} -f -a ${quoteFish(word)} -d ${quoteFish(brief(description))}`),
      ...options.map((option) => `${start} ${fishOption(option)}`),
    ];
  });
  return `# Completion of grapevine for fish. Made by "grapevine completion fish".
function __grapevine_at
    set -l at ''
    set -l expects 0
    for word in (commandline -opc)[2..-1]
        if test $expects = 1
            set expects 0
            continue
        end
        switch "$at $word"
            case ${steps(places).map(quoteFish).join(' ')}
                set at (string trim -- "$at $word")
            case ${valued(places).map(quoteFish).join(' ')}
                set expects 1
        end
    end
    test "$at" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function fishOption({ words, description, takesValue, choices }: OptionWords): string {
  const names = words.map((word) => (word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`));
  const value = choices.length > 0 ? [`-x -a ${quoteFish(choices.join(' '))}`] : takesValue ? ['-r'] : [];
  return [...names, ...value, `-d ${quoteFish(brief(description))}`].join(' ');
}
