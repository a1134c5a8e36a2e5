import { assert, asyncProperty, type Arbitrary, type Parameters as RunParameters } from 'fast-check';
import { randomInt } from 'node:crypto';
import { test } from 'vitest';

/*
 * The frame of all fuzzers. A file of test/fuzz, or of any folder, registers what it tries:
 *
 *   fuzz('SPDY frames', { arbitrary: uint8Array(), check: (bytes) => { … expect … } });
 *
 *   npx vitest run test/fuzz                                 some seconds each: what `npm test` does
 *   PODWRIGHT_FUZZ_SECONDS=3600 npx vitest run test/fuzz     that long, shared by the fuzzers of one file
 *   PODWRIGHT_FUZZ_SEED=7 PODWRIGHT_FUZZ_PATH=12:0 …         one case again, as the failure prints it
 */
export interface FuzzTarget<T> {
  readonly arbitrary: Arbitrary<T>;
  /** Throws when a value shows a fault. */
  readonly check: (value: T) => void | Promise<void>;
  /** How long in `npm test`; together the fuzzers take about a minute. */
  readonly seconds?: number;
}

/** A fuzzer's time in `npm test`. */
const secondsOfShort = 3;
let registered = 0;

/** Registers a fuzzer as a test, which prints its seed before it begins. */
export function fuzz<T>(name: string, { arbitrary, check, seconds = secondsOfShort }: FuzzTarget<T>): void {
  registered++;
  const asked = numberOf('PODWRIGHT_FUZZ_SECONDS');
  // Longer than any share of it can be: how many there are is known only when they run.
  const timeout = (asked ?? seconds) * 1000 + 180_000;
  test(`fuzz: ${name}`, { timeout }, async () => {
    const ownSeconds = asked === undefined ? seconds : asked / registered;
    const seed = numberOf('PODWRIGHT_FUZZ_SEED') ?? randomInt(0x7fff_ffff);
    console.log(`fuzz ${name}: PODWRIGHT_FUZZ_SEED=${seed}, ${ownSeconds.toFixed(0)} s`);
    let runs = 0;
    let running: void | Promise<void> = undefined;
    const property = asyncProperty(arbitrary, async (value) => {
      // What never waits would keep the timer of the limit, and vitest's, from running.
      if (++runs % 256 === 0) await new Promise(setImmediate);
      running = check(value);
      await running;
    });
    await assert(property, parametersOf<T>(seed, ownSeconds));
    await running; // The limit does not wait for the last case, which would meet the next fuzzer's files.
    console.log(`fuzz ${name}: ${runs} cases held`);
  });
}

function parametersOf<T>(seed: number, seconds: number): RunParameters<[T]> {
  const { PODWRIGHT_FUZZ_PATH: path } = process.env;
  return {
    seed,
    ...(path === undefined ? {} : { path }),
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
  };
}

function numberOf(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new Error(`${name}=${text}: a number of at least 0 is wanted`);
  return value;
}
