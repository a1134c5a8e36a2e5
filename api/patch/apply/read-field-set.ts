import { isObject } from '#api/wire/json.ts';
import { emptySet, fieldSetDepthMax, isEmptySet, makeNode, type FieldSet } from './field-set.ts';
import { compareElements, readElement } from './path-element.ts';

/** Sets that were read or made here: they need no second look. */
const known = new WeakSet<object>();

/**
 * A set of fields as a client or the store gave it, in the one form that it has.
 * @throws {SyntaxError} for what is none
 */
export function readFieldSet(value: unknown): FieldSet {
  if (value === undefined || value === null) return emptySet;
  if (!isObject(value)) throw new SyntaxError('a set of fields is an object');
  if (known.has(value)) return value as FieldSet; // Found to be one before.
  const set = readNode(value, 0) ?? emptySet;
  known.add(set);
  return set;
}

/** Says of a set that was made by the algebra of sets that it is one. */
export function knownSet(set: FieldSet): FieldSet {
  if (!isEmptySet(set)) known.add(set);
  return set;
}

/** The node itself where it is in the form that it should have; undefined for one that holds nothing that is known. */
function readNode(node: Readonly<Record<string, unknown>>, depth: number): FieldSet | undefined {
  if (depth > fieldSetDepthMax) throw new SyntaxError('a set of fields is too deep');
  const elements = Object.keys(node);
  if (elements.length === 0) return emptySet;
  const children: (readonly [string, FieldSet])[] = [];
  let isSelf = false;
  let isOwnForm = true;
  let before = '';
  for (const element of elements) {
    const below = node[element];
    if (element === '.') {
      isSelf = depth > 0;
      isOwnForm &&= isSelf && before === '' && isObject(below) && isEmptySet(below as FieldSet);
      continue;
    }
    const own = readElement(element);
    if (own === undefined) {
      isOwnForm = false;
      continue;
    }
    if (!isObject(below)) throw new SyntaxError(`what is below ${element} is no object`);
    const child = readNode(below, depth + 1);
    isOwnForm &&=
      own === element && isSame(child, below) && (before === '' || compareElements(before, own) < 0);
    before = own;
    if (child !== undefined) children.push([own, child]);
  }
  return isOwnForm && children.length > 0 ? (node as FieldSet) : makeNode(isSelf, merged(children));
}

function isSame(read: FieldSet | undefined, given: Readonly<Record<string, unknown>>): boolean {
  return read === given || (read === emptySet && isEmptySet(given as FieldSet));
}

/** Two spellings of one element are one; the last counts. */
function merged(
  children: readonly (readonly [string, FieldSet])[],
): readonly (readonly [string, FieldSet])[] {
  return [...new Map(children)];
}
