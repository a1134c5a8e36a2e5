import { RE2JS } from 're2js';
import { ExpiringMap } from '#base/expiring-map.ts';

/** Patterns that were compiled; schemas repeat few of them. */
const compiled = new ExpiringMap<string, RE2JS | string>(1000);
/** Bytes of the automaton that a pattern is made into as texts come; what it has no room for is found by another way, in linear time, too. */
const automatonBytesMax = 128 * 1024;
const keptMs = Number.MAX_SAFE_INTEGER;

/** Compiled, in time that grows with the text whatever the pattern (RE2, as Go has it); or Go's words for why it is none. */
export function compilePattern(pattern: string): RE2JS | string {
  const known = compiled.get(pattern, 0);
  if (known !== undefined) return known;
  const made = tryCompile(pattern);
  compiled.set(pattern, made, { ttlMs: keptMs, nowMs: 0 });
  return made;
}

function tryCompile(pattern: string): RE2JS | string {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What is wrong with a pattern of RE2, in Go's words (`error parsing regexp: …`); undefined if it is one. */
export function patternProblem(pattern: string): string | undefined {
  const made = compilePattern(pattern);
  return typeof made === 'string' ? made : undefined;
}

/** Whether the pattern is found anywhere in the text, in time that grows with both. A pattern that is none is found nowhere. */
export function findsPattern(pattern: string, text: string): boolean {
  const made = compilePattern(pattern);
  if (typeof made === 'string') return false;
  const { dfa } = made.re2();
  if (dfa.stateBudget > automatonBytesMax) {
    dfa.stateBudget = automatonBytesMax;
    dfa.memBudget = Math.min(dfa.memBudget, automatonBytesMax);
  }
  return made.test(text);
}
