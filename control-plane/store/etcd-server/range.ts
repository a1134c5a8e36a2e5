import type { Outgoing } from '#proto/contract.ts';
import type { KeyValue, RangeRequest, RangeResponse } from '#proto/etcd/rpc.ts';
import type { KeyView } from '#control-plane/store/served-store.ts';
import type { StoredValue } from '#control-plane/store/store.ts';
import { decodeRange } from './key-range.ts';

/** All of the answer but its header, of what a view shows. Pure. */
export function answerRange(
  view: Pick<KeyView, 'scan'>,
  request: RangeRequest,
): Omit<Outgoing<RangeResponse>, 'header'> {
  const { from, to } = decodeRange(request.key, request.range_end);
  const isPlain = !isSorted(request) && !isFiltered(request);
  const found: StoredValue[] = [];
  let count = 0;
  for (const value of view.scan(from, to)) {
    count++;
    const isWanted = !isPlain || request.limit <= 0 || found.length < request.limit;
    if (isWanted && !request.count_only && passes(request, value)) found.push(value);
  }
  if (request.count_only) return { count };
  const sorted = isSorted(request) ? found.toSorted(comparison(request)) : found;
  const chosen = request.limit > 0 ? sorted.slice(0, request.limit) : sorted;
  const total = isPlain ? count : found.length;
  return {
    kvs: chosen.map((value) => encodeKeyValue(value, request.keys_only)),
    more: request.limit > 0 && total > request.limit,
    count,
  };
}

export function encodeKeyValue(
  { key, value, createRevision, modRevision, version, lease }: StoredValue,
  isKeyOnly: boolean = false,
): Outgoing<KeyValue> {
  return {
    key: Buffer.from(key),
    create_revision: createRevision,
    mod_revision: modRevision,
    version,
    lease,
    ...(isKeyOnly ? {} : { value }),
  };
}

function isSorted({ sort_order: order, sort_target: target }: RangeRequest): boolean {
  return order === 'DESCEND' || target !== 'KEY'; // They come in order of their keys.
}

function isFiltered(request: RangeRequest): boolean {
  const { min_mod_revision, max_mod_revision, min_create_revision, max_create_revision } = request;
  return min_mod_revision + max_mod_revision + min_create_revision + max_create_revision !== 0;
}

function passes(request: RangeRequest, { modRevision, createRevision }: StoredValue): boolean {
  const isWithin = (revision: number, min: number, max: number): boolean =>
    (min === 0 || revision >= min) && (max === 0 || revision <= max);
  return (
    isWithin(modRevision, request.min_mod_revision, request.max_mod_revision) &&
    isWithin(createRevision, request.min_create_revision, request.max_create_revision)
  );
}

/** Without an order, what is sorted by anything but the key ascends. Equal ones stay in order of their keys. */
function comparison({ sort_order, sort_target }: RangeRequest): (a: StoredValue, b: StoredValue) => number {
  const sign = sort_order === 'DESCEND' ? -1 : 1;
  const targets: Record<RangeRequest['sort_target'], (a: StoredValue, b: StoredValue) => number> = {
    KEY: (a, b) => (a.key < b.key ? -1 : 1),
    VERSION: (a, b) => a.version - b.version,
    CREATE: (a, b) => a.createRevision - b.createRevision,
    MOD: (a, b) => a.modRevision - b.modRevision,
    VALUE: (a, b) => Buffer.compare(a.value, b.value),
  };
  const compare = targets[sort_target];
  return (a, b) => sign * compare(a, b);
}
