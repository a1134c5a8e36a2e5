import assert from 'node:assert/strict';
import { objectOf } from '#api/json.ts';
import { formatGroupVersion, type Kind } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import type { StoredValue } from '#control-plane/store/store.ts';

/*
 * An object is encoded once. Stored bytes are its JSON without kind and apiVersion, beginning with metadata:
 *
 *   stored   {"metadata":{…,"resourceVersion":"7"},"spec":…}
 *   GET      {"kind":"Pod","apiVersion":"v1",  + stored from its second byte on
 *   LIST     {"kind":"PodList",…,"items":[     + stored, stored, …  + ]}
 *   WATCH    {"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",  + stored from its second byte on + }\n
 *   as PartialObjectMetadata   {"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",  + stored up to the end of metadata + }
 */

/** How an object is shown: pieces of which some are cut out of the stored bytes, to be joined. */
export type Shape = (stored: Uint8Array) => readonly Uint8Array[];

/** The bytes to store for an object, as of a revision. */
export function encodeStored(object: JsonObject, revision: number): Uint8Array {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object;
  const stamped = { metadata: stampMetadata(objectOf(metadata), String(revision)), ...rest };
  const text = JSON.stringify(stamped);
  // In memory of its own: a piece of Node's pool would keep the whole pool, and what it is kept for may stay for days.
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** Metadata in the order in which the API shows it, with the resourceVersion of this revision. */
function stampMetadata(metadata: JsonObject, resourceVersion: string): JsonObject {
  const { name, generateName, namespace, uid, resourceVersion: _old, ...rest } = metadata;
  return { name, generateName, namespace, uid, resourceVersion, ...rest };
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

/** The whole object. */
export function typedShape(kind: Kind): Shape {
  const prefix = typePrefix(kind.kind, formatGroupVersion(kind));
  return (stored) => [prefix, stored.subarray(1)];
}

/** The object with nothing but its metadata. */
export function partialShape(apiVersion: string): Shape {
  const prefix = typePrefix('PartialObjectMetadata', apiVersion);
  return (stored) => [prefix, stored.subarray(1, metadataEnd(stored)), objectEnd];
}

const objectEnd = Buffer.from('}');
const metadataStart = '{"metadata":'.length;
const [quote, backslash, openBrace, closeBrace] = [0x22, 0x5c, 0x7b, 0x7d] as const;

/** The place behind the metadata of stored bytes, found without parsing them: this is done for every write. */
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

/** Where the string that begins here has its closing quote. */
function stringEnd(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

/** An object as GET answers it. */
export function typedBytes(kind: Kind, stored: Uint8Array): Uint8Array {
  return Buffer.concat(typedShape(kind)(stored));
}

const eventEnd = Buffer.from('}\n');
const eventStarts = new Map(
  ['ADDED', 'MODIFIED', 'DELETED'].map((type) => [type, Buffer.from(`{"type":"${type}","object":`)]),
);

/** A watch event, as one line. */
export function eventBytes(
  type: 'ADDED' | 'MODIFIED' | 'DELETED',
  shape: Shape,
  stored: Uint8Array,
): Uint8Array {
  return Buffer.concat([eventStarts.get(type) ?? eventEnd, ...shape(stored), eventEnd]);
}

/**
 * Parsed objects of stored values, kept for a while: watches with selectors, admission and the next write read what was just
 * written. Entries are found by the identity of the bytes, which never change.
 */
export class ParsedObjects {
  readonly #parsed = new Map<Uint8Array, JsonObject>();
  readonly #countMax: number;

  constructor(countMax = 1024) {
    this.#countMax = countMax;
  }

  /** The object of a stored value, with kind and apiVersion. */
  read(kind: Kind, value: Pick<StoredValue, 'value'>): JsonObject {
    const known = this.#parsed.get(value.value);
    if (known !== undefined) return known;
    const stored: unknown = JSON.parse(
      Buffer.from(value.value.buffer, value.value.byteOffset, value.value.byteLength).toString(),
    );
    const object = { kind: kind.kind, apiVersion: formatGroupVersion(kind), ...objectOf(stored) };
    this.#parsed.set(value.value, object);
    if (this.#parsed.size > this.#countMax) {
      const [oldest] = this.#parsed.keys();
      if (oldest !== undefined) this.#parsed.delete(oldest);
    }
    return object;
  }
}
