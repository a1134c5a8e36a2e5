import { faultCountMax, type FieldError, type FieldErrorType } from '#api/errors/field-error.ts';
import { formatPath, type Path } from './path.ts';

/** Steps of one validation: about a second of work. A pattern costs as its length times that of its text. */
export const stepCountMax = 3_000_000;
/** What it costs to tell of an error. */
const reportSteps = 16;

/** Where a validation is, and what it found. */
export interface Walk {
  readonly path: Path;
  readonly errors: FieldError[];
  /** Errors so far, told or not. */
  failures: number;
  /** Errors count, and are not told: an alternative is tried. */
  isTrying: boolean;
  steps: number;
}

/**
 * Checks a value: what is wrong goes into the walk; the number that it gives says how much was as it should be, by which the best of
 * several failing alternatives is chosen. `old` is the value that it replaces, undefined if there is none that can be told.
 */
export type Check = (walk: Walk, value: unknown, old: unknown) => number;

/** A beginning. */
export function startWalk(): Walk {
  return { path: [], errors: [], failures: 0, isTrying: false, steps: 0 };
}

/** Whether it is done with, for there are errors enough or it takes too long. */
export function isOver({ errors, steps }: Walk): boolean {
  return steps > stepCountMax || errors.length >= faultCountMax;
}

/** Notes an error of the value at hand; `<nil>` stands for the root. What is said of it is given its place, '' at the root. */
export function report(
  walk: Walk,
  type: FieldErrorType,
  value: unknown,
  detail: (place: string) => string,
): void {
  note(walk, (place) => ({ type, field: place || '<nil>', value, detail: detail(place) }));
}

/** An error that kube-apiserver does not know the field of. */
export function reportNowhere(walk: Walk, detail: (place: string) => string): void {
  note(walk, (place) => ({ type: 'Invalid', field: '<nil>', value: '', detail: detail(place) }));
}

/** A member that has to be there. */
export function reportMissing(walk: Walk, name: string): void {
  note(walk, (place) => ({ type: 'Required', field: place === '' ? name : `${place}.${name}`, detail: '' }));
}

function note(walk: Walk, error: (place: string) => FieldError): void {
  walk.failures++;
  walk.steps++;
  if (walk.isTrying || walk.errors.length >= faultCountMax) return;
  walk.steps += reportSteps;
  walk.errors.push(error(formatPath(walk.path)));
}
