/** A text as one word of a POSIX shell's command line, quoted where it must be: for commands that a message tells people to run. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
