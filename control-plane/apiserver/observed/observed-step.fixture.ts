import { at, equalJson, isObject, listOf, objectOf } from '#api/wire/json.ts';
import type { Answer } from '#control-plane/apiserver/test-server.fixture.ts';

/*
 * Requests that a kube-apiserver 1.36.2 was asked, and what it answered, as files of observations tell them: to be asked again.
 */

/** What a request was answered. */
export interface ObservedAnswer {
  /** Texts of Warning headers. */
  readonly warnings: readonly string[];
  readonly status: number;
  /** The answer, or parts of it. */
  readonly answer: string;
}

/** A request, and what came of it. */
export interface ObservedStep extends ObservedAnswer {
  /** Where it is in the file. */
  readonly line: number;
  readonly label: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** The kinds of patches, as files call them. */
export const patchTypes: Readonly<Record<string, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
  strat: 'application/strategic-merge-patch+json',
};

/** The lines `! Warning: …` and `< code answer` from an index on. */
export function readAnswer(lines: readonly string[], index: number): ObservedAnswer | undefined {
  const warnings: string[] = [];
  let next = index;
  for (; (lines[next] ?? '').startsWith('! '); next++) {
    const warning = /^! Warning: 299 - (".*")$/.exec(lines[next] ?? '');
    if (warning !== null) warnings.push(JSON.parse(warning[1] ?? '""'));
  }
  const told = /^< (\d+) ?(.*)$/.exec(lines[next] ?? '');
  return told === null ? undefined : { warnings, status: Number(told[1]), answer: told[2] ?? '' };
}

/** What is not as it was, by line, and why. */
export type Otherwise = ReadonlyMap<number, string>;

/**
 * Asks again what was asked, reads for a while: what the server does by itself comes a moment later. What of the answer is not as it was;
 * empty: all is.
 */
export async function replayed<Step extends ObservedStep>(
  step: Step,
  otherwise: Otherwise,
  ask: (step: Step) => Promise<Answer>,
): Promise<readonly string[]> {
  const deadline = AbortSignal.timeout(otherwise.has(step.line) ? 0 : 60_000);
  for (;;) {
    const found = complaints(step, await ask(step));
    if (found.length === 0 || step.method !== 'GET' || deadline.aborted) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function complaints(step: ObservedStep, answer: Answer): readonly string[] {
  const warnings = answer.headers['warning'] ?? '';
  const missing = step.warnings.filter((text) => !warnings.includes(JSON.stringify(text)));
  return [
    ...(answer.status === step.status
      ? []
      : [`status ${answer.status} instead of ${step.status}: ${answer.text}`]),
    ...missing.map((text) => `no warning ${text} in ${warnings}`),
    ...differences(step, answer),
  ];
}

/** Revisions, times and uids differ from run to run. */
function differences({ answer }: ObservedStep, got: Answer): readonly string[] {
  if (answer === '' || answer === '…') return [];
  let want: unknown;
  try {
    want = JSON.parse(answer);
  } catch {
    return answer.includes('…') || got.text === answer ? [] : [`text: ${got.text} instead of ${answer}`];
  }
  if (!isObject(want)) return [];
  return Object.entries(want).flatMap(([path, value]) => {
    return compare(path, value, (toldOtherwise[path] ?? valueAtPath)(got.json, path));
  });
}

/** What the file tells of an answer in other words than those of the answer. */
const toldOtherwise: Readonly<Record<string, (json: unknown, path: string) => unknown>> = {
  causeCount: (json) => listOf(valueAtPath(json, 'details.causes')).length,
  cells: (json) => listOf(valueAtPath(json, 'rows')).map((row) => valueAtPath(row, 'cells')),
  'row object keys': (json) => Object.keys(objectOf(valueAtPath(json, 'rows.0.object'))).toSorted(),
};

function valueAtPath(json: unknown, path: string): unknown {
  // The index of OpenAPI documents is told without what holds it.
  const paths = path.startsWith('apis/') ? at(json, 'paths') : undefined;
  const value = paths ?? json;
  if (isObject(value) && Object.hasOwn(value, path)) return value[path];
  return path.split('.').reduce((current: unknown, name) => {
    if (Array.isArray(current)) return current[Number(name)];
    return isObject(current) ? current[name] : undefined;
  }, value);
}

/** Members that are not compared: the last is the hash of a document whose words are ours. */
const passed: ReadonlySet<string> = new Set(['resourceVersion', 'serverRelativeURL']);
/** An age of a row, which depends on how fast the test is. */
const age = /^(\d+s|\d+y\d+d)$/;

function compare(path: string, want: unknown, got: unknown): readonly string[] {
  const last = path.slice(path.lastIndexOf('.') + 1);
  if (passed.has(last)) return [];
  if (want === '(absent)') return got === undefined ? [] : [`${path}: ${JSON.stringify(got)} is there`];
  if (typeof want === 'string' && /^[TU]\d+$/.test(want)) {
    return typeof got === 'string' ? [] : [`${path}: ${JSON.stringify(got)} instead of ${want}`];
  }
  if (typeof want === 'string' && typeof got === 'string' && age.test(want) && age.test(got)) return [];
  if (Array.isArray(want) && Array.isArray(got) && want.length === got.length) {
    return want.flatMap((item, index) => compare(`${path}.${index}`, item, got[index]));
  }
  if (isObject(want) && isObject(got)) {
    const keys = new Set([...Object.keys(want), ...Object.keys(got)]);
    return [...keys].flatMap((key) => {
      return got[key] !== undefined && want[key] === undefined && !passed.has(key)
        ? [`${path}.${key}: ${JSON.stringify(got[key])} is there`]
        : compare(`${path}.${key}`, want[key], got[key]);
    });
  }
  return equalJson(want, got) ? [] : [`${path}: ${JSON.stringify(got)} instead of ${JSON.stringify(want)}`];
}
