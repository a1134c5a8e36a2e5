import { writeSync } from 'node:fs';
import { pino } from 'pino';

import type { Logger } from '#base/log.ts';

const stdoutFd = 1; // Not process.stdout, which makes pipes non-blocking.

/** The real log: JSON lines on standard output; PODWRIGHT_LOG_LEVEL is error, warn, info (default) or debug. */
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
  return pino(
    options,
    createDestination((text) => writeSync(stdoutFd, text)),
  );
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
        write(line);
      } catch {
        lostCount++;
      }
    },
  };
}
