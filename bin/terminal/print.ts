/** Standard output of the commands. The two long-running programs log instead (log.ts says why they keep off process.stdout). */
import { describeError, errnoOf } from '#base/errors.ts';
import { findOwnLog, type OwnLog } from '#bin/program/own-log.ts';

let isGuarded = false;
/** Of `up --detach`, which says more than one likes to keep when something of it ends again and again. */
let ownLog: OwnLog | undefined;

/** A line for whoever reads this command's output. Nothing is lost by a reader that went away: the command goes on. */
export function print(line: string): void {
  printText(`${line}\n`);
}

/** Text as it is; see print(). */
export function printText(text: string): void {
  if (!isGuarded) process.stdout.on('error', (error) => noteLostOutput(error));
  if (!isGuarded) ownLog = findOwnLog(process.env);
  isGuarded = true;
  process.stdout.write(text);
  ownLog?.note(Buffer.byteLength(text));
}

/** `doctor | head -3` has what it wants; output that a full disk did not take is missed by somebody. */
function noteLostOutput(error: Error): void {
  if (errnoOf(error) === 'EPIPE') return;
  console.error(`podwright: write standard output: ${describeError(error)}`);
  process.exitCode = 1;
}
