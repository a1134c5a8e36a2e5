import { queryBoolean } from '#api/wire/query.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { Work } from './queue/ticket.ts';

const objectsPerSeat = 100;
const watchersPerSeat = 10;
/** How long a seat is taken for the events of a write (apiserver, eventAdditionalDuration). */
const eventMs = 5;

/** What most requests cost. */
export const oneSeat: Work = { seats: 1, finalSeats: 0, finalMs: 0 };

const readers: ReadonlySet<string> = new Set(['get', 'list', 'watch', 'head', 'options']);

export function isMutating({ verb }: Attributes): boolean {
  return !readers.has(verb);
}

/** What a request's cost is guessed by. */
export type CostBasis = 'itself' | 'objects' | 'watchers';

/** A list, and a watch that begins with one, costs by the objects that are looked at; a write by the watches that it wakes. Pure. */
export function costBasis(attributes: Attributes, query: URLSearchParams): CostBasis {
  if (attributes.kind !== 'resource') return 'itself';
  const { verb, name, subresource } = attributes;
  if (verb === 'list') return name === '' ? 'objects' : 'itself';
  if (verb === 'watch') return name === '' && tellsPresent(query) ? 'objects' : 'itself';
  return isMutating(attributes) && subresource !== 'token' ? 'watchers' : 'itself';
}

function tellsPresent(query: URLSearchParams): boolean {
  const version = query.get('resourceVersion') ?? '';
  return queryBoolean(query, 'sendInitialEvents') ?? (version === '' || version === '0');
}

/** @param widest the most seats that one request of the level takes @param objects all under what is listed */
export function listWork(
  query: URLSearchParams,
  { widest, objects }: { readonly widest: number; readonly objects: number },
): Work {
  const isSelected = (query.get('labelSelector') ?? '') !== '' || (query.get('fieldSelector') ?? '') !== '';
  const limit = isSelected ? 0 : Number(query.get('limit') ?? 0);
  const count = limit > 0 ? Math.min(limit, objects) : objects;
  const seats = Math.min(widest, Math.max(1, Math.ceil(count / objectsPerSeat)));
  return seats === 1 ? oneSeat : { seats, finalSeats: 0, finalMs: 0 };
}

/** @param watchers that are told of what is written */
export function writeWork({
  widest,
  watchers,
}: {
  readonly widest: number;
  readonly watchers: number;
}): Work {
  if (watchers < watchersPerSeat) return oneSeat;
  const wanted = Math.ceil(watchers / watchersPerSeat);
  const finalSeats = Math.min(widest, wanted);
  return { seats: 1, finalSeats, finalMs: (wanted * eventMs) / finalSeats };
}
