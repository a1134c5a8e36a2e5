/** `podwright completion SHELL`: a script that completes commands, options and their choices. Pure but for `runCompletion`. */
import type { Command, Option } from 'commander';

import { print } from './print.ts';

export type CompletionShell = 'bash' | 'zsh' | 'fish';

/** One command of the tree, by the words that lead to it. */
interface Place {
  /** `image import`; '' is podwright itself. */
  readonly path: string;
  readonly commands: readonly Command[];
  readonly options: readonly Option[];
}

const ofFiles = /<(?:dir|file|path|archive)/;

export function renderCompletion(program: Command, shell: CompletionShell): string {
  const places = placesOf(program, '');
  return shell === 'fish' ? renderFish(places) : renderBash(places, shell);
}

/** How to load it stands in its first lines. */
export function runCompletion(program: Command, shell: CompletionShell): void {
  print(renderCompletion(program, shell));
}

function placesOf(command: Command, path: string): readonly Place[] {
  const commands = command.createHelp().visibleCommands(command);
  const below = commands
    .filter((each) => each.name() !== 'help')
    .flatMap((each) => placesOf(each, `${path} ${each.name()}`.trim()));
  return [{ path, commands, options: command.createHelp().visibleOptions(command) }, ...below];
}

function flagsOf({ long, short }: Option): readonly string[] {
  return [long, short].flatMap((flag) => flag ?? []);
}

/** bash, and zsh by its bashcompinit: options that take a file are left to the shell (`-o default`). */
function renderBash(places: readonly Place[], shell: 'bash' | 'zsh'): string {
  const cases = places.map(({ path, commands, options }) => {
    const words = [...commands.map((each) => each.name()), ...options.flatMap(flagsOf)];
    return `    '${path}') words='${words.join(' ')}' ;;`;
  });
  const choices = places.flatMap(({ path, options }) =>
    options
      .filter(({ required, optional }) => required || optional)
      .flatMap((option) =>
        flagsOf(option).map(
          (flag) => `    '${path} '${flag}) words='${option.argChoices?.join(' ') ?? ''}' ;;`,
        ),
      ),
  );
  return [
    shell === 'bash'
      ? '# source <(podwright completion bash), or into /etc/bash_completion.d/podwright'
      : '# source <(podwright completion zsh), after compinit',
    ...(shell === 'zsh' ? ['autoload -U +X bashcompinit && bashcompinit'] : []),
    '_podwright() {',
    "  local path='' words='' word i",
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    word="${COMP_WORDS[i]}"',
    '    case " $path $word" in',
    ...places
      .filter(({ path }) => path !== '')
      .map(({ path }) => `      '${path.includes(' ') ? '' : ' '} ${path}') path='${path}' ;;`),
    '    esac',
    '  done',
    '  case "$path ${COMP_WORDS[COMP_CWORD - 1]}" in',
    ...choices,
    '    *) case "$path" in',
    ...cases,
    '    esac ;;',
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
    '}',
    'complete -o default -F _podwright podwright ./podwright',
    '',
  ].join('\n');
}

function renderFish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, commands, options }) => {
    const names = commands.map((each) => each.name()).join(' ');
    const seen = path === '' ? [] : path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`);
    const notYet = names === '' ? [] : [`not __fish_seen_subcommand_from ${names}`];
    const here = (conditions: readonly string[]): string =>
      conditions.length === 0 ? '' : ` -n '${conditions.join('; and ')}'`;
    return [
      ...commands.map(
        (each) =>
          `complete -c podwright -f${here([...seen, ...notYet])} -a ${each.name()} -d ${quoted(each.description())}`,
      ),
      ...options.map((option) => renderFishOption(option, here(seen))),
    ];
  });
  return ['# podwright completion fish | source', ...lines, ''].join('\n');
}

function renderFishOption(option: Option, condition: string): string {
  const long = option.long === undefined ? '' : ` -l ${option.long.replace(/^--/, '')}`;
  const short = option.short === undefined ? '' : ` -s ${option.short.replace(/^-/, '')}`;
  const takes = option.required || option.optional ? (ofFiles.test(option.flags) ? ' -r' : ' -x') : ' -f';
  const choices = option.argChoices === undefined ? '' : ` -a '${option.argChoices.join(' ')}'`;
  return `complete -c podwright${condition}${long}${short}${takes}${choices} -d ${quoted(option.description)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
