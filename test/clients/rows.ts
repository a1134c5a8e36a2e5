/** A command line as a user types it, and what is essential of what it says. */
import { run } from '#test/cluster/cluster.ts';

/** What does not work yet, and the issue that it comes with. One that works is a failure: the row has to lose the word. */
export interface Expected {
  readonly issue: number;
  readonly why: string;
}

export interface Row {
  /** A script of sh, run in a scratch directory that the rows of one suite share; it is the row's name, too. */
  readonly sh: string;
  /** What stdout and stderr together, without the empty lines at the end, have to match; all of them. */
  readonly says?: RegExp | readonly RegExp[];
  /** What they must not match. */
  readonly silentOn?: RegExp;
  /** Exit code; 0 if absent. */
  readonly code?: number;
  /** Minor versions of the client that know the command, both included; all if absent. */
  readonly since?: number;
  readonly until?: number;
  readonly expected?: Expected;
}

export interface Shell {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What hangs is ended and named; the slowest rows wait for a rollout on a busy machine. */
const rowSecondsMax = 90;
const quotedMax = 1500;

/** The rows that a client of this minor version can run. */
export function rowsFor(rows: readonly Row[], minor: number): readonly Row[] {
  return rows.filter(({ since = 0, until = Infinity }) => since <= minor && minor <= until);
}

/** What is wrong with what a row said, or undefined. Pure. */
export function rowProblem(
  row: Row,
  result: { readonly code: number; readonly text: string },
): string | undefined {
  const quoted = (): string => `\n${result.text.slice(-quotedMax)}`;
  if (result.code !== (row.code ?? 0)) return `exit code ${result.code}, not ${row.code ?? 0}${quoted()}`;
  const wanted = row.says === undefined ? [] : row.says instanceof RegExp ? [row.says] : row.says;
  const missing = wanted.find((pattern) => !pattern.test(result.text));
  if (missing !== undefined) return `does not say ${missing}${quoted()}`;
  if (row.silentOn?.test(result.text) === true) return `says ${row.silentOn}${quoted()}`;
  return undefined;
}

/** Runs a row to its end; gives what is wrong. */
export async function runRow(row: Row, shell: Shell): Promise<string | undefined> {
  const script = `exec 2>&1; cd '${shell.directory}'; ${row.sh}`;
  const { code, stdout, stderr } = await run(
    ['timeout', '--kill-after=5', String(rowSecondsMax), 'bash', '-c', script],
    { environment: shell.environment, timeoutMs: (rowSecondsMax + 10) * 1000 },
  );
  return rowProblem(row, { code, text: (stdout + stderr).trimEnd() });
}
