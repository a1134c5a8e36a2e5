import type { Command } from 'commander';

/** The first word that is no command where help is asked for of one: commander shows its own help then, and is content. */
export function unknownCommand(program: Command, words: readonly string[]): string | undefined {
  if (!words.some((word) => ['help', '--help', '-h'].includes(word))) return undefined;
  let at = program;
  for (const word of words) {
    if (at.commands.length === 0 || word.startsWith('-')) return undefined;
    if (word === 'help') continue; // What follows names a command of the same level.
    const next = at.commands.find((command) => command.name() === word || command.aliases().includes(word));
    if (next === undefined) return word;
    at = next;
  }
  return undefined;
}
