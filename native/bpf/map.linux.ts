/** Maps of bpf(2). Values are bytes; who makes them says what is in them. */
import { Buffer } from 'node:buffer';
import { kernelError } from '#native/sys/errno.ts';
import { OwnedFd } from '#native/sys/fd.ts';
import { addressOf } from '#native/sys/libc.ts';
import { attributesOf, BPF, call, nameBytes, type Field } from './call.linux.ts';

/** enum bpf_map_type, and whether memory is taken as entries come (BPF_F_NO_PREALLOC). */
const kinds = {
  hash: { type: 1, flags: 1 },
  lruHash: { type: 9, flags: 0 }, // The oldest entries give way.
  prefixes: { type: 11, flags: 1 }, // LPM_TRIE: keys begin with the length of the prefix, 32 bits
  ofSockets: { type: 24, flags: 1 }, // SK_STORAGE: goes with the socket; has no bound of its own
} as const;

const ENOENT = 2;

export interface MapShape {
  readonly name: string;
  readonly kind: keyof typeof kinds;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entriesMax: number;
}

/** @throws E_KERNEL, E_PERMISSION, E_UNSUPPORTED */
export function createMap(shape: MapShape): OwnedFd {
  using stack = new DisposableStack();

  const { type, flags } = kinds[shape.kind];
  const isOfSockets = shape.kind === 'ofSockets';
  const fields: Field[] = [
    [0, type],
    [4, shape.keyBytes],
    [8, shape.valueBytes],
    [12, isOfSockets ? 0 : shape.entriesMax],
    [16, flags],
    [28, nameBytes(shape.name)],
  ];
  if (isOfSockets) fields.push([48, stack.use(loadTypes(shape.valueBytes)).fd], [52, 1], [56, 2]);
  const result = call(BPF.MAP_CREATE, attributesOf(...fields));
  if (result < 0) throw kernelError(`make map ${shape.name} of ${shape.entriesMax} entries`, -result);
  return new OwnedFd(result);
}

/**
 * What the kernel asks of storage of sockets: types of key and value. 1 is a signed int of 32 bits, 2 an array of them (linux/btf.h).
 */
function loadTypes(valueBytes: number): OwnedFd {
  const kind = (number: number): number => number * 0x100_0000;
  const isSigned = 1; // BTF_INT_SIGNED
  const names = Buffer.from('\0int\0');
  const types = [1, kind(1), 4, isSigned * 0x100_0000 + 32, 0, kind(3), 0, 1, 1, valueBytes / 4];
  const header = [0x0001_eb9f, 24, 0, types.length * 4, types.length * 4, names.length];
  const words = Buffer.alloc((header.length + types.length) * 4);
  [...header, ...types].forEach((word, index) => words.writeUInt32LE(word, index * 4));
  const bytes = Buffer.concat([words, names]);
  const result = call(BPF.BTF_LOAD, attributesOf([0, addressOf(bytes)], [16, bytes.length]));
  if (result < 0) throw kernelError('load types of a map', -result);
  return new OwnedFd(result);
}

export interface MapEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Entries of one call at most: the thread is held for about a millisecond. */
const batchMax = 2_048;

/** Each is put, or replaces what was there. @throws E_LIMIT where the map is full */
export function* putEntries(map: OwnedFd, entries: readonly MapEntry[]): Generator<void> {
  for (let from = 0; from < entries.length; from += batchMax) {
    const some = entries.slice(from, from + batchMax);
    const keys = Buffer.concat(some.map(({ key }) => key));
    const values = Buffer.concat(some.map(({ value }) => value));
    const fields: readonly Field[] = [
      [16, addressOf(keys)],
      [24, addressOf(values)],
      [32, some.length],
      [36, map.fd],
    ];
    const result = call(BPF.MAP_UPDATE_BATCH, attributesOf(...fields));
    if (result < 0) throw kernelError(`put ${some.length} entries into a map`, -result);
    yield;
  }
}

/** What is kept under a key; of storage of sockets, the key is a descriptor of the socket. */
export function readEntry(map: OwnedFd, key: Buffer, valueBytes: number): Buffer | undefined {
  const value = Buffer.alloc(valueBytes);
  const result = call(
    BPF.MAP_LOOKUP_ELEM,
    attributesOf([0, map.fd], [8, addressOf(key)], [16, addressOf(value)]),
  );
  if (result === -ENOENT) return undefined;
  if (result < 0) throw kernelError('read an entry of a map', -result);
  return value;
}

/** Those that are not there are gone already. */
export function* removeEntries(map: OwnedFd, keys: readonly Buffer[]): Generator<void> {
  for (const [index, key] of keys.entries()) {
    const result = call(BPF.MAP_DELETE_ELEM, attributesOf([0, map.fd], [8, addressOf(key)]));
    if (result < 0 && result !== -ENOENT) throw kernelError('remove an entry of a map', -result);
    if (index % batchMax === batchMax - 1) yield;
  }
}
