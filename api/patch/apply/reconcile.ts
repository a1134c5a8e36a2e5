import type { Atom } from './atom.ts';
import { childrenOf, emptySet, hasChildren, isMember, makeNode, type FieldSet } from './field-set.ts';
import { fieldNameOf, isKeyElement } from './path-element.ts';

/**
 * A set that was written when the schema was another: what has become a whole since is owned as one (structured-merge-diff,
 * ReconcileFieldSetWithSchema). The other way nothing is to be done. The set itself where nothing changed.
 */
export function reconcileSet(atom: Atom, set: FieldSet): FieldSet {
  return reconcileNode(atom, set) ?? emptySet;
}

function reconcileNode(atom: Atom, node: FieldSet): FieldSet | undefined {
  const { map, list, scalar } = atom;
  if (!hasChildren(node)) return node;
  if (map !== undefined) {
    if (map.isDeduced === true) return node;
    if (map.isAtomic) return emptySet;
    return reconcileChildren(node, (element) => {
      const name = fieldNameOf(element);
      return (name === undefined ? undefined : map.field(name)) ?? map.rest;
    });
  }
  if (scalar !== undefined || list === undefined) return node;
  if (list.relation === 'atomic') return emptySet;
  return reconcileChildren(node, (element) => (isKeyElement(element) ? list.item : undefined));
}

function reconcileChildren(
  node: FieldSet,
  atomBelow: (element: string) => Atom | undefined,
): FieldSet | undefined {
  let isChanged = false;
  const children: (readonly [string, FieldSet])[] = [];
  for (const [element, child] of childrenOf(node)) {
    const atom = atomBelow(element);
    const reconciled = atom === undefined ? child : reconcileNode(atom, child);
    isChanged ||= reconciled !== child;
    if (reconciled !== undefined) children.push([element, reconciled]);
  }
  return isChanged ? makeNode(isMember(node), children) : node;
}
