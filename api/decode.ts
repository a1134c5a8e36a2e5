import { PodwrightError } from '#base/errors.ts';
import { protoFacts, type ProtoField } from './facts.ts';
import { cloneJson, isObject, setOwn, type Draft } from './json.ts';
import { schemaType, type Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';
import { canonicalQuantity } from './quantity.ts';
import { formatMicroTime, formatTime, parseTime } from './time.ts';

/** What came of a JSON value. */
export interface DecodedObject {
  /** Normalised, with only known fields; shares nothing with the input. kind and apiVersion stay as they came. */
  readonly object: JsonObject;
  /** Paths of the fields that were dropped: `spec.containers[0].bogus`. At most `unknownFieldCountMax`. */
  readonly unknownFields: readonly string[];
}

/** Beyond this many unknown fields, more are dropped without mention. */
export const unknownFieldCountMax = 100;

/**
 * Reads a JSON value as an object of the kind: checks types, drops unknown fields, and gives the shape that Go's encoder
 * would (nulls and empty lists left out, zero values of fields without omitempty filled in, canonical quantities and times).
 * @throws {E_LIMIT} for a list of too many containers; detail: field, count, countMax
 * @throws {E_INVALID} with Go's text: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`
 */
export function decodeObject(
  kind: Pick<Kind, 'typeName' | 'kind'>,
  input: unknown,
  literals?: NumberLiterals,
): DecodedObject {
  return decodeType(kind.typeName, input, literals);
}

/** Whole numbers that were written as fractions or with an exponent, by their paths: Go takes them for no integers. */
export type NumberLiterals = ReadonlyMap<string, string>;

/** The same for any schema type. */
export function decodeType(typeName: string, input: unknown, literals?: NumberLiterals): DecodedObject {
  const walk: Walk = { path: [], struct: '', unknownFields: [], literals };
  const object = typeDecoder(typeName)(input, walk);
  return { object: isObject(object) ? object : {}, unknownFields: walk.unknownFields };
}

/** Where the walk is, and what it has dropped. */
interface Walk {
  readonly path: (string | number)[];
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

const decoders = new Map<string, Decode>();

function typeDecoder(typeName: string): Decode {
  const known = decoders.get(typeName);
  if (known !== undefined) return known;
  const made = makeTypeDecoder(typeName);
  decoders.set(typeName, made);
  return made;
}

function makeTypeDecoder(typeName: string): Decode {
  const fact = schemaType(typeName);
  if (fact?.f === undefined) return cloneJson; // A union of shapes (JSONSchemaPropsOrBool) or free-form JSON.
  const short = typeName.slice(typeName.lastIndexOf('.') + 1);
  let plan: StructPlan | undefined; // Made on first use, for types contain themselves.
  return (value, walk) => {
    if (!isObject(value)) throw typeError(value, walk, goType(typeName));
    plan ??= planStruct(typeName);
    return decodeStruct(value, walk, { plan, short });
  };
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

function planStruct(typeName: string): StructPlan {
  const fact = schemaType(typeName);
  const proto = protoFields(typeName);
  const required = new Set(fact?.r);
  const always: [string, () => unknown][] = [];
  const fields = new Map<string, FieldPlan>();
  for (const [name, value] of Object.entries(fact?.f ?? {})) {
    const expression = typeof value === 'string' ? value : value[0];
    const flag = proto?.get(name)?.[2];
    const isContainer = expression.startsWith('[]') || expression.startsWith('map:');
    const isStruct = schemaType(expression)?.f !== undefined;
    const isNulled = nullWhenEmpty.has(`${typeName}.${name}`);
    const isKept = isContainer ? required.has(name) && !isNulled : isStruct || flag !== 1;
    const decode = isContainer ? boundedDecoder(expression) : expressionDecoder(expression);
    fields.set(name, { name, decode, omitsEmpty: !isKept });
    const zero = isNulled
      ? () => null
      : isContainer
        ? emptyContainer(expression, required.has(name) && proto !== undefined)
        : isStruct
          ? structZero(expression, flag)
          : scalarZero(expression, isTimeAlwaysShown(name, expression, flag) ? 2 : flag);
    if (zero !== undefined) always.push([name, zero]);
  }
  return { fields, always };
}

/**
 * Lists without omitempty that Go shows as null (kube-apiserver 1.36.2). Others of the kind are shown as [], which every client takes
 * as the same and which spares JavaScript ones a null.
 */
const nullWhenEmpty: ReadonlySet<string> = new Set([
  'storage.v1.CSINodeSpec.drivers',
  'autoscaling.v2.HorizontalPodAutoscalerStatus.currentMetrics',
  'apiextensions.v1.CustomResourceDefinitionStatus.conditions',
]);

function emptyContainer(expression: string, isAlways: boolean): (() => unknown) | undefined {
  if (!isAlways) return undefined;
  return expression.startsWith('[]') ? () => [] : () => ({});
}

/** omitempty does not leave out a struct, and Time is one: only creationTimestamp (omitzero) goes missing when zero. */
function isTimeAlwaysShown(name: string, expression: string, flag: 1 | 2 | undefined): boolean {
  return flag === 1 && (expression === 'time' || expression === 'microtime') && name !== 'creationTimestamp';
}

/** Structs that are no pointers are always shown; ObjectMeta is one everywhere. */
function structZero(typeName: string, flag: 1 | 2 | undefined): (() => unknown) | undefined {
  if (flag === undefined && typeName !== 'meta.v1.ObjectMeta') return undefined;
  return () => typeDecoder(typeName)({}, { path: [], struct: '', unknownFields: [], literals: undefined });
}

/** The zero of a field that Go writes even when zero (flag 2 of the proto facts). */
function scalarZero(expression: string, flag: 1 | 2 | undefined): (() => unknown) | undefined {
  if (flag !== 2) return undefined;
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

/** Proto fields of a type under their JSON names, those of inlined messages among them; undefined without facts. */
function protoFields(typeName: string): ReadonlyMap<string, ProtoField> | undefined {
  const facts = protoFacts();
  const message = facts.messages[typeName];
  if (message === undefined) return undefined;
  const { rename = {}, inline = [] } = facts.json[typeName] ?? {};
  const fields = new Map<string, ProtoField>();
  for (const [name, field] of Object.entries(message)) {
    if (inline.includes(name)) {
      for (const [inner, value] of protoFields(field[1]) ?? []) fields.set(inner, value);
    } else fields.set(rename[name] ?? name, field);
  }
  return fields;
}

function expressionDecoder(expression: string): Decode {
  if (expression.startsWith('[]')) return listDecoder(expression.slice(2));
  if (expression.startsWith('map:')) return mapDecoder(expression.slice(4));
  return scalarDecoders[expression] ?? ((value, walk) => typeDecoder(expression)(value, walk));
}

/**
 * Containers of one pod, of each kind: each stands for some hundred values once it is defaulted, and no node could start a tenth of them.
 */
export const containerCountMax = 1000;

const containerLists = new Set(['[]core.v1.Container', '[]core.v1.EphemeralContainer']);

function boundedDecoder(expression: string): Decode {
  const decode = expressionDecoder(expression);
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

function listDecoder(item: string): Decode {
  const decode = expressionDecoder(item);
  const type = `[]${goType(item)}`;
  const zero = itemZero(item);
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
function itemZero(item: string): (walk: Walk) => unknown {
  const scalar = scalarZero(item, 2);
  if (scalar !== undefined) return scalar;
  return (walk) => (schemaType(item)?.f === undefined ? null : typeDecoder(item)({}, walk));
}

function mapDecoder(item: string): Decode {
  const decode = expressionDecoder(item);
  const type = `map[string]${goType(item)}`;
  const zero = itemZero(item);
  return (value, walk) => {
    if (!isObject(value)) throw typeError(value, walk, type);
    const { struct } = walk;
    const out: Draft = {};
    for (const key of Object.keys(value)) {
      walk.path.push(key);
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

function formatPath(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

function fail(value: unknown, walk: Walk, type: string): never {
  throw typeError(value, walk, type);
}

function typeError(value: unknown, walk: Walk, type: string, found = jsonKind(value)): PodwrightError {
  const fields = walk.path.filter((part) => typeof part === 'string');
  const where = fields.length === 0 ? 'value' : `struct field ${walk.struct}.${fields.join('.')}`;
  return new PodwrightError('E_INVALID', `json: cannot unmarshal ${found} into Go ${where} of type ${type}`);
}

function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** How Go names a type in its errors: `v1.PodSpec`, `map[string]string`. */
function goType(expression: string): string {
  if (expression.startsWith('[]')) return `[]${goType(expression.slice(2))}`;
  if (expression.startsWith('map:')) return `map[string]${goType(expression.slice(4))}`;
  const known: Readonly<Record<string, string>> = {
    quantity: 'resource.Quantity',
    bytes: '[]uint8',
    double: 'float64',
  };
  return known[expression] ?? expression.split('.').slice(-2).join('.');
}
