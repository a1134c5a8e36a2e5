import { badRequest } from '#api/errors/status.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from './object.ts';
import { atMost } from './selector.ts';

/** One condition on one field. */
export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean; // false: !=
  readonly value: string;
}

/** All must hold; none selects everything. */
export type FieldMatcher = readonly FieldRequirement[];

/** `metadata.name=x,status.phase!=Failed`; `\,`, `\=` and `\\` are escapes in values. @throws {E_API} 400 */
export function parseFieldSelector(text: string): FieldMatcher {
  return atMost(splitUnescaped(text), fieldTermCountMax)
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!\\]*)(!=|==|=)((?:[^\\=,]|\\[\\=,])*)$/.exec(term);
      if (match === null) {
        throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      }
      const [, field = '', operator = '', value = ''] = match;
      return { field, equal: operator !== '!=', value: value.replaceAll(/\\(.)/g, '$1') };
    });
}

/** @throws {E_API} 400 when the kind does not know one of the fields. */
export function checkFieldSelector(kind: Kind, selector: FieldMatcher): void {
  const known = fieldsOf(kind);
  for (const { field } of selector) {
    if (known.fields.has(field)) continue;
    throw badRequest(
      known.isPlain && kind.custom === undefined
        ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
        : `field label not supported: ${field}`,
    );
  }
}

/** @throws {E_API} 400 when the kind does not know one of the fields. */
export function matchesFields(kind: Kind, selector: FieldMatcher, object: JsonObject): boolean {
  checkFieldSelector(kind, selector);
  const known = fieldsOf(kind);
  return selector.every(({ field, equal, value }) => {
    const read = known.fields.get(field);
    return (read === undefined ? stringOf(at(object, field)) : read(object)) === value ? equal : !equal;
  });
}

/** What the object has in the fields, beyond name and namespace, that its kind can be selected by: in step with `ownFieldsOf`. */
export function readOwnFields(kind: Kind, object: JsonObject): readonly string[] {
  const { fields, own } = fieldsOf(kind);
  return own.map((field) => fields.get(field)?.(object) ?? '');
}

/** The names of those fields. */
export function ownFieldsOf(kind: Kind): readonly string[] {
  return fieldsOf(kind).own;
}

/** Terms of a field selector: each may be asked of every object and every change. */
export const fieldTermCountMax = 100;

function splitUnescaped(text: string): readonly string[] {
  return text.match(/(?:\\.|[^\\,])+/g) ?? [];
}

type ReadField = (object: JsonObject) => string;

/** The fields that a kind can be selected by. */
interface KnownFields {
  readonly fields: ReadonlyMap<string, ReadField>;
  /** Those that not every kind has. */
  readonly own: readonly string[];
  /** A kind with only the two fields that all have answers an unknown field with another text. */
  readonly isPlain: boolean;
}

const knownFieldsOf = new WeakMap<Kind, KnownFields>();

function fieldsOf(kind: Kind): KnownFields {
  const known = knownFieldsOf.get(kind);
  if (known !== undefined) return known;
  const { selectableFields: extra = [] } = rulesOf(kind);
  const isPlain = extra.length === 0;
  const names = ['metadata.name', ...(kind.namespaced || isPlain ? ['metadata.namespace'] : []), ...extra];
  const fields = new Map(
    names.map((field): [string, ReadField] =>
      typeof field === 'string' ? [field, (object) => stringOf(at(object, field))] : [...field],
    ),
  );
  const own = [...fields.keys()].filter((name) => name !== 'metadata.name' && name !== 'metadata.namespace');
  const made = { fields, own, isPlain };
  knownFieldsOf.set(kind, made);
  return made;
}
