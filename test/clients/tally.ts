/** What the lane found: one line a verdict, and the sums. */
import type { Expected } from './rows.ts';

export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly why: string }
  /** Fails as it was said to. */
  | { readonly kind: 'expected'; readonly issue: number };

/** Whether a row is as it should be; one that was said to fail and does not is a failure, so that the word goes with its cause. Pure. */
export function judge(problem: string | undefined, expected: Expected | undefined): Verdict {
  if (expected === undefined)
    return problem === undefined ? { kind: 'passed' } : { kind: 'failed', why: problem };
  if (problem !== undefined) return { kind: 'expected', issue: expected.issue };
  return {
    kind: 'failed',
    why: `works, and was expected only with issue ${expected.issue} (${expected.why})`,
  };
}

export class Tally {
  readonly #say: (line: string) => void;
  readonly #startMs = performance.now();
  readonly #count = { passed: 0, failed: 0, expected: 0 };

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** `suite` and `name` are what was done, by which client. */
  add(suite: string, name: string, verdict: Verdict): void {
    this.#count[verdict.kind]++;
    const what = `${suite}: ${name}`;
    if (verdict.kind === 'failed') this.note('FAIL', `${what}: ${verdict.why}`);
    else if (verdict.kind === 'expected') this.note('later', `${what} (expected: issue ${verdict.issue})`);
  }

  note(mark: string, text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    this.#say(`${seconds.padStart(6)} s  ${mark.padEnd(5)} ${text}`);
  }

  /** The last line, in the form that CI reads. */
  closing(): string {
    const { passed, failed, expected } = this.#count;
    return `${expected} expected to fail until a later issue\n${passed} passed, ${failed} failed`;
  }

  get isGood(): boolean {
    return this.#count.failed === 0 && this.#count.passed > 0;
  }
}
