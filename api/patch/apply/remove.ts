import { isObject, objectOf, setOwn, type Draft } from '#api/wire/json.ts';
import type { Atom, ListAtom, MapAtom } from './atom.ts';
import { atomFor } from './atom.ts';
import { childOf, hasChildren, isMember, type FieldSet } from './field-set.ts';
import { itemElement } from './list-item.ts';
import { fieldElement } from './path-element.ts';

/**
 * The object without the fields of the set, and what is below them (structured-merge-diff, TypedValue.RemoveItems). A map or list that nothing is
 * left of is null: whoever owns it goes on to.
 */
export function removeFields(atom: Atom, value: unknown, set: FieldSet): unknown {
  const { map, list, scalar } = atomFor(atom, value);
  if (map !== undefined) return isObject(value) && !map.isAtomic ? removeMembers(map, value, set) : null;
  if (scalar !== undefined) return value;
  return Array.isArray(value) && list !== undefined && list.relation !== 'atomic'
    ? removeItems(list, value, set)
    : null;
}

function removeMembers(map: MapAtom, value: Readonly<Record<string, unknown>>, set: FieldSet): Draft | null {
  const left: Draft = {};
  let isAny = false;
  for (const name of Object.keys(value)) {
    const node = childOf(set, fieldElement(name));
    if (isMember(node)) continue;
    const atom = map.field(name) ?? map.rest;
    const isTouched = node !== undefined && hasChildren(node) && atom !== undefined;
    setOwn(left, name, isTouched ? removeFields(atom, value[name], node) : value[name]);
    isAny = true;
  }
  return isAny ? left : null;
}

function removeItems(list: ListAtom, value: readonly unknown[], set: FieldSet): readonly unknown[] | null {
  const left: unknown[] = [];
  for (const item of value) {
    const { element } = itemElement(list, item);
    const node = element === undefined ? undefined : childOf(set, element);
    if (isMember(node)) continue;
    const isTouched = node !== undefined && hasChildren(node);
    left.push(isTouched ? (removeFields(list.item, item, node) ?? {}) : item);
  }
  return left.length > 0 ? left : null;
}

/** The object with what nothing is left of gone; null stays where it was null before. */
export function withoutNewNulls(left: unknown, before: unknown): unknown {
  if (left === before || !isObject(left)) return left;
  const was = objectOf(before);
  const kept: Draft = {};
  for (const name of Object.keys(left)) {
    const value = left[name];
    if (value !== null || was[name] === null) setOwn(kept, name, withoutNewNulls(value, was[name]));
  }
  return kept;
}
