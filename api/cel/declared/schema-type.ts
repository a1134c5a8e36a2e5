import { types, type ListSemantics } from '#api/cel/check/cel-type.ts';
import { parseSchema } from '#api/structural/parse.ts';
import {
  isEmbedded,
  isIntOrString,
  memberSchema,
  type StructuralSchema,
} from '#api/structural/structural-schema.ts';
import {
  declaredList,
  declaredMap,
  declaredObject,
  scalar,
  type DeclaredField,
  type DeclaredType,
} from './declared-type.ts';
import { escapeName } from './escape.ts';

/** Bytes of the largest request (apiserver/pkg/apis/cel, MaxRequestSizeBytes). */
export const requestBytesMax: number = 3 * 1024 * 1024;

/** Bytes of texts of formats, with their quotes (apiserver/pkg/cel/limits.go). */
const formats = {
  duration: { type: types.duration, min: 3, max: 32 },
  date: { type: types.timestamp, min: 12, max: 12 },
  'date-time': { type: types.timestamp, min: 21, max: 32 },
} as const;

/**
 * What expressions make of values of a structural schema (apiserver/pkg/cel/common/schemas.go); undefined for what they do not see: a value
 * of a type that the schema does not say.
 *
 * @param name what messages call it, where it is an object
 * @param isResource whether it is a whole object, whose kind, apiVersion, name and generateName are always there
 */
export function schemaType(
  schema: StructuralSchema,
  name: string,
  isResource: boolean,
): DeclaredType | undefined {
  if (isIntOrString(schema)) return scalar(types.dyn, 1, textMax(schema, requestBytesMax - 2));
  switch (schema.type) {
    case 'array':
      return arrayType(schema, name);
    case 'object':
      return objectType(schema, name, isResource);
    case 'string':
      return stringType(schema);
    case 'boolean':
      return scalar(types.bool, 4);
    case 'number':
      return scalar(types.double, 1);
    case 'integer':
      return scalar(types.int, 1);
    default:
      return undefined;
  }
}

function arrayType(schema: StructuralSchema, name: string): DeclaredType | undefined {
  const { items, checks } = schema;
  if (items === undefined) return undefined;
  const element = schemaType(items, `${name}.@idx`, isEmbedded(items));
  if (element === undefined) return undefined;
  const most = limitOf(checks?.maxItems) ?? Math.floor((requestBytesMax - 2) / (element.minBytes + 1));
  return declaredList(element, most, semanticsOf(schema));
}

/** What a list is by its schema, beside the order of its items. */
export function semanticsOf({ extensions }: StructuralSchema): ListSemantics | undefined {
  const kind = extensions?.listType;
  if (kind === 'set') return { kind };
  return kind === 'map' ? { kind, keys: extensions?.listMapKeys ?? [] } : undefined;
}

function objectType(schema: StructuralSchema, name: string, isResource: boolean): DeclaredType | undefined {
  const { checks } = schema;
  const others = memberSchema(schema);
  if (others !== undefined) {
    const element = schemaType(others, `${name}.@elem`, isEmbedded(others));
    if (element === undefined) return undefined;
    const most = limitOf(checks?.maxProperties) ?? Math.floor((requestBytesMax - 2) / (element.minBytes + 6));
    return declaredMap(element, most);
  }
  const required = new Set(checks?.required);
  const fields = new Map<string, DeclaredField>();
  let minBytes = 2;
  for (const [property, part] of propertiesOf(schema, isResource)) {
    const field = escapeName(property);
    const type = schemaType(part, `${name}.${field ?? property}`, isEmbedded(part));
    if (type === undefined) continue;
    if (field !== undefined) fields.set(field, { property, type });
    if (required.has(property) && part.default === undefined) minBytes += property.length + type.minBytes + 4;
  }
  return declaredObject(name, fields, minBytes);
}

const text = parseSchema({ type: 'string' });
const meta = parseSchema({
  type: 'object',
  properties: { name: { type: 'string' }, generateName: { type: 'string' } },
});

/** Of a whole object with what each has; its metadata is nothing else, unless the schema says all that. */
function propertiesOf(
  { properties = new Map() }: StructuralSchema,
  isResource: boolean,
): ReadonlyMap<string, StructuralSchema> {
  const isText = (schema: StructuralSchema | undefined): boolean => schema?.type === 'string';
  const metadata = properties.get('metadata')?.properties;
  const isWhole =
    isText(properties.get('kind')) &&
    isText(properties.get('apiVersion')) &&
    ['name', 'generateName'].every((name) => isText(metadata?.get(name)));
  if (!isResource || isWhole) return properties;
  return new Map([...properties, ['kind', text], ['apiVersion', text], ['metadata', meta]]);
}

function stringType(schema: StructuralSchema): DeclaredType {
  const { format = '', maxLength, enum: values = [] } = schema.checks ?? {};
  if (format === 'byte') return scalar(types.bytes, 2, limitOf(maxLength) ?? requestBytesMax - 2);
  const known =
    format === 'duration' || format === 'date' || format === 'date-time' ? formats[format] : undefined;
  if (known !== undefined) return scalar(known.type, known.min, known.max);
  const choices = values.filter((choice) => typeof choice === 'string');
  const longest = Math.max(0, ...choices.map((choice) => Buffer.byteLength(choice)));
  return scalar(types.string, 2, textMax(schema, choices.length > 0 ? longest : requestBytesMax - 2));
}

/** A character may be four bytes. */
function textMax({ checks }: StructuralSchema, otherwise: number): number {
  const max = limitOf(checks?.maxLength);
  return max === undefined ? otherwise : max * 4;
}

function limitOf(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.max(0, value);
}
