import { memberOf } from '#api/wire/json.ts';
import { compareElements } from './path-element.ts';

/**
 * A set of fields of an object, as it is on the wire (FieldsV1, KEP-555): each member is a path element (`f:spec`, `k:{"name":"c"}`,
 * `v:"x"`, `i:0`) and holds those below it. `{}` is a field of the set; one with members below is itself in the set if it has `.`, too.
 * Members are in the order of path elements, so that equal sets are equal texts. Immutable, and shared.
 *
 * ```
 * {"f:data":{".":{},"f:a":{}},"f:spec":{"f:replicas":{}}}        .data, .data.a and .spec.replicas
 * ```
 */
export interface FieldSet {
  readonly [element: string]: FieldSet;
}

/** The set of nothing; below a path element: that field, and nothing below it. */
export const emptySet: FieldSet = Object.freeze({});

/** Says that a field which has others below is in the set itself. */
const self = '.';

/** How deep a set of a client may be: no object that it could be of is deeper. */
export const fieldSetDepthMax = 1000;

export function isEmptySet(set: FieldSet): boolean {
  for (const _element in set) return false;
  return true;
}

/** Whether the field of this node is in the set: it is there for that alone, or says so. */
export function isMember(node: FieldSet | undefined): boolean {
  return node !== undefined && (memberOf(node, self) !== undefined || isEmptySet(node));
}

/** The nodes below, in their order. */
export function* childrenOf(node: FieldSet): Generator<readonly [element: string, node: FieldSet]> {
  for (const element of Object.keys(node)) {
    const child = node[element];
    if (element !== self && child !== undefined) yield [element, child];
  }
}

export function hasChildren(node: FieldSet): boolean {
  for (const element in node) if (element !== self) return true;
  return false;
}

export function childOf(node: FieldSet, element: string): FieldSet | undefined {
  return memberOf(node, element);
}

/** A node, of nodes below in any order; undefined where nothing is in the set. */
export function makeNode(
  isInSet: boolean,
  children: readonly (readonly [element: string, node: FieldSet])[],
): FieldSet | undefined {
  if (children.length === 0) return isInSet ? emptySet : undefined;
  const node: Record<string, FieldSet> = {};
  if (isInSet) node[self] = emptySet;
  for (const [element, child] of inOrder(children)) node[element] = child;
  return node;
}

/** As `makeNode`, of the whole object, which itself is in no set. */
export function makeSet(children: readonly (readonly [element: string, node: FieldSet])[]): FieldSet {
  return makeNode(false, children) ?? emptySet;
}

function inOrder<T>(children: readonly (readonly [string, T])[]): readonly (readonly [string, T])[] {
  for (let at = 1; at < children.length; at++) {
    if (compareElements(children[at - 1]?.[0] ?? '', children[at]?.[0] ?? '') > 0)
      return children.toSorted(([a], [b]) => compareElements(a, b));
  }
  return children;
}

/** What is in either. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  return makeSet(unionOfChildren(a, b));
}

function unionOfChildren(a: FieldSet, b: FieldSet): readonly (readonly [string, FieldSet])[] {
  const children: (readonly [string, FieldSet])[] = [];
  for (const [element, node] of childrenOf(a)) {
    const other = childOf(b, element);
    children.push([element, other === undefined ? node : unionOfNodes(node, other)]);
  }
  for (const entry of childrenOf(b)) if (childOf(a, entry[0]) === undefined) children.push(entry);
  return children;
}

function unionOfNodes(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b) return a;
  return makeNode(isMember(a) || isMember(b), unionOfChildren(a, b)) ?? emptySet;
}

/** What is in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return makeSet(intersectionOfChildren(a, b));
}

function intersectionOfChildren(a: FieldSet, b: FieldSet): readonly (readonly [string, FieldSet])[] {
  const children: (readonly [string, FieldSet])[] = [];
  for (const [element, node] of childrenOf(a)) {
    const other = childOf(b, element);
    if (other === undefined) continue;
    const both = makeNode(isMember(node) && isMember(other), intersectionOfChildren(node, other));
    if (both !== undefined) children.push([element, both]);
  }
  return children;
}

/** What is in the first alone. A field that goes takes none with it that are below, nor the other way round. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return isEmptySet(b) ? a : makeSet(differenceOfChildren(a, b));
}

function differenceOfChildren(a: FieldSet, b: FieldSet): readonly (readonly [string, FieldSet])[] {
  const children: (readonly [string, FieldSet])[] = [];
  for (const [element, node] of childrenOf(a)) {
    const other = childOf(b, element);
    const rest =
      other === undefined
        ? node
        : makeNode(isMember(node) && !isMember(other), differenceOfChildren(node, other));
    if (rest !== undefined) children.push([element, rest]);
  }
  return children;
}

/** The first without the fields of the second, and all that is below them. */
export function withoutBelow(a: FieldSet, b: FieldSet): FieldSet {
  return isEmptySet(b) ? a : makeSet(withoutBelowChildren(a, b));
}

function withoutBelowChildren(a: FieldSet, b: FieldSet): readonly (readonly [string, FieldSet])[] {
  const children: (readonly [string, FieldSet])[] = [];
  for (const [element, node] of childrenOf(a)) {
    const other = childOf(b, element);
    if (isMember(other)) continue;
    const rest = other === undefined ? node : makeNode(isMember(node), withoutBelowChildren(node, other));
    if (rest !== undefined) children.push([element, rest]);
  }
  return children;
}

/** The set of one path. */
export function setOfPath(path: readonly string[]): FieldSet {
  return path.reduceRight<FieldSet>((node, element) => ({ [element]: node }), emptySet);
}

/** The set of some paths. */
export function setOfPaths(paths: readonly (readonly string[])[]): FieldSet {
  return paths.map(setOfPath).reduce(union, emptySet);
}

/** Whether the field at the path is in the set. */
export function hasPath(set: FieldSet, path: readonly string[]): boolean {
  let node: FieldSet | undefined = set;
  for (const element of path) {
    node = childOf(node, element);
    if (node === undefined) return false;
  }
  return path.length > 0 && isMember(node);
}

/** All paths, those of one length before those below them: the order in which upstream tells conflicts. */
export function pathsOf(set: FieldSet): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = [];
  const visit = (node: FieldSet, path: readonly string[]): void => {
    for (const [element, child] of childrenOf(node)) if (isMember(child)) paths.push([...path, element]);
    for (const [element, child] of childrenOf(node)) visit(child, [...path, element]);
  };
  visit(set, []);
  return paths;
}

/** Whether two sets have the same fields. */
export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  const elements = Object.keys(a);
  if (elements.length !== Object.keys(b).length) return false;
  return elements.every((element) => {
    const [one, other] = [childOf(a, element), childOf(b, element)];
    return one !== undefined && other !== undefined && equalSets(one, other);
  });
}
