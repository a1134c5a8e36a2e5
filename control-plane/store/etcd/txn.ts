import type { Outgoing } from '#proto/contract.ts';
import type { KeyValue, TxnRequest, TxnResponse } from '#proto/etcd/rpc.ts';
import type { StoredValue, StoreOp, StoreTxn } from '#control-plane/store/store.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The port's transaction as etcd's: all expectations, then the ops, or else the keys of the expectations as they are. */
export function encodeTxn({ expect, ops }: StoreTxn): Outgoing<TxnRequest> {
  return {
    compare: expect.map(({ key, modRevision }) => ({
      target: 'MOD',
      key: encoder.encode(key),
      mod_revision: modRevision,
    })),
    success: ops.map((op) => {
      const key = encoder.encode(op.key);
      return op.op === 'put'
        ? { request_put: { key, value: op.value, lease: op.lease ?? 0 } }
        : { request_delete_range: { key } };
    }),
    failure: expect.map(({ key }) => ({ request_range: { key: encoder.encode(key) } })),
  };
}

/** Of a transaction whose expectations did not hold: the keys of `expect`, as they are. */
export function decodeCurrent(response: TxnResponse): readonly (StoredValue | undefined)[] {
  return response.responses.map(({ response_range }) => {
    const found = response_range?.kvs[0];
    return found && decodeStored(found);
  });
}

/** In memory of its own: what comes with an answer is a view of all of its bytes, and would keep them. */
export function decodeStored(found: KeyValue): StoredValue {
  return {
    key: decodeKey(found.key),
    value: new Uint8Array(found.value),
    createRevision: found.create_revision,
    modRevision: found.mod_revision,
    version: found.version,
    lease: found.lease,
  };
}

export function decodeKey(key: Uint8Array): string {
  return decoder.decode(key);
}

/** Whether the transaction names, for each key that it writes, the state that it may replace: it can be done once only. */
export function isGuarded({ expect, ops }: StoreTxn): boolean {
  const expected = new Set(expect.map(({ key }) => key));
  return ops.every(({ key }) => expected.has(key));
}

/**
 * Whether a guarded transaction that was refused now had been done by an earlier try whose answer was lost: everything is as it
 * wanted it, and was put at one revision. It takes the very same bytes of another server for its own, so those of writers whose
 * changes add up have to differ: objects have a uid, claims name their owner, a count goes with the object that it counts.
 */
export function wasDone(txn: StoreTxn, current: readonly (StoredValue | undefined)[]): boolean {
  const found = new Map(txn.expect.map(({ key }, index) => [key, current[index]]));
  const expected = new Map(txn.expect.map(({ key, modRevision }) => [key, modRevision]));
  const revisions = new Set<number>();
  const isAsWanted = (op: StoreOp): boolean => {
    const value = found.get(op.key);
    if (op.op === 'delete') return value === undefined;
    if (value === undefined || value.modRevision === expected.get(op.key)) return false;
    revisions.add(value.modRevision);
    return Buffer.compare(value.value, op.value) === 0;
  };
  return txn.ops.length > 0 && txn.ops.every(isAsWanted) && revisions.size <= 1;
}
