/** Paths of a command line that are empty, which would be the working directory: mostly a variable of a script that is not set. */
import type { Command, Option } from 'commander';
import { PodwrightError } from '#base/errors.ts';

/** What options and arguments that are paths call their value, as help shows it: `--data <dir>`, `<archive...>`. */
const pathValue = /[<[](file|dir|path|archive|socket)(\.\.\.)?[>\]]$/;

/** `subject`: the option, or the argument. */
export function emptyPathProblem(subject: string): string {
  return `${subject}: the path is empty; name a file or directory`;
}

/** The options that are given an empty path. Pure. */
export function emptyPaths(
  options: readonly Option[],
  values: Readonly<Record<string, unknown>>,
): readonly string[] {
  return options
    .filter((option) => pathValue.test(option.flags) && [values[option.attributeName()]].flat().includes(''))
    .map((option) => option.long ?? option.flags);
}

/** Asked before any command begins. @throws E_USAGE */
export function refuseEmptyPaths(command: Command): void {
  const options = emptyPaths(command.options, command.opts());
  const operands = command.registeredArguments.flatMap((argument, index) =>
    ['file', 'archive'].includes(argument.name()) && [command.processedArgs[index]].flat().includes('')
      ? [argument.name()]
      : [],
  );
  const [subject] = [...options, ...operands];
  if (subject !== undefined) throw new PodwrightError('E_USAGE', emptyPathProblem(subject));
}
