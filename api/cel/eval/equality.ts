import type { CelType, ListSemantics } from '#api/cel/check/cel-type.ts';
import type { Budget } from './budget.ts';
import { nativeOf } from './native.ts';
import { equals, isList, isPlain, type Value } from './values.ts';

/** Whether values of the type are equal in a way that only their schema knows. */
export function isEqualByType(type: CelType): boolean {
  switch (type.kind) {
    case 'object':
      return true;
    case 'list':
      return type.semantics !== undefined || isEqualByType(type.element);
    case 'map':
      return isEqualByType(type.value);
    default:
      return false;
  }
}

/**
 * Whether two values are equal as their schema has it (apiserver/pkg/cel/common/values.go): sets and lists with keys in any order, a null
 * field as one that is not there, times by what they are.
 */
export function equalsAs(type: CelType, a: Value, b: Value, budget: Budget): boolean {
  if (a === b) return true;
  switch (type.kind) {
    case 'list':
      if (!isList(a) || !isList(b)) return false;
      return equalLists(type, a, b, budget);
    case 'map':
    case 'object':
      return isPlain(a) && isPlain(b) ? equalMaps(type, a, b, budget) : equals(a, b, budget);
    case 'timestamp':
    case 'duration':
    case 'bytes': {
      const native = nativeOf(type);
      return equals(native(a), native(b));
    }
    default:
      return equals(a, b, budget);
  }
}

type ListType = Extract<CelType, { readonly kind: 'list' }>;

function equalLists(
  { element, semantics }: ListType,
  a: readonly Value[],
  b: readonly Value[],
  budget: Budget,
): boolean {
  if (a.length !== b.length) return false;
  budget.strain(a.length);
  if (semantics === undefined) return a.every((value, index) => equalsAs(element, value, b[index], budget));
  const others = byIdentity(semantics, b);
  return a.every((value) => {
    const key = identityOf(semantics, value);
    return others.has(key) && equalsAs(element, value, others.get(key), budget);
  });
}

function equalMaps(
  type: Extract<CelType, { readonly kind: 'map' | 'object' }>,
  a: Readonly<Record<string, Value>>,
  b: Readonly<Record<string, Value>>,
  budget: Budget,
): boolean {
  const isThere = (value: Value): boolean => value !== undefined && (type.kind === 'map' || value !== null);
  const keys = Object.keys(a).filter((key) => isThere(a[key]));
  budget.strain(keys.length);
  if (keys.length !== Object.keys(b).filter((key) => isThere(b[key])).length) return false;
  return keys.every((key) => {
    const other = Object.hasOwn(b, key) ? b[key] : undefined;
    return isThere(other) && equalsAs(memberType(type, key), a[key], other, budget);
  });
}

function memberType(type: Extract<CelType, { readonly kind: 'map' | 'object' }>, key: string): CelType {
  return type.kind === 'map' ? type.value : (type.typeOfProperty?.(key) ?? { kind: 'dyn' });
}

/** Lists with a meaning joined: a set takes what it has not, a list with keys what is new, and replaces what is there. */
export function joinLists(
  semantics: ListSemantics,
  a: readonly Value[],
  b: readonly Value[],
): readonly Value[] {
  const added = byIdentity(semantics, b);
  const kept = a.map((value) => {
    const key = identityOf(semantics, value);
    const other = added.get(key);
    if (!added.has(key)) return value;
    added.delete(key);
    return semantics.kind === 'set' ? value : other;
  });
  return [...kept, ...added.values()];
}

function byIdentity(semantics: ListSemantics, list: readonly Value[]): Map<string, Value> {
  return new Map(list.map((value) => [identityOf(semantics, value), value]));
}

function identityOf(semantics: ListSemantics, value: Value): string {
  if (semantics.kind === 'set') return textOf(value);
  return JSON.stringify(semantics.keys.map((key) => (isPlain(value) ? textOf(value[key]) : '')));
}

/** The same for values that are equal: what has no form in JSON is in no schema. */
function textOf(value: Value): string {
  return (
    JSON.stringify(value, (_, inner: unknown) => {
      if (typeof inner === 'bigint') return `${inner}n`;
      if (!isPlain(inner)) return inner;
      return Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    }) ?? ''
  );
}
