import { isObject, listOf, objectOf } from '#api/wire/json.ts';
import { atomFor, type Atom, type ListAtom, type MapAtom } from './atom.ts';
import { childrenOf, emptySet, isMember, makeNode, makeSet, type FieldSet } from './field-set.ts';
import { itemsByElement } from './list-item.ts';
import { fieldElement, fieldNameOf, isKeyElement } from './path-element.ts';

type Children = (readonly [element: string, node: FieldSet])[];

/**
 * The fields that a configuration names, or an object has: its leaves, the items of its lists, the members of its maps; of structs and
 * lists that it only passes through not their own (structured-merge-diff, TypedValue.ToFieldSet).
 */
export function configSet(atom: Atom, config: unknown): FieldSet {
  return makeSet(childrenIn(atom, config).children);
}

/** `isLeaf`: it is a field itself, whatever is below. */
function childrenIn(atom: Atom, value: unknown): { readonly isLeaf: boolean; readonly children: Children } {
  const { map, list, scalar } = atomFor(atom, value);
  if (map !== undefined) {
    return map.isAtomic ? { isLeaf: true, children: [] } : { isLeaf: false, children: membersIn(map, value) };
  }
  if (scalar !== undefined) return { isLeaf: true, children: [] };
  if (list === undefined || list.relation === 'atomic') return { isLeaf: true, children: [] };
  return { isLeaf: false, children: itemsIn(list, value) };
}

function membersIn(map: MapAtom, value: unknown): Children {
  const object = objectOf(value);
  const children: Children = [];
  for (const name of Object.keys(object)) {
    const member = object[name];
    const field = map.field(name);
    const atom = field ?? map.rest;
    if (member === undefined || atom === undefined) continue;
    const { isLeaf, children: below } = childrenIn(atom, member);
    const isEmpty = member === null || (isObject(member) && Object.keys(member).length === 0);
    const node = makeNode(isLeaf || isEmpty || field === undefined, below);
    if (node !== undefined) children.push([fieldElement(name), node]);
  }
  return children;
}

function itemsIn(list: ListAtom, value: unknown): Children {
  const children: Children = [];
  for (const [element, items] of itemsByElement(list, listOf(value))) {
    const below = items.length > 1 ? [] : childrenIn(list.item, items[0]).children;
    children.push([element, makeNode(true, below) ?? emptySet]);
  }
  return children;
}

/** The set with those fields of structs that it has anything below of: who owns `.spec.replicas` may take `.spec` with it. */
export function withNamedFields(atom: Atom | undefined, set: FieldSet): FieldSet {
  return makeSet(namedChildren(atom, set));
}

function namedChildren(atom: Atom | undefined, node: FieldSet): Children {
  const children: Children = [];
  for (const [element, child] of childrenOf(node)) {
    const name = fieldNameOf(element);
    const field = name === undefined ? undefined : atom?.map?.field(name);
    const below =
      name !== undefined ? (field ?? atom?.map?.rest) : isKeyElement(element) ? atom?.list?.item : undefined;
    const named = makeNode(isMember(child) || field !== undefined, namedChildren(below, child));
    if (named !== undefined) children.push([element, named]);
  }
  return children;
}
