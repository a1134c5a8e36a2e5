import type { JsonObject } from '#api/meta/object.ts';
import { age } from '#api/table/text.ts';
import { nameOf } from '#api/table/object.ts';
import type { TableColumn } from '#api/table/table.ts';
import { goJson, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { goFloat } from '#api/structural/go-number.ts';
import { isPodwrightError } from '#base/errors.ts';
import { findByPath } from './find.ts';
import { parseJsonPath, type JsonPath } from './json-path.ts';

/** The columns of a custom kind: what clients are told of them, and the cells of an object. `now` is in milliseconds. */
export interface CustomColumns {
  readonly columns: readonly TableColumn[];
  readonly cells: (object: JsonObject, now: number) => readonly unknown[];
}

const nameText =
  'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names';
const ageText =
  'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata';

const ageColumn = {
  name: 'Age',
  type: 'date',
  description: ageText,
  jsonPath: '.metadata.creationTimestamp',
};

/**
 * Columns of `additionalPrinterColumns` of a version, behind the name; without any, the age (apiextensions-apiserver
 * pkg/registry/customresource/tableconvertor). A cell is null where its path leads nowhere, or to what is not of its type.
 */
export function customColumns(additional: unknown): CustomColumns {
  const given = objectsOf(additional);
  const read = (given.length === 0 ? [ageColumn] : given).map(readColumn);
  const name: TableColumn = {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: nameText,
    priority: 0,
  };
  return {
    columns: [name, ...read.map(({ column }) => column)],
    cells: (object, now) => [
      nameOf(object),
      ...read.map(({ column, path }) => {
        const [value] = path === undefined ? [] : findByPath(path, object);
        return value === undefined || value === null ? null : cellOf(column.type, value, now);
      }),
    ],
  };
}

function readColumn(json: JsonObject): { readonly column: TableColumn; readonly path: JsonPath | undefined } {
  const jsonPath = stringOf(json['jsonPath']);
  const column = {
    name: stringOf(json['name']),
    type: stringOf(json['type']),
    format: stringOf(json['format']),
    description:
      stringOf(json['description']) || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: numberOf(json['priority']),
  };
  return { column, path: tryParse(jsonPath) };
}

/** Definitions are taken with paths that nobody can follow: their cells are empty. */
function tryParse(path: string): JsonPath | undefined {
  try {
    return parseJsonPath(path);
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) return undefined;
    throw error;
  }
}

function cellOf(type: string, value: unknown, now: number): unknown {
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? dateCell(value, now) : null;
    case 'string':
      return textOf(value);
    default:
      return null;
  }
}

function dateCell(value: string, now: number): string {
  return Number.isNaN(Date.parse(value)) ? '<invalid>' : age(value, now);
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? goFloat(value) : goJson(value);
}
