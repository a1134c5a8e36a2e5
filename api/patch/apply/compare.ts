import { equalJson, isObject, listOf, objectOf } from '#api/wire/json.ts';
import { atomFor, type Atom, type ListAtom, type MapAtom } from './atom.ts';
import { emptySet, makeNode, makeSet, union, type FieldSet } from './field-set.ts';
import { itemsByElement } from './list-item.ts';
import { fieldElement } from './path-element.ts';

/** What makes of one object the other. No field is in two of the sets. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

type Children = (readonly [element: string, node: FieldSet])[];

/** The same while it is collected: the children of a node; a node that is there is not always in the set itself. */
interface Changes {
  readonly added: Children;
  readonly modified: Children;
  readonly removed: Children;
}

/**
 * Which fields differ. A scalar, and whatever is a whole, is one field; maps and lists that merge have a field of their own, which comes
 * with them and goes with them (structured-merge-diff, TypedValue.Compare).
 */
export function compareObjects(atom: Atom, old: unknown, next: unknown): Comparison {
  const changes = noChanges();
  compareChildren(atom, old, next, changes);
  return {
    added: makeSet(changes.added),
    modified: makeSet(changes.modified),
    removed: makeSet(changes.removed),
  };
}

function noChanges(): Changes {
  return { added: [], modified: [], removed: [] };
}

/** What is below, where both are there. true: it is a whole that is not the same. */
function compareChildren(atom: Atom, old: unknown, next: unknown, into: Changes): boolean {
  if (old === next) return false;
  const [ofOld, ofNext] = [atomFor(atom, old), atomFor(atom, next)];
  if (ofOld === ofNext || old === null || next === null)
    return compareAs(old === null ? ofNext : ofOld, { old, next, into });
  // One kind of value in place of another: all of the old one goes, all of the new one comes.
  const isOther = compareAs(ofOld, { old, next, into });
  return compareAs(ofNext, { old, next, into }) || isOther;
}

interface Pair {
  readonly old: unknown;
  readonly next: unknown;
  readonly into: Changes;
}

function compareAs({ map, list }: Atom, pair: Pair): boolean {
  const { old, next } = pair;
  if (map !== undefined && !map.isAtomic && (hasMembers(old) || hasMembers(next))) {
    compareMaps(map, pair);
    return false;
  }
  const isMerged = map === undefined && list !== undefined && list.relation !== 'atomic';
  if (isMerged && (listOf(old).length > 0 || listOf(next).length > 0)) {
    compareLists(list, pair);
    return false;
  }
  return !equalJson(old, next);
}

function hasMembers(value: unknown): boolean {
  if (!isObject(value)) return false;
  for (const name in value) if (value[name] !== undefined) return true;
  return false;
}

function compareMaps(map: MapAtom, { old, next, into }: Pair): void {
  const [before, after] = [objectOf(old), objectOf(next)];
  for (const name of Object.keys(before)) {
    const value = before[name];
    if (value === undefined) continue;
    const other = Object.hasOwn(after, name) ? after[name] : undefined;
    compareMember(map.field(name) ?? map.rest, fieldElement(name), { old: value, next: other, into });
  }
  for (const name of Object.keys(after)) {
    const value = after[name];
    if (value === undefined || (Object.hasOwn(before, name) && before[name] !== undefined)) continue;
    compareMember(map.field(name) ?? map.rest, fieldElement(name), { old: undefined, next: value, into });
  }
}

/** A member of which at least one is there. What no schema knows is not compared. */
function compareMember(atom: Atom | undefined, element: string, { old, next, into }: Pair): void {
  if (atom === undefined || old === next) return;
  if (old === undefined) into.added.push([element, wholeNode(atom, next)]);
  else if (next === undefined) into.removed.push([element, wholeNode(atom, old)]);
  else {
    const changes = noChanges();
    const isModified = compareChildren(atom, old, next, changes);
    pushNode(into.added, element, makeNode(false, changes.added));
    pushNode(into.modified, element, makeNode(isModified, changes.modified));
    pushNode(into.removed, element, makeNode(false, changes.removed));
  }
}

function pushNode(children: Children, element: string, node: FieldSet | undefined): void {
  if (node !== undefined) children.push([element, node]);
}

function compareLists(list: ListAtom, { old, next, into }: Pair): void {
  const before = itemsByElement(list, listOf(old));
  const after = itemsByElement(list, listOf(next));
  for (const [element, items] of before)
    compareItems(list, { element, old: items, next: after.get(element) }, into);
  for (const [element, items] of after)
    if (!before.has(element)) compareItems(list, { element, old: undefined, next: items }, into);
}

/** Items with one key are compared as a whole: no one can tell which was which (KEP-555, duplicates since 1.29). */
function compareItems(
  list: ListAtom,
  {
    element,
    old = [],
    next = [],
  }: {
    readonly element: string;
    readonly old: readonly unknown[] | undefined;
    readonly next: readonly unknown[] | undefined;
  },
  into: Changes,
): void {
  if (old.length <= 1 && next.length <= 1) {
    compareMember(list.item, element, { old: old[0], next: next[0], into });
  } else if (old.length > 1 && next.length > 1) {
    if (!equalJson(old, next)) into.modified.push([element, emptySet]);
  } else if (old.length > 1) {
    if (next[0] !== undefined) into.added.push([element, wholeNode(list.item, next[0])]);
    into.removed.push([element, emptySet]);
  } else {
    if (old[0] !== undefined) into.removed.push([element, wholeNode(list.item, old[0])]);
    into.added.push([element, emptySet]);
  }
}

/** All fields of a value that is new, or gone, its own among them. */
export function wholeNode(atom: Atom, value: unknown): FieldSet {
  const { map, list } = atomFor(atom, value);
  if (map !== undefined)
    return map.isAtomic ? emptySet : (makeNode(true, mapChildren(map, value)) ?? emptySet);
  if (list === undefined || list.relation === 'atomic') return emptySet;
  const children: Children = [];
  for (const [element, items] of itemsByElement(list, listOf(value)))
    children.push([element, items.length > 1 ? emptySet : wholeNode(list.item, items[0])]);
  return makeNode(true, children) ?? emptySet;
}

function mapChildren(map: MapAtom, value: unknown): Children {
  const object = objectOf(value);
  const children: Children = [];
  for (const name of Object.keys(object)) {
    const member = object[name];
    const atom = map.field(name) ?? map.rest;
    if (member !== undefined && atom !== undefined)
      children.push([fieldElement(name), wholeNode(atom, member)]);
  }
  return children;
}

/** What came or is another now: what whoever made the change owns of it. */
export function taken({ added, modified }: Comparison): FieldSet {
  return union(modified, added);
}
