import type { PodwrightError } from '#base/errors.ts';
import { isObject } from './json.ts';
import { badRequest, statusError } from '#api/errors/status.ts';

/** Deeper nesting is refused, as Go's decoder does at its own depth. */
export const jsonDepthMax = 1000;

/**
 * Values (members, items and what they are) that one body, or the object that a patch makes, may have. A thing of three bytes in a list
 * becomes an object of many fields, so that a bound on bytes alone bounds neither time nor memory; the largest objects that are met, CRDs
 * of a megabyte, have a quarter of this.
 */
export const valueCountMax = 100_000;

/** @throws {E_API} 413 */
export function tooManyValues(): PodwrightError {
  const message = `Request entity too large: limit is ${valueCountMax} values (members of maps and items of lists) in one object`;
  return statusError(413, 'RequestEntityTooLarge', message);
}

/** @throws {E_API} 413 for a value that consists of more than `valueCountMax`, 400 for one that is nested too deep */
export function checkValueCount(value: unknown): void {
  let left = valueCountMax;
  const walk = (node: unknown, depth: number): void => {
    if (--left < 0) throw tooManyValues();
    if (depth > jsonDepthMax) throw badRequest('exceeded max depth');
    if (Array.isArray(node)) for (const item of node) walk(item, depth + 1);
    else if (isObject(node)) for (const key of Object.keys(node)) walk(node[key], depth + 1);
  };
  walk(value, 0);
}
