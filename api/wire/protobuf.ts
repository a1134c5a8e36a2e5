import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { protoFacts, type ProtoField } from '#api/facts/facts.ts';
import { setOwn, type Draft } from './json.ts';
import { currentApiVersion } from '#api/schema/kinds.ts';
import { parseJsonStrict } from './parse-json.ts';
import { ProtobufReader, type WireType } from './protobuf-reader.ts';
import { formatMicroTime, formatTime } from '#api/meta/time.ts';

/** The content type of Kubernetes’ protobuf bodies. */
export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

/** Messages nested deeper than this are refused. */
export const protobufDepthMax = 100;

const magic = [0x6b, 0x38, 0x73, 0x00]; // "k8s\0", the envelope of runtime.Unknown

/**
 * A body in Kubernetes' protobuf envelope as the JSON value that stands for it. Unknown fields are skipped.
 * Source: k8s.io/apimachinery runtime/serializer/protobuf; fields from proto-1.36.json.
 * @throws {E_INVALID} when it is malformed or of a type without facts
 */
export function decodeProtobufBody(bytes: Uint8Array): unknown {
  return decodeEnveloped(bytes, 0);
}

/** `depth` is that of the message which this one is in. */
function decodeEnveloped(bytes: Uint8Array, depth: number): unknown {
  if (!magic.every((byte, index) => bytes[index] === byte)) {
    throw new PodwrightError(
      'E_INVALID',
      'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    );
  }
  const { apiVersion, kind, raw } = readEnvelope(new ProtobufReader(bytes, magic.length));
  const message = messageOf(apiVersion, kind);
  const value = readMessage(new ProtobufReader(raw), message, depth);
  return { ...(kind === '' ? {} : { kind }), ...(apiVersion === '' ? {} : { apiVersion }), ...value };
}

/** A bare message (without envelope) of a type of the facts. */
export function decodeProtobufMessage(typeName: string, bytes: Uint8Array): Draft {
  return readMessage(new ProtobufReader(bytes), typeName, 0);
}

function readEnvelope(reader: ProtobufReader): { apiVersion: string; kind: string; raw: Uint8Array } {
  const envelope = { apiVersion: '', kind: '', raw: new Uint8Array() };
  while (!reader.isAtEnd) {
    const { field, wire } = reader.readTag();
    if (field === 1 && wire === 2)
      Object.assign(envelope, readMessage(reader.readMessage(), 'runtime.TypeMeta', 0));
    else if (field === 2 && wire === 2) envelope.raw = new Uint8Array(reader.readBytes());
    else reader.skip(wire);
  }
  return envelope;
}

/** `apps/v1` Deployment is apps.v1.Deployment; options and lists of meta.v1 go by their kind alone. */
function messageOf(apiVersion: string, kind: string): string {
  const [version = '', group = 'core'] = currentApiVersion(apiVersion, kind).split('/').toReversed();
  const candidates = [`${group.split('.')[0]}.${version}.${kind}`, `meta.v1.${kind}`];
  const found = candidates.find((name) => Object.hasOwn(protoFacts().messages, name));
  if (found === undefined) {
    throw new PodwrightError('E_INVALID', `no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  return found;
}

interface FieldPlan {
  readonly name: string;
  readonly read: ReadField;
  /** Leave out zero values (Go non-pointer with omitempty). */
  readonly omitsZero: boolean;
  readonly isRepeated: boolean;
  readonly isMap: boolean;
  /** Members go straight into the parent (an embedded struct). */
  readonly isInline: boolean;
}

interface MessagePlan {
  readonly fields: ReadonlyMap<number, FieldPlan>;
  /** Fields that JSON shows even when absent on the wire, with their zero value. */
  readonly always: readonly (readonly [string, unknown])[];
}

type ReadField = (reader: ProtobufReader, wire: WireType, depth: number) => unknown;

const plans = new Map<string, MessagePlan>();

function planOf(typeName: string): MessagePlan {
  const known = plans.get(typeName);
  if (known !== undefined) return known;
  const { rename = {}, inline = [] } = protoFacts().json[typeName] ?? {};
  const fields = new Map<number, FieldPlan>();
  const always: [string, unknown][] = [];
  for (const [protoName, fact] of Object.entries(protoFacts().messages[typeName] ?? {})) {
    const name = rename[protoName] ?? protoName;
    fields.set(fact[0], planField(name, fact, inline.includes(protoName)));
    const zero = fact[2] === 2 ? zeroOf(fact[1]) : undefined;
    if (zero !== undefined) always.push([name, zero]);
  }
  const plan = { fields, always };
  plans.set(typeName, plan);
  return plan;
}

function planField(name: string, [, expression, flag]: ProtoField, isInline: boolean): FieldPlan {
  const isRepeated = expression.startsWith('[]');
  const isMap = expression.startsWith('map:');
  const item = isRepeated ? expression.slice(2) : isMap ? expression.slice(4) : expression;
  const read = isMap ? mapEntryReader(valueReader(item)) : valueReader(item);
  return { name, read, omitsZero: flag === 1, isRepeated, isMap, isInline };
}

function zeroOf(expression: string): unknown {
  const zeros: Readonly<Record<string, unknown>> = {
    string: '',
    bool: false,
    int32: 0,
    int64: 0,
    'meta.v1.Time': null,
    'meta.v1.MicroTime': null,
  };
  return zeros[expression];
}

function readMessage(reader: ProtobufReader, typeName: string, depth: number): Draft {
  if (depth > protobufDepthMax) throw new PodwrightError('E_INVALID', 'proto: message nested too deep');
  const plan = planOf(typeName);
  const out: Draft = {};
  while (!reader.isAtEnd) {
    const { field, wire } = reader.readTag();
    const known = plan.fields.get(field);
    if (known === undefined) reader.skip(wire);
    else readInto(out, { known, reader, wire, depth });
  }
  for (const [name, zero] of plan.always) {
    if (!Object.hasOwn(out, name)) out[name] = zero;
  }
  return out;
}

function readInto(
  out: Draft,
  at: { known: FieldPlan; reader: ProtobufReader; wire: WireType; depth: number },
): void {
  const { known, reader, wire, depth } = at;
  if (known.isRepeated && wire === 2 && packable.has(known.read)) {
    const packed = reader.readMessage();
    while (!packed.isAtEnd) {
      packed.count();
      append(out, known.name, known.read(packed, 0, depth));
    }
    return;
  }
  const value = known.read(reader, wire, depth + 1);
  if (known.isInline) Object.assign(out, value);
  else if (known.isRepeated) append(out, known.name, value);
  else if (known.isMap) mergeEntry(out, known.name, value);
  else if (value !== undefined && !(known.omitsZero && isZero(value))) out[known.name] = value;
}

function append(out: Draft, name: string, value: unknown): void {
  const list = out[name];
  if (Array.isArray(list)) list.push(value);
  else out[name] = [value];
}

function mergeEntry(out: Draft, name: string, entry: unknown): void {
  const map = (out[name] ??= {}) as Draft;
  const { key, value } = entry as { key: string; value: unknown };
  setOwn(map, key, value);
}

function isZero(value: unknown): boolean {
  return value === '' || value === 0 || value === false || value === null;
}

function mapEntryReader(readValue: ReadField): ReadField {
  return (reader, wire, depth) => {
    expectWire(wire, 2);
    const entry = reader.readMessage();
    let key = '';
    let value: unknown;
    while (!entry.isAtEnd) {
      const tag = entry.readTag();
      if (tag.field === 1 && tag.wire === 2) key = textOf(entry.readBytes());
      else if (tag.field === 2) value = readValue(entry, tag.wire, depth);
      else entry.skip(tag.wire);
    }
    // An absent value is the zero value: that of an empty length-delimited field.
    return { key, value: value ?? readValue(new ProtobufReader(new Uint8Array([0])), 2, depth) };
  };
}

function valueReader(item: string): ReadField {
  const known = scalarReaders[item] ?? specialReaders[item];
  if (known !== undefined) return known;
  if (isListMessage(item)) {
    return (reader, wire, depth) => readChild(reader, wire, { item, depth })['items'] ?? [];
  }
  return (reader, wire, depth) => readChild(reader, wire, { item, depth });
}

function readChild(
  reader: ProtobufReader,
  wire: WireType,
  { item, depth }: { item: string; depth: number },
): Draft {
  expectWire(wire, 2);
  return readMessage(reader.readMessage(), item, depth);
}

/** Messages with only `items` of strings stand for a Go slice type: ExtraValue, Verbs. */
function isListMessage(typeName: string): boolean {
  const fields = protoFacts().messages[typeName] ?? {};
  return Object.keys(fields).length === 1 && fields['items']?.[1] === '[]string';
}

const readInteger: ReadField = (reader, wire) => {
  expectWire(wire, 0);
  return reader.readVarint();
};
const readBool: ReadField = (reader, wire) => {
  expectWire(wire, 0);
  return reader.readVarint() !== 0;
};
const readString: ReadField = (reader, wire) => {
  expectWire(wire, 2);
  return textOf(reader.readBytes());
};
const readBytes: ReadField = (reader, wire) => {
  expectWire(wire, 2);
  return reader.readBytes().toBase64();
};

/** Repeated numbers may come packed into one field. */
const packable: ReadonlySet<ReadField> = new Set([readInteger, readBool]);

const scalarReaders: Readonly<Record<string, ReadField>> = {
  string: readString,
  bytes: readBytes,
  bool: readBool,
  int32: readInteger,
  int64: readInteger,
};

/** Messages that JSON shows in a form of their own. */
const specialReaders: Readonly<Record<string, ReadField>> = {
  'meta.v1.Time': timeReader(formatTime),
  'meta.v1.MicroTime': timeReader((ms, nanos) => formatMicroTime(ms, `.${String(nanos).padStart(9, '0')}`)),
  'api.resource.Quantity': (reader, wire, depth) => {
    const { string } = readChild(reader, wire, { item: 'api.resource.Quantity', depth });
    return string === undefined || string === '' ? '0' : string;
  },
  'util.intstr.IntOrString': (reader, wire, depth) => {
    const { type, intVal, strVal } = readChild(reader, wire, { item: 'util.intstr.IntOrString', depth });
    return type === 1 ? (strVal ?? '') : (intVal ?? 0);
  },
  'meta.v1.FieldsV1': rawReader('Raw'),
  'runtime.RawExtension': rawReader('raw'),
};

function timeReader(format: (ms: number, nanos: number) => string): ReadField {
  return (reader, wire, depth) => {
    expectWire(wire, 2);
    const message = reader.readMessage();
    if (message.isAtEnd) return null;
    const { seconds = 0, nanos = 0 } = readMessage(message, 'meta.v1.Time', depth);
    const ms = Number(seconds) * 1000 + Math.floor(Number(nanos) / 1e6);
    if (!(ms >= yearMsMin && ms < yearMsMax))
      throw new PodwrightError('E_INVALID', 'proto: time out of range');
    return format(ms, Number(nanos));
  };
}

const yearMsMin = -62_135_596_800_000; // 0001-01-01, Go's zero time
const yearMsMax = Date.UTC(10_000, 0, 1);

function rawReader(field: string): ReadField {
  return (reader, wire, depth) => {
    expectWire(wire, 2);
    const message = reader.readMessage();
    let value: unknown = null;
    while (!message.isAtEnd) {
      const tag = message.readTag();
      if (tag.field === 1 && tag.wire === 2) value = parseRaw(message.readBytes(), { field, depth });
      else message.skip(tag.wire);
    }
    return value;
  };
}

function parseRaw(bytes: Uint8Array, { field, depth }: { field: string; depth: number }): unknown {
  if (bytes.length === 0) return null;
  // Each one within another is copied: a few levels are more than anybody has.
  if (magic.every((byte, index) => bytes[index] === byte))
    return decodeEnveloped(bytes, depth + protobufDepthMax / 4);
  try {
    return parseJsonStrict(textOf(bytes)).value;
  } catch (cause) {
    if (!isPodwrightError(cause, 'E_INVALID')) throw cause;
    throw new PodwrightError('E_INVALID', `proto: ${field} is not JSON`, { cause });
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function textOf(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

function expectWire(actual: WireType, wanted: WireType): void {
  if (actual !== wanted) throw new PodwrightError('E_INVALID', `proto: wrong wireType = ${actual}`);
}
