import { at, stringOf } from '#api/wire/json.ts';
import { labelLengthMax } from '#api/validation/format.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** Pods are called and known in DNS by the object's name: what follows from one that is no label. */
export function nameWarnings(object: JsonObject, what = 'Pod names and hostnames'): readonly string[] {
  const name = stringOf(at(object, 'metadata.name'));
  // That it is a subdomain was found before.
  const faults = [
    ...(name.length > labelLengthMax ? [`must be no more than ${labelLengthMax} bytes`] : []),
    ...(name.includes('.') ? ['must not contain dots'] : []),
  ];
  if (faults.length === 0) return [];
  return [
    `metadata.name: this is used in ${what}, which can result in surprising behavior; a DNS label is recommended: [${faults.join(' ')}]`,
  ];
}

/** Of what makes pods: once, as it is made. */
export function newNameWarnings(object: JsonObject, old: JsonObject | undefined): readonly string[] {
  return old === undefined ? nameWarnings(object) : [];
}
