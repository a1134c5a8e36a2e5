import { isObject } from '#api/wire/json.ts';
import { atomFor, type Atom, type ListAtom, type MapAtom, type ScalarType } from './atom.ts';
import { itemElement } from './list-item.ts';
import { fieldElement, formatElement } from './path-element.ts';

/** Faults told at once, at most. */
const faultCountMax = 100;

/**
 * Why a configuration is none of the type, in upstream's words (structured-merge-diff, validatingObjectWalker); undefined: it is.
 * `.spec.replicas: expected numeric (int or float), got string`
 */
export function configFault(atom: Atom, config: unknown): string | undefined {
  const faults: string[] = [];
  checkValue(atom, config, { path: '', faults });
  if (faults.length === 0) return undefined;
  return faults.length === 1 ? faults[0] : ['errors:', ...faults.map((fault) => `  ${fault}`)].join('\n');
}

interface Check {
  readonly path: string;
  readonly faults: string[];
}

function checkValue(atom: Atom, value: unknown, check: Check): void {
  if (check.faults.length >= faultCountMax) return;
  const { map, list, scalar } = atomFor(atom, value);
  if (map !== undefined) checkMap(map, value, check);
  else if (scalar !== undefined) checkScalar(scalar, value, check);
  else if (list !== undefined) checkList(list, value, check);
}

function tell({ path, faults }: Check, text: string): void {
  faults.push(path === '' ? text : `${path}: ${text}`);
}

function checkScalar(scalar: ScalarType, value: unknown, check: Check): void {
  if (value === null) return;
  const type = typeof value;
  switch (scalar) {
    case 'numeric':
      if (type !== 'number') tell(check, `expected numeric (int or float), got ${goTypeName(value)}`);
      return;
    case 'string':
      if (type !== 'string')
        tell(check, `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`);
      return;
    case 'boolean':
      if (type !== 'boolean') tell(check, `expected boolean, got &{${goText(value)}}`);
      return;
    case 'untyped':
      if (type === 'object') tell(check, `expected any scalar, got &{${goText(value)}}`);
  }
}

function checkMap(map: MapAtom, value: unknown, check: Check): void {
  if (value === null) return;
  if (!isObject(value)) return tell(check, `expected map, got &{${goText(value)}}`);
  for (const name of Object.keys(value)) {
    const element = formatElement(fieldElement(name));
    const atom = map.field(name) ?? map.rest;
    if (atom === undefined) {
      tell({ ...check, path: check.path + element }, 'field not declared in schema');
      return;
    }
    checkValue(atom, value[name], { ...check, path: check.path + element });
  }
}

function checkList(list: ListAtom, value: unknown, check: Check): void {
  if (value === null) return;
  if (!Array.isArray(value)) return tell(check, `expected list, got &{${goText(value)}}`);
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    let shown = `[${index}]`;
    if (list.relation !== 'atomic') {
      const { element, fault } = itemElement(list, item);
      if (element === undefined) return tell(check, `element ${index}: ${fault}`);
      shown = formatElement(element);
      if (seen.has(element)) tell(check, `duplicate entries for key ${shown}`);
      seen.add(element);
    }
    checkValue(list.item, item, { ...check, path: check.path + shown });
  }
}

function goTypeName(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (isObject(value)) return 'map[string]interface {}';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** As Go prints it with %v. */
function goText(value: unknown): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (!isObject(value)) return String(value);
  const members = Object.keys(value).toSorted();
  return `map[${members.map((name) => `${name}:${goText(value[name])}`).join(' ')}]`;
}

/** As Go prints it with %#v. */
function goSyntax(value: unknown): string {
  if (value === null) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (!isObject(value)) return typeof value === 'string' ? JSON.stringify(value) : String(value);
  const members = Object.keys(value).toSorted();
  return `map[string]interface {}{${members.map((name) => `${JSON.stringify(name)}:${goSyntax(value[name])}`).join(', ')}}`;
}
