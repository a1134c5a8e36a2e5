import { PodwrightError } from '#base/errors.ts';
import type { ConfigMap, KeyToPath, Secret } from '#api/generated/objects.ts';
import type { ContentRoom } from './content-room.ts';

/** A file of a volume made of API data. */
export interface PayloadFile {
  readonly data: Uint8Array;
  readonly mode: number;
  /** Owner of the file; undefined: root. */
  readonly uid?: number | undefined;
}

/** By path relative to the volume. */
export type Payload = ReadonlyMap<string, PayloadFile>;

/** What a `configMap` or `secret` source, or one of a projected volume, asks for. */
export interface ItemSelection {
  readonly items?: readonly KeyToPath[] | undefined;
  readonly optional?: boolean | undefined;
  readonly defaultMode: number;
  /** `configmap ns/name`, for messages, and whose keys they are. */
  readonly what: string;
  readonly keys: 'config' | 'secret';
  readonly content: ContentRoom;
}

/** The keys and bytes of a ConfigMap. */
export function configMapData(object: ConfigMap): ReadonlyMap<string, Uint8Array> {
  const text = Object.entries(object.data ?? {}).map(([key, value]): [string, Uint8Array] => [
    key,
    Buffer.from(value),
  ]);
  const binary = decodeAll(object.binaryData);
  return new Map([...text, ...binary]);
}

export function secretData(object: Secret): ReadonlyMap<string, Uint8Array> {
  return new Map(decodeAll(object.data));
}

function decodeAll(data: Readonly<Record<string, string>> | undefined): readonly [string, Uint8Array][] {
  return Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]);
}

/** All keys, or the items asked for under their paths. @throws {E_NOT_FOUND} for a key that is not there, {E_LIMIT} for more than there is room for */
export function selectItems(data: ReadonlyMap<string, Uint8Array>, selection: ItemSelection): Payload {
  const { items, defaultMode, optional, what, keys, content } = selection;
  const payload = new Map<string, PayloadFile>();
  const put = (path: string, file: PayloadFile): void => {
    content.take(file.data.length);
    payload.set(checkPath(path), file);
  };
  if (items === undefined || items.length === 0) {
    for (const [key, bytes] of data) put(key, { data: bytes, mode: defaultMode });
    return payload;
  }
  for (const { key, path, mode } of items) {
    const bytes = data.get(key);
    if (bytes !== undefined) put(path, { data: bytes, mode: mode ?? defaultMode });
    else if (optional !== true)
      throw new PodwrightError('E_NOT_FOUND', `${what} references non-existent ${keys} key: ${key}`);
  }
  return payload;
}

/**
 * A relative path without `..`, as the API demands, in its shortest form: `a//b` and `a/./b` are `a/b` (kubelet's AtomicWriter).
 * @throws {E_INVALID}
 */
export function checkPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const short = parts.join('/');
  // The first name that begins with two dots would be the volume's own.
  if (short === '' || path.startsWith('/') || parts.includes('..') || short.startsWith('..')) {
    throw new PodwrightError(
      'E_INVALID',
      `invalid path ${JSON.stringify(path)} in a volume: must be relative and without '..'`,
    );
  }
  if (short.includes('\0'))
    throw new PodwrightError('E_INVALID', `invalid path ${JSON.stringify(path)} in a volume: has a NUL`);
  return short;
}
