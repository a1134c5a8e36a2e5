import type { Clock } from '#base/clock.ts';

export type OutputFormat = 'text' | 'json';

/** One line per step with its time; with `json`, the same as JSON lines. */
export interface Progress {
  step<T>(what: string, work: () => Promise<T>): Promise<T>;
  say(text: string, fields?: Readonly<Record<string, unknown>>): void;
}

export function createProgress(clock: Clock, format: OutputFormat, write: (line: string) => void): Progress {
  const json = (fields: Readonly<Record<string, unknown>>): void => write(JSON.stringify(fields));
  return {
    step: async (what, work) => {
      const startMs = clock.monotonic();
      const result = await work();
      const ms = Math.round(clock.monotonic() - startMs);
      if (format === 'json') json({ step: what, ms });
      else write(`${what.padEnd(52)} ${`${ms} ms`.padStart(8)}`);
      return result;
    },
    say: (text, fields = {}) => {
      if (format === 'json') json({ message: text, ...fields });
      else write(text);
    },
  };
}
