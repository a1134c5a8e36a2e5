import { PodwrightError } from '#base/errors.ts';
import { cloneJson, jsonKind, isObject, setOwn, type Draft } from './json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { canonicalQuantity, wholeThousandths } from '#api/meta/quantity.ts';
import {
  containerOf,
  type DecodedObject,
  type NumberLiterals,
  type SchemaField,
  type TypeRef,
  type TypeSource,
} from '#api/schema/type-source.ts';
import { formatMicroTime, formatTime, parseTime } from '#api/meta/time.ts';

/** Beyond this many unknown fields, more are dropped without mention. */
export const unknownFieldCountMax = 100;

/**
 * Reads a JSON value as an object of the kind, or of any type: checks types, drops unknown fields, and gives the shape that Go's encoder
 * would (nulls and empty lists left out, zero values of fields without omitempty filled in, canonical quantities and times).
 * @throws {E_LIMIT} for a list of too many containers; detail: field, count, countMax
 * @throws {E_INVALID} with Go's text: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`; detail:
 * value, type
 */
export function decodeObject(type: TypeRef, input: unknown, literals?: NumberLiterals): DecodedObject {
  const whole = type.schema.decode?.(type.typeName, input, literals);
  if (whole !== undefined) return whole;
  const walk: Walk = { path: [], struct: '', unknownFields: [], literals };
  const object = typeDecoder(scopeOf(type.schema), type.typeName)(input, walk);
  return { object: isObject(object) ? object : {}, unknownFields: walk.unknownFields };
}

/** A field, an item, or what stands under a key of a map: Go's errors do not name keys. */
type PathPart = string | number | { readonly key: string };

/** Where the walk is, and what it has dropped. */
interface Walk {
  readonly path: PathPart[];
  struct: string;
  readonly unknownFields: string[];
  readonly literals: NumberLiterals | undefined;
}

type Decode = (value: unknown, walk: Walk) => unknown;

interface FieldPlan {
  readonly name: string;
  readonly decode: Decode;
  /** Leave out when zero or empty (Go's omitempty on what is no pointer). */
  readonly omitsEmpty: boolean;
}

interface StructPlan {
  readonly fields: ReadonlyMap<string, FieldPlan>;
  /** Fields that Go always writes, with their zero values. */
  readonly always: readonly (readonly [string, () => unknown])[];
}

/** A source of types, and the decoders that were made of them. */
interface Scope {
  readonly source: TypeSource;
  readonly decoders: Map<string, Decode>;
}

const scopes = new WeakMap<TypeSource, Scope>();

function scopeOf(source: TypeSource): Scope {
  const known = scopes.get(source);
  if (known !== undefined) return known;
  const made: Scope = { source, decoders: new Map() };
  scopes.set(source, made);
  return made;
}

function typeDecoder(scope: Scope, typeName: string): Decode {
  const known = scope.decoders.get(typeName);
  if (known !== undefined) return known;
  const made = makeTypeDecoder(scope, typeName);
  scope.decoders.set(typeName, made);
  return made;
}

function makeTypeDecoder(scope: Scope, typeName: string): Decode {
  const { fields, objectsAre } = scope.source.find(typeName) ?? {};
  if (objectsAre !== undefined) return unionDecoder(scope, objectsAre);
  if (fields === undefined) return cloneJson; // Free-form JSON.
  const short = typeName.slice(typeName.lastIndexOf('.') + 1);
  let plan: StructPlan | undefined; // Made on first use, for types contain themselves.
  return (value, walk) => {
    if (!isObject(value)) throw typeError(value, walk, goType(typeName));
    plan ??= planStruct(scope, typeName, fields);
    return decodeStruct(value, walk, { plan, short });
  };
}

/** A bool, a text, a struct, or a list of these. */
function unionDecoder(scope: Scope, objectsAre: string): Decode {
  const decode: Decode = (value, walk) => {
    if (Array.isArray(value)) return value.map((item: unknown) => decode(item, walk));
    if (!isObject(value)) return value;
    return typeDecoder(scope, objectsAre)(value, { ...walk, unknownFields: [] });
  };
  return decode;
}

function decodeStruct(value: JsonObject, walk: Walk, type: { plan: StructPlan; short: string }): Draft {
  const out: Draft = {};
  for (const key of Object.keys(value)) {
    const field = type.plan.fields.get(key);
    if (field === undefined) {
      noteUnknown(walk, key);
      continue;
    }
    const raw = value[key];
    if (raw === null || raw === undefined) continue;
    walk.path.push(key);
    walk.struct = type.short;
    const decoded = field.decode(raw, walk);
    walk.path.pop();
    if (!field.omitsEmpty || !isEmpty(decoded)) out[key] = decoded;
  }
  for (const [key, zero] of type.plan.always) {
    if (!Object.hasOwn(out, key)) out[key] = zero();
  }
  return out;
}

/** Amounts of resources by name (core/v1 ResourceList); what devices have, or are asked for, are no such. */
function isResourceList(typeName: string, type: string): boolean {
  return type === 'map:quantity' && !typeName.startsWith('resource.');
}

function planStruct(scope: Scope, typeName: string, schema: ReadonlyMap<string, SchemaField>): StructPlan {
  const always: [string, () => unknown][] = [];
  const fields = new Map<string, FieldPlan>();
  for (const [name, { type, omitsEmpty, absent }] of schema) {
    const decoded = isResourceList(typeName, type) ? 'map:amount' : type;
    fields.set(name, { name, decode: boundedDecoder(scope, decoded), omitsEmpty });
    const zero = absent === 'null' ? () => null : absent === 'zero' ? fieldZero(scope, type) : undefined;
    if (zero !== undefined) always.push([name, zero]);
  }
  return { fields, always };
}

/** What a field is that was not given and is shown all the same. */
function fieldZero(scope: Scope, type: string): (() => unknown) | undefined {
  const { shape } = containerOf(type);
  if (shape === 'list') return () => [];
  if (shape === 'map') return () => ({});
  if (scope.source.find(type)?.fields === undefined) return scalarZero(type);
  return () => typeDecoder(scope, type)({}, { path: [], struct: '', unknownFields: [], literals: undefined });
}

/** The zero that Go writes. */
function scalarZero(expression: string): (() => unknown) | undefined {
  switch (expression) {
    case 'string':
      return () => '';
    case 'bool':
      return () => false;
    case 'int32':
    case 'int64':
    case 'double':
    case 'intstr':
      return () => 0;
    case 'quantity':
      return () => '0';
    case 'time':
    case 'microtime':
      return () => null;
    default:
      return undefined;
  }
}

function expressionDecoder(scope: Scope, expression: string): Decode {
  const { shape, item } = containerOf(expression);
  if (shape === 'list') return listDecoder(scope, item);
  if (shape === 'map') return mapDecoder(scope, item);
  return scalarDecoders[expression] ?? ((value, walk) => typeDecoder(scope, expression)(value, walk));
}

/**
 * Containers of one pod, of each kind: each stands for some hundred values once it is defaulted, and no node could start a tenth of them.
 */
export const containerCountMax = 1000;

const containerLists = new Set(['[]core.v1.Container', '[]core.v1.EphemeralContainer']);

function boundedDecoder(scope: Scope, expression: string): Decode {
  const decode = expressionDecoder(scope, expression);
  if (!containerLists.has(expression)) return decode;
  return (value, walk) => {
    if (!Array.isArray(value) || value.length <= containerCountMax) return decode(value, walk);
    const field = formatPath(walk.path);
    throw new PodwrightError(
      'E_LIMIT',
      `decode ${field}: ${value.length} items, at most ${containerCountMax}`,
      {
        detail: { field, count: value.length, countMax: containerCountMax },
      },
    );
  };
}

function listDecoder(scope: Scope, item: string): Decode {
  const decode = expressionDecoder(scope, item);
  const type = `[]${goType(item)}`;
  const zero = itemZero(scope, item);
  return (value, walk) => {
    if (!Array.isArray(value)) throw typeError(value, walk, type);
    const { struct } = walk;
    return value.map((entry, index) => {
      walk.path.push(index);
      walk.struct = struct;
      const decoded = entry === null ? zero(walk) : decode(entry, walk);
      walk.path.pop();
      return decoded;
    });
  };
}

/** What Go makes of a null in a list or map: the zero value. */
function itemZero(scope: Scope, item: string): (walk: Walk) => unknown {
  const scalar = scalarZero(item);
  if (scalar !== undefined) return scalar;
  return (walk) =>
    scope.source.find(item)?.fields === undefined ? null : typeDecoder(scope, item)({}, walk);
}

function mapDecoder(scope: Scope, item: string): Decode {
  const decode = expressionDecoder(scope, item);
  const type = `map[string]${goType(item)}`;
  const zero = itemZero(scope, item);
  return (value, walk) => {
    if (!isObject(value)) throw typeError(value, walk, type);
    const { struct } = walk;
    const out: Draft = {};
    for (const key of Object.keys(value)) {
      walk.path.push({ key });
      walk.struct = struct;
      setOwn(out, key, value[key] === null ? zero(walk) : decode(value[key], walk));
      walk.path.pop();
    }
    return out;
  };
}

const scalarDecoders: Readonly<Record<string, Decode>> = {
  string: (value, walk) => (typeof value === 'string' ? value : fail(value, walk, 'string')),
  bool: (value, walk) => (typeof value === 'boolean' ? value : fail(value, walk, 'bool')),
  int32: (value, walk) => decodeInteger(value, walk, 'int32'),
  int64: (value, walk) => decodeInteger(value, walk, 'int64'),
  double: (value, walk) => (typeof value === 'number' ? value : fail(value, walk, 'float64')),
  bytes: decodeBytes,
  quantity: decodeQuantity,
  amount: (value) => wholeThousandths(decodeQuantity(value)),
  intstr: (value, walk) => (typeof value === 'string' ? value : decodeInteger(value, walk, 'int32')),
  time: (value, walk) => decodeTimestamp(value, walk, formatTime),
  microtime: (value, walk) => decodeTimestamp(value, walk, formatMicroTime),
  raw: cloneJson,
  json: cloneJson,
  any: cloneJson,
  object: cloneJson,
  fieldsv1: cloneJson,
};

function decodeInteger(value: unknown, walk: Walk, type: 'int32' | 'int64'): number {
  if (typeof value !== 'number') return fail(value, walk, type);
  const literal = walk.literals?.get(formatPath(walk.path));
  if (literal !== undefined) throw typeError(value, walk, type, `number ${literal}`);
  const limit = type === 'int32' ? 2 ** 31 : 2 ** 63;
  if (Number.isInteger(value) && value >= -limit && value < (type === 'int32' ? limit : limit + 1))
    return value;
  throw typeError(value, walk, type, `number ${value}`);
}

function decodeBytes(value: unknown, walk: Walk): string {
  if (typeof value !== 'string') return fail(value, walk, '[]uint8');
  const text = value.replaceAll(/[\r\n]/g, '');
  const bad = text.search(/[^A-Za-z0-9+/]/);
  const end = bad < 0 ? text.length : bad;
  const isPadded = text.length % 4 === 0 && /^={0,2}$/.test(text.slice(end));
  if (!isPadded) throw new PodwrightError('E_INVALID', `illegal base64 data at input byte ${end}`);
  return text;
}

const quantityTexts = new Map<string, string>();
const quantityTextCountMax = 1000;

function decodeQuantity(value: unknown): string {
  const text = String(value);
  const known = quantityTexts.get(text);
  if (known !== undefined) return known;
  const canonical = canonicalQuantity(typeof value === 'string' || typeof value === 'number' ? text : '');
  if (quantityTexts.size >= quantityTextCountMax) quantityTexts.clear();
  quantityTexts.set(text, canonical);
  return canonical;
}

function decodeTimestamp(
  value: unknown,
  walk: Walk,
  format: (ms: number, text: string) => string,
): string | null {
  if (typeof value !== 'string') return fail(value, walk, 'string');
  if (value === '') return null; // Go's zero time.
  return format(parseTime(value), value);
}

function isEmpty(value: unknown): boolean {
  if (value === '' || value === 0 || value === false || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== 'object') return false;
  return Object.keys(value).length === 0;
}

function noteUnknown(walk: Walk, key: string): void {
  if (walk.unknownFields.length < unknownFieldCountMax)
    walk.unknownFields.push(formatPath([...walk.path, key]));
}

function formatPath(path: readonly PathPart[]): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = typeof part === 'string' ? part : part.key;
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

function fail(value: unknown, walk: Walk, type: string): never {
  throw typeError(value, walk, type);
}

function typeError(value: unknown, walk: Walk, type: string, found = jsonKind(value)): PodwrightError {
  const fields = walk.path.filter((part) => typeof part === 'string');
  const where = fields.length === 0 ? 'value' : `struct field ${walk.struct}.${fields.join('.')}`;
  const message = `json: cannot unmarshal ${found} into Go ${where} of type ${type}`;
  return new PodwrightError('E_INVALID', message, { detail: { value, type } });
}

/** How Go names a type in its errors: `v1.PodSpec`, `map[string]string`. */
function goType(expression: string): string {
  if (expression.startsWith('[]')) return `[]${goType(expression.slice(2))}`;
  if (expression.startsWith('map:')) return `map[string]${goType(expression.slice(4))}`;
  const known: Readonly<Record<string, string>> = {
    quantity: 'resource.Quantity',
    amount: 'resource.Quantity',
    bytes: '[]uint8',
    double: 'float64',
  };
  return known[expression] ?? expression.split('.').slice(-2).join('.');
}
