import { createHash } from 'node:crypto';
import type { KeptVersion, LeaseState } from '#control-plane/store/served-store.ts';
import { renderBolt, type BoltEntry } from './bolt.ts';

export interface SnapshotContents {
  /** All that is kept, by revision. */
  readonly versions: readonly KeptVersion[];
  readonly leases: readonly LeaseState[];
  readonly compactRevision: number;
}

/**
 * The store as etcd has it on disk, in pieces: buckets key (by revision, etcd server/storage/mvcc/revision.go), lease and meta,
 * and behind the file its SHA-256, by which `etcdctl snapshot restore` checks it.
 */
export function* renderSnapshot({
  versions,
  leases,
  compactRevision,
}: SnapshotContents): Generator<Buffer, void> {
  const hash = createHash('sha256');
  const compacted = entry(Buffer.from('finishedCompactRev'), revisionKey(compactRevision, 0));
  const buckets = [
    { name: 'key', entries: keyEntries(versions) },
    { name: 'lease', entries: leaseEntries(leases) },
    { name: 'meta', entries: compactRevision > 0 ? [compacted] : [] },
  ];
  for (const page of renderBolt(buckets)) {
    hash.update(page);
    yield page;
  }
  yield hash.digest();
}

function entry(key: Uint8Array, value: Uint8Array): BoltEntry {
  return { key, valueBytes: value.length, value: () => value };
}

function keyEntries(versions: readonly KeptVersion[]): readonly BoltEntry[] {
  let [last, sub] = [0, 0];
  return versions.map((version) => {
    sub = version.modRevision === last ? sub + 1 : 0;
    last = version.modRevision;
    const key = revisionKey(last, sub);
    const fields = fieldsOf(version);
    return {
      key: version.isDeletion ? Buffer.concat([key, Buffer.from('t')]) : key,
      valueBytes: fields.reduce((sum, field) => sum + field.length, 0),
      value: () => Buffer.concat(fields),
    };
  });
}

/** Big-endian, so that the order of the bytes is that of the revisions. */
function revisionKey(revision: number, sub: number): Buffer {
  const key = Buffer.alloc(17, '_');
  key.writeBigUInt64BE(BigInt(revision), 0);
  key.writeBigUInt64BE(BigInt(sub), 9);
  return key;
}

/** mvccpb.KeyValue; of a deletion the key only. The value is not copied. */
function fieldsOf(version: KeptVersion): readonly Uint8Array[] {
  const { key, value, createRevision, modRevision, lease, isDeletion } = version;
  const name = Buffer.from(key);
  const head = [varint((1 << 3) | 2), varint(name.length), name];
  if (isDeletion) return head;
  return [
    ...head,
    ...number(2, createRevision),
    ...number(3, modRevision),
    ...number(4, version.version),
    varint((5 << 3) | 2),
    varint(value.length),
    value,
    ...number(6, lease),
  ];
}

/** leasepb.Lease by its id. */
function leaseEntries(leases: readonly LeaseState[]): readonly BoltEntry[] {
  return leases
    .toSorted((a, b) => a.id - b.id)
    .map(({ id, ttlSeconds }) => {
      const key = Buffer.alloc(8);
      key.writeBigInt64BE(BigInt(id));
      return entry(key, Buffer.concat([...number(1, id), ...number(2, ttlSeconds)]));
    });
}

function number(field: number, value: number): readonly Uint8Array[] {
  return value === 0 ? [] : [varint(field << 3), varint(value)];
}

/** Of 0 to 2^53 - 1 (protobuf.dev/programming-guides/encoding). */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Uint8Array.of(...bytes, rest);
}
