import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '#proto/etcd/rpc.ts';
import { decodeKey, decodeRange, isInRange, type KeyRange } from './key-range.ts';
import { refusal } from './refusal.ts';

/** etcd's bound of one request (`--max-request-bytes`), and of one side of a transaction (`--max-txn-ops`). */
export const requestBytesMax = 1_572_864;
export const txnOpsMax = 128;
/** With all that is nested in it. */
export const nestedOpsMax = 1024;

const sortOrders: readonly string[] = ['NONE', 'ASCEND', 'DESCEND'];
const sortTargets: readonly string[] = ['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE'];

/** @throws a refusal, as all of this file */
export function checkRange({ key, sort_order, sort_target }: RangeRequest): void {
  if (key.length === 0) throw refusal('emptyKey');
  if (!sortOrders.includes(sort_order) || !sortTargets.includes(sort_target))
    throw refusal('invalidSortOption');
}

export function checkPut({ key, value, lease, ignore_value, ignore_lease }: PutRequest): void {
  if (key.length === 0) throw refusal('emptyKey');
  if (ignore_value && value.length > 0) throw refusal('valueProvided');
  if (ignore_lease && lease !== 0) throw refusal('leaseProvided');
  if (key.length + value.length > requestBytesMax) throw refusal('requestTooLarge');
  if (decodeKey(key) === undefined) throw refusal('keyNotText');
  if (!Number.isSafeInteger(lease)) throw refusal('leaseIdNotExact');
}

export function checkDelete({ key }: DeleteRangeRequest): void {
  if (key.length === 0) throw refusal('emptyKey');
}

/** Before anything is done: sizes, numbers, and that no key is written twice on a way through the transaction. */
export function checkTxn(request: TxnRequest): void {
  const tally = { bytes: 0, ops: 0 };
  checkSides(request, tally);
  for (const ops of [request.success, request.failure]) findWrites(ops);
}

interface Tally {
  bytes: number;
  ops: number;
}

function checkSides({ compare, success, failure }: TxnRequest, tally: Tally): void {
  if ([compare, success, failure].some(({ length }) => length > txnOpsMax)) throw refusal('tooManyOps');
  tally.ops += compare.length + success.length + failure.length;
  if (tally.ops > nestedOpsMax) throw refusal('tooManyOps');
  for (const one of compare) {
    if (one.key.length === 0) throw refusal('emptyKey');
    tally.bytes += bytesOfCompare(one);
  }
  for (const op of [...success, ...failure]) checkOp(op, tally);
  if (tally.bytes > requestBytesMax) throw refusal('requestTooLarge');
}

function bytesOfCompare({ key, range_end, value }: Compare): number {
  return key.length + range_end.length + (value?.length ?? 0);
}

function checkOp(
  { request_range, request_put, request_delete_range, request_txn }: RequestOp,
  tally: Tally,
): void {
  if (request_range !== undefined) checkRange(request_range);
  if (request_put !== undefined) {
    checkPut(request_put);
    tally.bytes += request_put.key.length + request_put.value.length;
  }
  if (request_delete_range !== undefined) checkDelete(request_delete_range);
  if (request_txn !== undefined) checkSides(request_txn, tally);
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/**
 * What a side may write. etcd refuses a key that is put twice, or deleted and put; the two sides of a nested transaction may put
 * the same, as only one of them is done. It takes a key that one nested transaction puts and a later one deletes, which is refused
 * here: the store has one event of a key in a revision.
 */
function findWrites(ops: readonly RequestOp[]): Writes {
  const deletes = ops.flatMap(({ request_delete_range: request }) =>
    request === undefined ? [] : [decodeRange(request.key, request.range_end)],
  );
  const puts = new Set<string>();
  const add = (key: string, other?: ReadonlySet<string>): void => {
    const isTwice = puts.has(key) && other?.has(key) !== true;
    if (isTwice || deletes.some((range) => isInRange(range, key))) throw refusal('duplicateKey');
    puts.add(key);
  };
  for (const { request_txn: nested } of ops) {
    if (nested === undefined) continue;
    const [done, otherwise] = [findWrites(nested.success), findWrites(nested.failure)];
    const gone = [...done.deletes, ...otherwise.deletes];
    if ([...puts].some((key) => gone.some((range) => isInRange(range, key)))) throw refusal('duplicateKey');
    for (const key of done.puts) add(key);
    for (const key of otherwise.puts) add(key, done.puts);
    deletes.push(...gone);
  }
  for (const { request_put: request } of ops) {
    const key = request && decodeKey(request.key);
    if (key !== undefined) add(key);
  }
  return { puts, deletes };
}
