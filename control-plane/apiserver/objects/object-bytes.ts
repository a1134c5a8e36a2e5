import assert from 'node:assert/strict';
import { isObject, objectOf, structJson } from '#api/wire/json.ts';
import type { FieldSet } from '#api/patch/apply/field-set.ts';
import { textOfSet } from '#api/patch/apply/set-text.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { StoredValue } from '#control-plane/store/store.ts';

/*
 * An object is encoded once. Stored bytes are its JSON without kind, apiVersion and resourceVersion, beginning with metadata, and that with
 * what tells the object from others. The revision is put in when the bytes are sent: no store has to know it before it has written.
 *
 *   stored   {"metadata":{"name":…,"uid":"…"  ,"creationTimestamp":…},"spec":…}
 *   shown                                     ↑ ,"resourceVersion":"7"
 *   GET      {"kind":"Pod","apiVersion":"v1",  + shown from its second byte on
 *   LIST     {"kind":"PodList",…,"items":[     + shown, shown, …  + ]}
 *   WATCH    {"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",  + shown from its second byte on + }\n
 *   as PartialObjectMetadata   {"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",  + shown up to the end of metadata + }
 */

/** What is stored of an object, and the revision as of which it is shown. */
export type StoredBytes = Pick<StoredValue, 'value' | 'modRevision'>;

/** How an object is shown, apart from its revision. */
export interface Shape {
  /** Instead of the opening brace; empty where that stays. */
  readonly prefix: Buffer;
  readonly isPartial: boolean;
}

/** The bytes to store for an object; of a custom one they say of which version it is. */
export function encodeStored(object: JsonObject, isCustom = false): Uint8Array {
  const { kind: _kind, apiVersion, metadata, ...rest } = object;
  const members = isCustom ? { apiVersion, ...rest } : rest;
  const text = textOf(storedMetadata(objectOf(metadata)), objectOf(metadata)['managedFields'], members);
  // In memory of its own: a piece of Node's pool would keep the whole pool, and what it is kept for may stay for days.
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** Owners come last in metadata, as the API shows it, and by texts that are there already. */
function textOf(metadata: JsonObject, managedFields: unknown, rest: JsonObject): string {
  if (!Array.isArray(managedFields)) return structJson({ metadata, ...rest });
  const entries = managedFields.map(ownerText).join(',');
  const members = structJson(rest).slice(1);
  const more = members === '}' ? members : `,${members}`;
  return `{"metadata":${structJson(metadata).slice(0, -1)},"managedFields":[${entries}]}${more}`;
}

function ownerText(entry: unknown): string {
  const { fieldsV1, subresource, ...named } = objectOf(entry);
  if (!isObject(fieldsV1)) return structJson(entry);
  const part = subresource === undefined ? '' : `,"subresource":${structJson(subresource)}`;
  return `${structJson(named).slice(0, -1)},"fieldsV1":${textOfSet(fieldsV1 as FieldSet)}${part}}`;
}

/** Metadata in the order in which the API shows it. */
function storedMetadata(metadata: JsonObject): JsonObject {
  const {
    name,
    generateName,
    namespace,
    uid,
    resourceVersion: _resourceVersion,
    managedFields: _managedFields,
    ...rest
  } = metadata;
  return { name, generateName, namespace, uid, ...rest };
}

const prefixes = new Map<string, Buffer>();

/** `{"kind":"Pod","apiVersion":"v1",` */
function typePrefix(kind: string, apiVersion: string): Buffer {
  const id = `${apiVersion}/${kind}`;
  let prefix = prefixes.get(id);
  if (prefix === undefined) {
    prefix = Buffer.from(`{"kind":"${kind}","apiVersion":"${apiVersion}",`);
    prefixes.set(id, prefix);
  }
  return prefix;
}

const [quote, backslash, comma, dash, zero] = [0x22, 0x5c, 0x2c, 0x2d, 0x30] as const;
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d] as const;

/** The object without its type, as lists have it. */
export const bareShape: Shape = { prefix: Buffer.alloc(0), isPartial: false };

/** The whole object; what `storedOf` gives of a custom one is whole. */
export function typedShape(kind: Kind): Shape {
  if (kind.custom !== undefined) return bareShape;
  return { prefix: typePrefix(kind.kind, formatGroupVersion(kind)), isPartial: false };
}

/** The object with nothing but its metadata. */
export function partialShape(apiVersion: string): Shape {
  return { prefix: typePrefix('PartialObjectMetadata', apiVersion), isPartial: true };
}

/** How many bytes showing adds to what is stored, at most, a comma behind it among them. */
export function addedBytesMax({ prefix }: Shape): number {
  return prefix.length + revisionStart.length + digitsMax + 3;
}

/** Of a safe integer. */
const digitsMax = 16;
const metadataStart = '{"metadata":'.length;
const revisionStart = Buffer.from(',"resourceVersion":"');

/**
 * An object as it is sent: `prefix`, what is stored up to the `place` of the revision, that, and what is stored from `rest` to `end`.
 * Its bytes are copied from where they are stored to where they are sent from, once.
 */
export class Shown {
  readonly byteLength: number;
  readonly #shape: Shape;
  readonly #bytes: Buffer;
  readonly #revision: number;
  readonly #start: number;
  readonly #place: number;
  readonly #rest: number;
  readonly #end: number;

  constructor(shape: Shape, { value, modRevision }: StoredBytes) {
    this.#shape = shape;
    this.#bytes = bufferOf(value);
    this.#revision = modRevision;
    this.#start = shape.prefix.length === 0 ? 0 : 1;
    this.#place = identityEnd(value);
    this.#rest = revisionEnd(value, this.#place);
    this.#end = shape.isPartial ? metadataEnd(value) : value.length;
    this.byteLength =
      shape.prefix.length +
      (this.#place - this.#start) +
      revisionStart.length +
      digitsOf(modRevision) +
      1 +
      (this.#end - this.#rest) +
      (shape.isPartial ? 1 : 0);
  }

  /** @returns the place behind it */
  copyTo(out: Buffer, start: number): number {
    let at = start;
    if (this.#start > 0) at += this.#shape.prefix.copy(out, at);
    at += this.#bytes.copy(out, at, this.#start, this.#place);
    // Byte by byte: so few are copied faster here than by a call.
    for (let from = 0; from < revisionStart.length; from++) out[at++] = revisionStart[from] ?? 0;
    at = writeDigits(out, at, this.#revision);
    out[at++] = quote;
    at += this.#bytes.copy(out, at, this.#rest, this.#end);
    if (this.#shape.isPartial) out[at++] = closeBrace;
    return at;
  }

  toBytes(): Buffer {
    const bytes = Buffer.allocUnsafe(this.byteLength);
    this.copyTo(bytes, 0);
    return bytes;
  }

  /** The same, what is large of it not copied. */
  pieces(): readonly Uint8Array[] {
    const { prefix, isPartial } = this.#shape;
    const revision = Buffer.from(`${revisionStart.toString()}${this.#revision}"`);
    const head = Buffer.concat([prefix, this.#bytes.subarray(this.#start, this.#place), revision]);
    const rest = this.#bytes.subarray(this.#rest, this.#end);
    return isPartial ? [head, rest, Buffer.from([closeBrace])] : [head, rest];
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function digitsOf(revision: number): number {
  let digits = 1;
  for (let bound = 10; revision >= bound; bound *= 10) digits++;
  return digits;
}

function writeDigits(out: Buffer, start: number, revision: number): number {
  const end = start + digitsOf(revision);
  let rest = revision;
  for (let at = end - 1; at >= start; at--) {
    const next = Math.floor(rest / 10);
    out[at] = zero + (rest - next * 10);
    rest = next;
  }
  return end;
}

const [letterG, letterN, letterU] = [0x67, 0x6e, 0x75] as const;

/**
 * How long the name of the member is that begins here, if it is one of those that tell an object from others; 0 for another. No other
 * member of metadata has such a letter and such a length.
 */
function identityLength(stored: Uint8Array, at: number): number {
  switch (stored[at + 1]) {
    case letterN:
      if (stored[at + 'name'.length + 1] === quote) return 'name'.length;
      return stored[at + 'namespace'.length + 1] === quote ? 'namespace'.length : 0;
    case letterU:
      return stored[at + 'uid'.length + 1] === quote ? 'uid'.length : 0;
    case letterG:
      return stored[at + 'generateName'.length + 1] === quote ? 'generateName'.length : 0;
    default:
      return 0;
  }
}

const identityEndOf = Symbol('where its identity ends');

/** The place behind those members of metadata that tell an object from others, remembered with the bytes: this is asked for every answer. */
function identityEnd(stored: Uint8Array & { [identityEndOf]?: number }): number {
  return (stored[identityEndOf] ??= findIdentityEnd(stored));
}

/** The bytes, which are not as they are stored, with the place where the revision belongs. */
export function splicedAt(bytes: Uint8Array, place: number): Uint8Array {
  Object.assign(bytes, { [identityEndOf]: place });
  return bytes;
}

/** Found without parsing. */
function findIdentityEnd(stored: Uint8Array): number {
  let place = metadataStart + 1;
  for (let at = place; stored[at] === quote; at = place + 1) {
    const length = identityLength(stored, at);
    if (length === 0) break;
    place = isUuid(stored, at + length + 4) ? at + length + 41 : stringEnd(stored, at + length + 3) + 1;
    if (stored[place] !== comma) break;
  }
  return place;
}

/** Looked at where it counts: what has these four and an end there is the UUID that it looks like. */
function isUuid(stored: Uint8Array, start: number): boolean {
  return (
    stored[start + 36] === quote &&
    stored[start + 8] === dash &&
    stored[start + 13] === dash &&
    stored[start + 18] === dash &&
    stored[start + 23] === dash
  );
}

/** Stores of earlier releases have the revision in the bytes: it is left out. */
function revisionEnd(stored: Uint8Array, place: number): number {
  for (let at = 0; at < revisionStart.length; at++)
    if (stored[place + at] !== revisionStart[at]) return place;
  return stringEnd(stored, place + revisionStart.length - 1) + 1;
}

/** The place behind the metadata of stored bytes, found without parsing them. */
function metadataEnd(stored: Uint8Array): number {
  let depth = 0;
  for (let at = metadataStart; at < stored.length; at++) {
    const byte = stored[at];
    if (byte === quote) at = stringEnd(stored, at);
    else if (byte === openBrace) depth++;
    else if (byte === closeBrace && --depth === 0) return at + 1;
  }
  assert.fail('stored bytes begin with metadata');
}

/** Where the value of a member of metadata is, other than those that tell the object from others; found without parsing. */
export function metadataMember(
  stored: Uint8Array,
  name: string,
): { readonly start: number; readonly end: number } | undefined {
  let before = identityEnd(stored);
  while (stored[before] === comma && stored[before + 1] === quote) {
    const nameEnd = stringEnd(stored, before + 1);
    const start = nameEnd + 2; // Behind the quote and the colon.
    const end = valueEnd(stored, start);
    if (isText(stored, before + 2, nameEnd, name)) return { start, end };
    before = end;
  }
  return undefined;
}

function isText(stored: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let at = 0; at < text.length; at++) if (stored[start + at] !== text.charCodeAt(at)) return false;
  return true;
}

/** The place behind the value that begins here. */
function valueEnd(stored: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start; at < stored.length; at++) {
    const byte = stored[at];
    if (byte === quote) at = stringEnd(stored, at);
    else if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth <= 0) return depth === 0 ? at + 1 : at;
    if (depth === 0 && stored[at + 1] === comma) return at + 1;
  }
  return stored.length;
}

/** Where the string that begins here has its closing quote. */
function stringEnd(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

const eventEnd = Buffer.from('}\n');
const eventStarts = new Map(
  ['ADDED', 'MODIFIED', 'DELETED'].map((type) => [type, Buffer.from(`{"type":"${type}","object":`)]),
);

/** A watch event, as one line. */
export function eventBytes(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: Shown): Uint8Array {
  const start = eventStarts.get(type) ?? eventEnd;
  const bytes = Buffer.allocUnsafe(start.length + object.byteLength + eventEnd.length);
  eventEnd.copy(bytes, object.copyTo(bytes, start.copy(bytes)));
  return bytes;
}

/** How many parsed objects are kept, and of how many stored bytes: parsed, an object takes several times as many. */
const parsedCountMax = 1024;
export const parsedBytesMax = 4_194_304;

type Parse = (kind: Kind, stored: StoredBytes) => JsonObject;

function parseStored(kind: Kind, stored: StoredBytes): JsonObject {
  return JSON.parse(new Shown(typedShape(kind), stored).toBytes().toString());
}

/** What is stored of a custom object, with its revision and the apiVersion that it was stored in. */
export function parseCustom(stored: StoredBytes): JsonObject {
  return JSON.parse(new Shown(bareShape, stored).toBytes().toString());
}

interface ParsedObject {
  /** What it was read as: a kind that is replaced may leave the objects where they are. */
  readonly kind: Kind;
  readonly object: JsonObject;
  readonly revision: number;
}

/** The revision of what was encoded and has none before it is written. */
const notWritten = 0;

/**
 * Parsed objects of stored values, kept for a while: watches with selectors, admission and the next write read what was just
 * written. Entries are found by the identity of the bytes, which never change.
 */
export class ParsedObjects {
  readonly #parsed = new Map<Uint8Array, ParsedObject>();
  #bytes = 0;

  /** How many stored bytes the objects have that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The object of a stored value, with kind, apiVersion and resourceVersion; `parse` where it is not in the bytes as it is shown. */
  read(kind: Kind, stored: StoredBytes, parse: Parse = parseStored): JsonObject {
    const { value, modRevision } = stored;
    const known = this.#parsed.get(value);
    if (known?.kind === kind && known.revision === modRevision) return known.object;
    if (known?.kind === kind && known.revision !== notWritten) return asOf(known.object, modRevision);
    const object = known?.kind === kind ? asOf(known.object, modRevision) : parse(kind, stored);
    this.#keep(value, { kind, object, revision: modRevision });
    return object;
  }

  /** What has just been encoded as these bytes, and is changed by nobody from now on: it need not be parsed to be read again. */
  keepWritten(kind: Kind, value: Uint8Array, written: JsonObject): void {
    const object = { ...written, kind: kind.kind, apiVersion: formatGroupVersion(kind) };
    this.#keep(value, { kind, object, revision: notWritten });
  }

  #keep(value: Uint8Array, parsed: ParsedObject): void {
    if (!this.#parsed.has(value)) this.#bytes += value.byteLength;
    this.#parsed.set(value, parsed);
    for (const oldest of this.#parsed.keys()) {
      if (this.#parsed.size <= parsedCountMax && this.#bytes <= parsedBytesMax) break;
      this.#parsed.delete(oldest);
      this.#bytes -= oldest.byteLength;
    }
  }

  /** The value is parsed anew when it is read again. */
  forget(value: Uint8Array): void {
    if (this.#parsed.delete(value)) this.#bytes -= value.byteLength;
  }
}

/** What is deleted is shown as it was, as of the revision of its going. */
function asOf(object: JsonObject, revision: number): JsonObject {
  return { ...object, metadata: { ...objectOf(object['metadata']), resourceVersion: String(revision) } };
}
