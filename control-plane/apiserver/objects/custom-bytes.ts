import type { JsonObject } from '#api/meta/object.ts';
import { sortedMembers } from '#api/custom/sorted-json.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { objectOf } from '#api/wire/json.ts';
import { splicedAt, type StoredBytes } from './object-bytes.ts';

/*
 * Custom objects are sent with their members by the alphabet, as upstream encodes maps, and lists of them, too. They are stored as all
 * objects are, for what reads stored bytes, with the version that they are of behind their metadata.
 *
 *   stored   {"metadata":{"name":…,"uid":…,…},"apiVersion":"example.com/v1","spec":…}
 *   sent     {"apiVersion":"example.com/v1","kind":"Widget","metadata":{…,"name":…  ,"uid":…},"spec":…}
 *                                                                   ,"resourceVersion":"7" ↑
 */

/** A custom object as it is sent, without its revision: `Shown` puts it in. */
export function encodeSent(kind: Kind, object: JsonObject): Uint8Array {
  const { metadata, ...rest } = object;
  const { resourceVersion: _resourceVersion, ...fields } = objectOf(metadata);
  const names = Object.keys(fields);
  const before = sortedMembers(
    fields,
    names.filter((name) => name < 'resourceVersion'),
  ).join(',');
  const after = sortedMembers(
    fields,
    names.filter((name) => name > 'resourceVersion'),
  )
    .map((member) => `,${member}`)
    .join('');
  const typed = { ...rest, apiVersion: formatGroupVersion(kind), kind: kind.kind };
  const all = Object.keys(typed);
  const first = sortedMembers(
    typed,
    all.filter((name) => name < 'metadata'),
  );
  const last = sortedMembers(
    typed,
    all.filter((name) => name > 'metadata'),
  );
  const head = `{${first.join(',')},"metadata":{${before}`;
  const bytes = Buffer.from(`${head}${after}}${last.map((member) => `,${member}`).join('')}}`);
  return splicedAt(bytes, Buffer.byteLength(head));
}

/** How many bytes of encoded custom objects are kept. */
export const sentBytesMax = 33_554_432;

/** Encoded custom objects, kept for a while by what is stored and the kind that they are shown as. */
export class SentObjects {
  readonly #sent = new Map<Uint8Array, { readonly kind: Kind; readonly bytes: Uint8Array }>();
  #bytes = 0;

  /** How many bytes are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  get(kind: Kind, { value, modRevision }: StoredBytes, objectOf: () => JsonObject): StoredBytes {
    const known = this.#sent.get(value);
    if (known !== undefined && known.kind.custom === kind.custom) return { value: known.bytes, modRevision };
    const bytes = encodeSent(kind, objectOf());
    if (known !== undefined) this.#bytes -= known.bytes.byteLength;
    this.#sent.set(value, { kind, bytes });
    this.#bytes += bytes.byteLength;
    for (const [oldest, { bytes: gone }] of this.#sent) {
      if (this.#bytes <= sentBytesMax) break;
      this.#sent.delete(oldest);
      this.#bytes -= gone.byteLength;
    }
    return { value: bytes, modRevision };
  }

  /** What is stored is encoded anew when it is sent again. */
  forget(value: Uint8Array): void {
    const known = this.#sent.get(value);
    if (this.#sent.delete(value)) this.#bytes -= known?.bytes.byteLength ?? 0;
  }
}
