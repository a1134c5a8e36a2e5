import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, numberOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';

/** Complaints about what is behind a volume; `path` is its place, `volume` the name of the volume. */
export type SourceRule = (source: JsonObject, path: string, volume: string) => readonly FieldError[];

/** Several rules, one after the other. */
export const all =
  (...rules: readonly SourceRule[]): SourceRule =>
  (source, path, volume) =>
    rules.flatMap((rule) => rule(source, path, volume));

/** Texts, or lists, that must not be empty. */
export const needs =
  (...names: readonly string[]): SourceRule =>
  (source, path) =>
    names
      .filter((name) => stringOf(source[name]) === '' && listOf(source[name]).length === 0)
      .map((name) => requiredField(`${path}.${name}`));

/** A partition of a disk; upstream's words count from 1, its check from 0. */
export const partition: SourceRule = (source, path) =>
  when(isOutside(source['partition']), () =>
    invalidField(`${path}.partition`, source['partition'], 'must be between 1 and 255, inclusive'),
  );

/** A logical unit. */
export const unit: SourceRule = (source, path) =>
  when(isOutside(source['lun']), () =>
    invalidField(`${path}.lun`, source['lun'], 'must be between 0 and 255, inclusive'),
  );

function isOutside(value: unknown): boolean {
  return numberOf(value) < 0 || numberOf(value) > 255;
}

/** A Secret, where one is named, with texts that must be there. */
export const secret =
  (...names: readonly string[]): SourceRule =>
  (source, path, volume) =>
    isObject(source['secretRef']) ? needs(...names)(source['secretRef'], `${path}.secretRef`, volume) : [];

/** A Secret of any namespace, where one is named (validatePVSecretReference). */
export const namedSecret =
  (field: string): SourceRule =>
  (source, path) => {
    const reference = source[field];
    if (!isObject(reference)) return [];
    const [name, namespace] = [stringOf(reference['name']), stringOf(reference['namespace'])];
    const place = `${path}.${field}`;
    return [
      ...(name === '' ? [requiredField(`${place}.name`)] : formatErrors(`${place}.name`, name, dnsSubdomain)),
      ...(namespace === ''
        ? [requiredField(`${place}.namespace`)]
        : formatErrors(`${place}.namespace`, namespace, dnsLabel)),
    ];
  };
