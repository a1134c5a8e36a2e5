import { writeSync } from 'node:fs';
import { pino } from 'pino';

import { systemClock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { quietLogger } from '#base/quiet-log.ts';
import { findOwnLog } from './own-log.ts';
import { redact } from './redact.ts';

const stdoutFd = 1; // Not process.stdout, which makes pipes non-blocking.

/**
 * The real log: JSON lines on standard output; PODWRIGHT_LOG_LEVEL is error, warn, info (default) or debug. What fails again and
 * again is said once and counted.
 */
export function createLogger(
  environment: NodeJS.ProcessEnv,
  fields: Readonly<Record<string, unknown>>,
): Logger {
  const level = environment['PODWRIGHT_LOG_LEVEL'] ?? 'info';
  const options = {
    level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const ownLog = findOwnLog(environment);
  const destination = createDestination((text) => {
    const written = writeSync(stdoutFd, text);
    ownLog?.note(written);
    return written;
  });
  return quietLogger(pino(options, destination), systemClock);
}

/**
 * Lines that cannot be written (a full disk, most of all) are left out and counted: a log is no reason to stop. Pino's own
 * destination ends the process then, and waits for ever for room while it ends.
 */
export function createDestination(write: (text: string) => number): { write(line: string): void } {
  let lostCount = 0;
  return {
    write: (line) => {
      try {
        if (lostCount > 0) {
          const time = new Date().toISOString();
          write(
            `${JSON.stringify({ level: 'warn', time, lostCount, msg: 'log lines could not be written' })}\n`,
          );
          lostCount = 0;
        }
        write(presentable(line));
      } catch {
        lostCount++;
      }
    },
  };
}

/** Characters of a line: an error may quote what it was given. */
const lineLengthMax = 16_384;

/** Without secrets; of a line that is too long, its beginning. */
function presentable(line: string): string {
  if (line.length <= lineLengthMax) return redact(line);
  const { level, time, msg }: Readonly<Record<string, unknown>> = JSON.parse(line);
  const start = redact(line.slice(0, lineLengthMax)).slice(0, lineLengthMax / 2);
  return `${JSON.stringify({ level, time, msg: redact(String(msg).slice(0, 1_024)), start, length: line.length })}\n`;
}
