import type { Outgoing } from '#proto/contract.ts';
import type {
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '#proto/etcd/rpc.ts';
import { unreachable } from '#base/unreachable.ts';
import type { KeyView } from '#control-plane/store/served-store.ts';
import type { StoredValue, StoreOp } from '#control-plane/store/store.ts';
import { decodeKey, decodeRange, isInRange } from './key-range.ts';
import { answerRange, encodeKeyValue } from './range.ts';
import { refusal } from './refusal.ts';

/** The past, for reads at a revision within a transaction. @throws as `ServedStore.view` */
export type ViewAt = (revision: number) => KeyView;

/**
 * A transaction being decided: what the store shows, and over it what was written so far, as later reads of the same transaction
 * see it. All of it takes one revision.
 */
export class Draft {
  readonly #view: KeyView;
  readonly #nextRevision: number;
  readonly #viewAt: ViewAt;
  readonly #writes = new Map<string, StoreOp>();

  constructor(view: KeyView, nextRevision: number, viewAt: ViewAt) {
    this.#view = view;
    this.#nextRevision = nextRevision;
    this.#viewAt = viewAt;
  }

  get ops(): readonly StoreOp[] {
    return [...this.#writes.values()];
  }

  /** With what was written so far. */
  get revision(): number {
    return this.#writes.size > 0 ? this.#nextRevision : this.#view.revision;
  }

  range(request: RangeRequest): Outgoing<RangeResponse> {
    // What this transaction wrote is of the next revision: the newest before it is the past once there is something, and the next not there yet.
    const isNow =
      request.revision === 0 || (request.revision === this.#view.revision && this.#writes.size === 0);
    const { key, range_end } = request;
    const source = isNow ? { scan: () => this.#scan(key, range_end) } : this.#viewAt(request.revision);
    return { header: { revision: this.revision }, ...answerRange(source, request) };
  }

  /** @throws a refusal where something is to stay as it is and nothing is there */
  put({ key: bytes, value, lease, ignore_value, ignore_lease, prev_kv }: PutRequest): Outgoing<PutResponse> {
    const key = decodeKey(bytes);
    if (key === undefined) throw refusal('keyNotText');
    const previous = this.#get(key);
    if ((ignore_value || ignore_lease) && previous === undefined) throw refusal('keyNotFound');
    this.#writes.set(key, {
      op: 'put',
      key,
      // In memory of its own: what comes with a request is a view of all of its bytes, and would keep them.
      value: ignore_value ? (previous?.value ?? new Uint8Array()) : new Uint8Array(value),
      lease: ignore_lease ? (previous?.lease ?? 0) : lease,
    });
    return {
      header: { revision: this.revision },
      ...(prev_kv && previous !== undefined ? { prev_kv: encodeKeyValue(previous) } : {}),
    };
  }

  delete({ key: bytes, range_end, prev_kv }: DeleteRangeRequest): Outgoing<DeleteRangeResponse> {
    const gone = [...this.#scan(bytes, range_end)];
    for (const { key } of gone) this.#writes.set(key, { op: 'delete', key });
    return {
      header: { revision: this.revision },
      deleted: gone.length,
      prev_kvs: prev_kv ? gone.map((value) => encodeKeyValue(value)) : [],
    };
  }

  /** Comparisons, nested ones too, are of what was there before. */
  txn({ compare, success, failure }: TxnRequest): Outgoing<TxnResponse> {
    const succeeded = compare.every((one) => holds(this.#view, one));
    const responses = (succeeded ? success : failure).map((op) => this.#op(op));
    return { header: { revision: this.revision }, succeeded, responses };
  }

  #op({ request_range, request_put, request_delete_range, request_txn }: RequestOp): Outgoing<ResponseOp> {
    if (request_range !== undefined) return { response_range: this.range(request_range) };
    if (request_put !== undefined) return { response_put: this.put(request_put) };
    if (request_delete_range !== undefined) {
      return { response_delete_range: this.delete(request_delete_range) };
    }
    if (request_txn === undefined) throw refusal('keyNotFound'); // As etcd says of an op that is none.
    // etcd does not say the revision there.
    return { response_txn: { ...this.txn(request_txn), header: {} } };
  }

  #get(key: string): StoredValue | undefined {
    const op = this.#writes.get(key);
    const before = this.#view.get(key);
    if (op === undefined) return before;
    if (op.op === 'delete') return undefined;
    return {
      key,
      value: op.value,
      createRevision: before?.createRevision ?? this.#nextRevision,
      modRevision: this.#nextRevision,
      version: (before?.version ?? 0) + 1,
      lease: op.lease ?? 0,
    };
  }

  #scan(key: Uint8Array, range_end: Uint8Array): Iterable<StoredValue> {
    const range = decodeRange(key, range_end);
    const before = this.#view.scan(range.from, range.to);
    if (this.#writes.size === 0) return before;
    const untouched = [...before].filter((value) => !this.#writes.has(value.key));
    const written = [...this.#writes.keys()].filter((one) => isInRange(range, one));
    const values = [...untouched, ...written.flatMap((one) => this.#get(one) ?? [])];
    return values.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }
}

const absent: Omit<StoredValue, 'key'> = {
  value: new Uint8Array(),
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: 0,
};

/** Of a range all keys must compare so. What is not there has zeros, and no value that compares with any. */
function holds(view: KeyView, compare: Compare): boolean {
  const { from, to } = decodeRange(compare.key, compare.range_end);
  let isEmpty = true;
  for (const value of view.scan(from, to)) {
    isEmpty = false;
    if (!compares(value, compare)) return false;
  }
  return !isEmpty || (compare.target !== 'VALUE' && compares(absent, compare));
}

function compares(value: Omit<StoredValue, 'key'>, compare: Compare): boolean {
  const difference = differenceOf(value, compare);
  switch (compare.result) {
    case 'EQUAL':
      return difference === 0;
    case 'NOT_EQUAL':
      return difference !== 0;
    case 'GREATER':
      return difference > 0;
    case 'LESS':
      return difference < 0;
    default:
      return unreachable(compare.result);
  }
}

function differenceOf(value: Omit<StoredValue, 'key'>, compare: Compare): number {
  switch (compare.target) {
    case 'VERSION':
      return value.version - (compare.version ?? 0);
    case 'CREATE':
      return value.createRevision - (compare.create_revision ?? 0);
    case 'MOD':
      return value.modRevision - (compare.mod_revision ?? 0);
    case 'LEASE':
      return value.lease - (compare.lease ?? 0);
    case 'VALUE':
      return Buffer.compare(value.value, compare.value ?? new Uint8Array());
    default:
      return unreachable(compare.target);
  }
}
