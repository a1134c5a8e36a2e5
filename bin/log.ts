import { pino } from 'pino';

import type { Logger } from '#base/log.ts';

/** The real log: JSON lines on standard output; PODWRIGHT_LOG_LEVEL is error, warn, info (default) or debug. */
export function createLogger(
  environment: NodeJS.ProcessEnv,
  fields: Readonly<Record<string, unknown>>,
): Logger {
  const level = environment['PODWRIGHT_LOG_LEVEL'] ?? 'info';
  const logger = pino({
    level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  return logger;
}
