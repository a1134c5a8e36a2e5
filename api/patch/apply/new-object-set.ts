import { equalJson, isObject, listOf, objectOf, structJson } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { atomFor, type Atom, type ListAtom, type ListKey, type MapAtom } from './atom.ts';
import type { FieldSet } from './field-set.ts';
import { itemElement } from './list-item.ts';
import { compareElements, compareTexts, fieldElement } from './path-element.ts';
import { setOfText } from './set-text.ts';

/** What nobody owns of a new object: names of members of the object, and of its metadata. */
export interface Unowned {
  readonly ofObject: ReadonlySet<string>;
  readonly ofMetadata: ReadonlySet<string>;
}

/**
 * What whoever makes an object owns of it: the same as `taken(compareObjects(atom, empty, object))` less what nobody owns, written down as
 * text in one pass, for objects are made often and most of them alike.
 */
export function newObjectSet(
  atom: Atom,
  {
    empty,
    object,
    unowned,
  }: { readonly empty: JsonObject; readonly object: JsonObject; readonly unowned: Unowned },
): FieldSet {
  const { map } = atom;
  if (map === undefined) return setOfText('{}');
  let text = '';
  for (const { name, atom: below, key } of membersOf(map, object)) {
    const value = object[name];
    if (value === undefined || unowned.ofObject.has(name)) continue;
    const node =
      name === 'metadata'
        ? metadataNode(below, empty[name], { value, without: unowned.ofMetadata })
        : changedNode(below, empty[name], value);
    text = withMember(text, key, node);
  }
  return setOfText(`{${text}}`);
}

/** Metadata itself is nobody's. */
function metadataNode(
  atom: Atom,
  empty: unknown,
  { value, without }: { readonly value: unknown; readonly without: ReadonlySet<string> },
): string {
  const { map } = atomFor(atom, value);
  const inner = map === undefined ? '' : changedMembers(map, empty, objectOf(value), without);
  return inner === '' ? '' : `{${inner}}`;
}

const leaf = '{}';
const none: ReadonlySet<string> = new Set();

function withMember(text: string, key: string, node: string): string {
  if (node === '') return text;
  return text === '' ? `${key}:${node}` : `${text},${key}:${node}`;
}

/** The node of what is, or is another than in the empty object; '' where nothing is. */
function changedNode(atom: Atom, empty: unknown, value: unknown): string {
  if (empty === undefined) return wholeText(atom, value);
  const { map, list } = atomFor(atom, value);
  if (map !== undefined && !map.isAtomic && (hasMembers(value) || hasMembers(empty))) {
    const inner = changedMembers(map, empty, objectOf(value), none);
    return inner === '' ? '' : `{${inner}}`;
  }
  if (map === undefined && list !== undefined && list.relation !== 'atomic' && listOf(value).length > 0) {
    return `{${itemTexts(list, value)}}`; // The empty object has no items.
  }
  return equalJson(empty, value) ? '' : leaf;
}

function hasMembers(value: unknown): boolean {
  if (!isObject(value)) return false;
  for (const name in value) if (value[name] !== undefined) return true;
  return false;
}

function changedMembers(
  map: MapAtom,
  empty: unknown,
  value: JsonObject,
  without: ReadonlySet<string>,
): string {
  const before = objectOf(empty);
  let text = '';
  for (const { name, atom, key } of membersOf(map, value)) {
    const member = value[name];
    if (member === undefined || without.has(name)) continue;
    text = withMember(text, key, changedNode(atom, before[name], member));
  }
  return text;
}

function wholeText(atom: Atom, value: unknown): string {
  const { map, list } = atomFor(atom, value);
  if (map !== undefined) {
    if (map.isAtomic || !isObject(value)) return leaf;
    const inner = changedMembers(map, undefined, value, none);
    return inner === '' ? leaf : `{".":{},${inner}}`;
  }
  if (list === undefined || list.relation === 'atomic') return leaf;
  const inner = itemTexts(list, value);
  return inner === '' ? leaf : `{".":{},${inner}}`;
}

function itemTexts(list: ListAtom, value: unknown): string {
  const items = listOf(value);
  return namedItemTexts(list, items) ?? otherItemTexts(list, items);
}

/** Of items that a text tells from each other (names of containers); undefined: there is one that no text does. */
function namedItemTexts(list: ListAtom, items: readonly unknown[]): string | undefined {
  const [key, another] = list.keys;
  if (key === undefined || another !== undefined) return undefined;
  const names: string[] = [];
  let isInOrder = true;
  for (const item of items) {
    const name = isObject(item) ? item[key.name] : undefined;
    if (typeof name !== 'string') return undefined;
    isInOrder &&= names.length === 0 || compareTexts(names.at(-1) ?? '', name) < 0;
    names.push(name);
  }
  if (!isInOrder) return undefined;
  let text = '';
  for (let at = 0; at < names.length; at++)
    text = withMember(text, keyOfName(key, names[at] ?? ''), wholeText(list.item, items[at]));
  return text;
}

/** Elements as members of JSON, by key and name: names of containers, volumes and variables are few. */
const keysOfNames = new WeakMap<ListKey, Map<string, string>>();
const namesMax = 1000;

function keyOfName(key: ListKey, name: string): string {
  let known = keysOfNames.get(key);
  if (known === undefined) keysOfNames.set(key, (known = new Map()));
  let text = known.get(name);
  if (text === undefined) {
    if (known.size >= namesMax) known.clear();
    known.set(name, (text = structJson(`k:{${key.member}${structJson(name)}}`)));
  }
  return text;
}

function otherItemTexts(list: ListAtom, given: readonly unknown[]): string {
  const elements: string[] = [];
  const items: unknown[] = [];
  for (const item of given) {
    const { element } = itemElement(list, item);
    if (element === undefined) continue;
    elements.push(element);
    items.push(item);
  }
  let text = '';
  for (const { key, index, isTwice } of placesOf(elements))
    text = withMember(text, key, isTwice ? leaf : wholeText(list.item, items[index]));
  return text;
}

/** An item: its element as a member of JSON, which item it is, and whether there is another such. */
interface Place {
  readonly key: string;
  readonly index: number;
  readonly isTwice: boolean;
}

/** By the elements of a list: ports are few, and most objects have the same. */
const places = new Map<string, readonly Place[]>();
const [placesCountMax, placesLengthMax] = [1000, 1000];

/** In order, each element once. */
function placesOf(elements: readonly string[]): readonly Place[] {
  const id = elements.join();
  let found = places.get(id);
  if (found !== undefined) return found;
  const order = elements.map((element, index) => ({ element, index }));
  order.sort((a, b) => compareElements(a.element, b.element));
  found = order.flatMap(({ element, index }, at) => {
    if (element === order[at - 1]?.element) return []; // There more than once, and told by the first.
    return [{ key: structJson(element), index, isTwice: element === order[at + 1]?.element }];
  });
  if (places.size >= placesCountMax) places.clear();
  if (id.length <= placesLengthMax) places.set(id, found);
  return found;
}

/** A member of a map, and its element as a member of JSON. */
interface Member {
  readonly name: string;
  readonly atom: Atom;
  readonly key: string;
}

interface Ordered {
  readonly names: readonly string[];
  readonly members: readonly Member[];
}

/** Of the object before: who makes many makes them alike. */
const latest = new WeakMap<MapAtom, Ordered>();
/** The members of structs by which of its fields are there: objects of a kind have few such sets. */
const ordered = new WeakMap<MapAtom, Map<string, readonly Member[]>>();
const orderedCountMax = 500;

/** The members that a schema knows, in the order of their elements. */
function membersOf(map: MapAtom, value: JsonObject): readonly Member[] {
  const names = Object.keys(value);
  const before = latest.get(map);
  if (before !== undefined && areSame(before.names, names)) return before.members;
  const members = map.rest === undefined ? knownMembers(map, names) : inOrder(map, names); // Those may have any names.
  latest.set(map, { names, members });
  return members;
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function knownMembers(map: MapAtom, names: readonly string[]): readonly Member[] {
  let known = ordered.get(map);
  if (known === undefined) ordered.set(map, (known = new Map()));
  const id = names.join();
  let members = known.get(id);
  if (members === undefined) {
    if (known.size >= orderedCountMax) known.clear();
    known.set(id, (members = inOrder(map, names)));
  }
  return members;
}

function inOrder(map: MapAtom, names: readonly string[]): readonly Member[] {
  return names.toSorted(compareTexts).flatMap((name) => {
    const atom = map.field(name) ?? map.rest;
    return atom === undefined ? [] : [{ name, atom, key: structJson(fieldElement(name)) }];
  });
}
