import type { Outgoing } from '#proto/contract.ts';
import type { KeyValue, TxnRequest, TxnResponse } from '#proto/etcd/rpc.ts';
import type { StoredValue, StoreTxn } from '#control-plane/store/store.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a transaction of ours puts beside its own keys: writer.ts. */
export interface Mark {
  readonly key: string;
  /** Of the transaction that uses it now. */
  number: number;
  /** Where the mark was when it was last seen; 0: it was not there. */
  revision: number;
  /** It was not done, and is not to be done later. */
  readonly isRefusal?: boolean;
}

/** Beside the keys of Kubernetes, as `compact_rev_key` is: no server keeps them in its image. */
export const marksFolder = 'podwright/attempts/';

export function markText({ number, isRefusal = false }: Mark): string {
  return isRefusal ? `${number} refused` : String(number);
}

/** The port's transaction as etcd's: all expectations, then the ops, or else the keys of the expectations as they are; of the mark the same. */
export function encodeTxn({ expect, ops }: StoreTxn, mark?: Mark): Outgoing<TxnRequest> {
  const marked = mark && encodeMark(mark);
  return {
    compare: [
      ...expect.map(({ key, modRevision }) => ({
        target: 'MOD' as const,
        key: encoder.encode(key),
        mod_revision: modRevision,
      })),
      ...(marked?.compare ?? []),
    ],
    success: [
      ...ops.map((op) => {
        const key = encoder.encode(op.key);
        return op.op === 'put'
          ? { request_put: { key, value: op.value, lease: op.lease ?? 0 } }
          : { request_delete_range: { key } };
      }),
      ...(marked?.success ?? []),
    ],
    failure: [
      ...expect.map(({ key }) => ({ request_range: { key: encoder.encode(key) } })),
      ...(marked?.failure ?? []),
    ],
  };
}

/** Puts the mark, if it is where it was. */
export function encodeMark(mark: Mark): Required<Outgoing<TxnRequest>> {
  const key = encoder.encode(mark.key);
  return {
    compare: [{ target: 'MOD', key, mod_revision: mark.revision }],
    success: [{ request_put: { key, value: encoder.encode(markText(mark)) } }],
    failure: [{ request_range: { key } }],
  };
}

/** Of a transaction whose expectations did not hold: the keys of `expect`, as they are. */
export function decodeCurrent(
  response: TxnResponse,
  { expect }: StoreTxn,
): readonly (StoredValue | undefined)[] {
  return response.responses.slice(0, expect.length).map(({ response_range }) => {
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
