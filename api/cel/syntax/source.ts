/** What is wrong with an expression, and where: an offset in UTF-16 units. */
export interface Issue {
  readonly offset: number;
  readonly message: string;
}

/** All issues as cel-go writes them: place, message, the line, and a mark below it; in the order of their places. */
export function describeIssues(text: string, issues: readonly Issue[]): string {
  return issues
    .toSorted((a, b) => a.offset - b.offset)
    .map((issue) => describeIssue(text, issue))
    .join('\n');
}

function describeIssue(text: string, { offset, message }: Issue): string {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const lineEnd = text.indexOf('\n', offset);
  const line = text.slice(lineStart, lineEnd < 0 ? text.length : lineEnd).replaceAll('\t', ' ');
  const row = before.split('\n').length;
  const column = [...before.slice(lineStart)].length;
  return `ERROR: <input>:${row}:${column + 1}: ${message}\n | ${line}\n | ${'.'.repeat(column)}^`;
}
