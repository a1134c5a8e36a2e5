import { goJson, isObject, structJson } from '#api/wire/json.ts';
import type { ListAtom } from './atom.ts';
import { valueElement } from './path-element.ts';

/** The path element of an item of a set or a keyed list, or why it has none (in upstream's words). */
export type ItemElement =
  | { readonly element: string; readonly fault?: undefined }
  | { readonly element?: undefined; readonly fault: string };

export function itemElement(list: ListAtom, item: unknown): ItemElement {
  return list.relation === 'keyed' ? keyedElement(list, item) : setElement(item);
}

function keyedElement({ keys }: ListAtom, item: unknown): ItemElement {
  if (item === null || item === undefined)
    return { fault: 'associative list with keys may not have a null element' };
  if (!isObject(item)) return { fault: 'associative list with keys may not have non-map elements' };
  let found = '';
  for (const { name, member, default: ifAbsent } of keys) {
    const value = Object.hasOwn(item, name) ? item[name] : ifAbsent;
    if (value === undefined) continue;
    const text = member + scalarText(value);
    found = found === '' ? text : `${found},${text}`;
  }
  if (found !== '') return { element: `k:{${found}}` };
  const names = keys.map(({ name }) => JSON.stringify(name)).join(' ');
  return {
    fault: `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`,
  };
}

/** As `goJson`; most keys are texts and numbers. */
function scalarText(value: unknown): string {
  return typeof value === 'object' ? goJson(value) : structJson(value);
}

function setElement(item: unknown): ItemElement {
  if (item === null || item === undefined)
    return { fault: "associative list without keys has an element that's an explicit null" };
  if (Array.isArray(item)) return { fault: 'not supported: associative list with lists as elements' };
  if (typeof item === 'object')
    return { fault: "associative list without keys has an element that's a map type" };
  return { element: valueElement(item) };
}

/** The items of a list by their elements, in the order in which these come first; those without an element are left out. */
export function itemsByElement(list: ListAtom, items: readonly unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of items) {
    const { element } = itemElement(list, item);
    if (element === undefined) continue;
    const same = found.get(element);
    if (same === undefined) found.set(element, [item]);
    else same.push(item);
  }
  return found;
}
