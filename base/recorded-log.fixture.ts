import type { Logger } from './log.ts';

export interface RecordedLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A log for tests to look at. */
export function createRecordedLog(): { readonly log: Logger; readonly lines: RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const logOf = (own: Readonly<Record<string, unknown>>): Logger => {
    const to =
      (level: RecordedLine['level']) =>
      (fields: Readonly<Record<string, unknown>>, message: string): void =>
        void lines.push({ ...own, ...fields, level, message });
    return {
      error: to('error'),
      warn: to('warn'),
      info: to('info'),
      debug: to('debug'),
      child: (fields) => logOf({ ...own, ...fields }),
    };
  };
  return { log: logOf({}), lines };
}
