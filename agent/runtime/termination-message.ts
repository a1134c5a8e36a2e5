import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import { readLogs } from './logs/read-logs.ts';
import type { TerminationMessage } from './runtime.ts';

/** Bounds that the API documents (Container.terminationMessagePath and terminationMessagePolicy). */
export const terminationMessageBytesMax = 4096;
const logBytesMax = 2048;
const logLinesMax = 80;
/** What is looked at of a log's end: more than 2048 bytes of text in records of any length, or 80 lines. */
const logLookBackBytesMax = 256 * 1024;

/** What a container says of its end: its message file, or with FallbackToLogsOnError the end of its log. */
export async function readTerminationMessage(
  termination: TerminationMessage | undefined,
  end: { readonly exitCode: number; readonly logPath: string | undefined },
  clock: Clock,
): Promise<string> {
  if (termination === undefined) return '';
  const message = await readStart(termination.path);
  const fallsBack = termination.fallbackToLogsOnError && message === '' && end.exitCode !== 0;
  return fallsBack && end.logPath !== undefined ? readLogEnd(end.logPath, clock) : message;
}

/** The last 80 lines or 2048 bytes of a log, whichever is less. */
export async function readLogEnd(path: string, clock: Clock): Promise<string> {
  const options = { tailLines: logLinesMax, lookBackBytesMax: logLookBackBytesMax, clock };
  let text = Buffer.alloc(0);
  for await (const chunk of readLogs(path, options, new AbortController().signal)) {
    text = Buffer.concat([text, chunk.subarray(-logBytesMax)]).subarray(-logBytesMax);
  }
  return text.toString('utf8');
}

async function readStart(path: string): Promise<string> {
  try {
    // The container writes the file and nothing else of its path; it is of a bounded length only here.
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);

    const buffer = Buffer.alloc(terminationMessageBytesMax);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
