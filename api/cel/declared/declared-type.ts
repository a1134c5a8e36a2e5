import { types, type CelType, type Field, type ListSemantics } from '#api/cel/check/cel-type.ts';
import type { SizeSource } from '#api/cel/cost/estimate.ts';
import { unknownMax } from '#api/cel/cost/range.ts';
import { isKeyword } from './escape.ts';

/** A type as a schema declares it: what an expression may do with its values, and how large these may be (apiserver/pkg/cel/types.go). */
export interface DeclaredType {
  readonly celType: CelType;
  /** Characters, bytes, items or members; 0 for what has no size. */
  readonly maxElements: number;
  /** Bytes of the shortest value in JSON. */
  readonly minBytes: number;
  /** Of a list or map: of its elements or values. */
  readonly element?: DeclaredType | undefined;
  /** Of an object, by the names that expressions write. */
  readonly fields?: ReadonlyMap<string, DeclaredField> | undefined;
}

export interface DeclaredField {
  /** Its name in JSON. */
  readonly property: string;
  readonly type: DeclaredType;
}

export function scalar(celType: CelType, minBytes: number, maxElements = 0): DeclaredType {
  return { celType, minBytes, maxElements };
}

export function declaredList(
  element: DeclaredType,
  maxElements: number,
  semantics?: ListSemantics,
): DeclaredType {
  const celType: CelType = { kind: 'list', element: element.celType, semantics };
  return { celType, element, maxElements, minBytes: 2 };
}

export function declaredMap(element: DeclaredType, maxElements: number): DeclaredType {
  const celType: CelType = { kind: 'map', key: types.string, value: element.celType };
  return { celType, element, maxElements, minBytes: 2 };
}

export function declaredObject(
  name: string,
  fields: ReadonlyMap<string, DeclaredField>,
  minBytes: number,
): DeclaredType {
  const find = (field: string): DeclaredField | undefined =>
    fields.get(field) ?? (isKeyword(field) ? fields.get(`__${field}__`) : undefined);
  const byProperty = new Map([...fields.values()].map(({ property, type }) => [property, type.celType]));
  const celType: CelType = {
    kind: 'object',
    name,
    fieldOf: (field): Field | undefined => {
      const found = find(field);
      return found === undefined ? undefined : { type: found.type.celType, property: found.property };
    },
    typeOfProperty: (property) => byProperty.get(property),
  };
  return { celType, fields, minBytes, maxElements: 0 };
}

/** Sizes of what lies under variables that are all of the type. The first of a path, whatever it is, stands for the type itself. */
export function sizesOf(root: DeclaredType): SizeSource {
  return ([, ...path]) => {
    let type: DeclaredType | undefined = root;
    for (const step of path) {
      type = stepInto(type, step);
      if (type === undefined) return undefined;
    }
    return { min: 0, max: Math.min(type.maxElements, unknownMax) };
  };
}

const key = scalar(types.string, 2);

function stepInto(type: DeclaredType, step: string): DeclaredType | undefined {
  if (step === '@items' || step === '@values') return type.element;
  if (step === '@keys') return type.celType.kind === 'map' ? key : undefined;
  return type.fields?.get(step)?.type;
}
