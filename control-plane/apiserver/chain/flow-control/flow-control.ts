import type { Clock } from '#base/clock.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { isLongRunning, type Route } from '#control-plane/apiserver/chain/route.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { noteShare } from '#control-plane/apiserver/serve/connection-share.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';
import { costBasis, isMutating, listWork, oneSeat, writeWork } from './estimate.ts';
import type { Schema } from './flow-table.ts';
import { KindCounts, type RequestKind } from './kind-counts.ts';
import type { Asked, Level, RequestTicket } from './level.ts';
import type { ObjectCounts } from './object-counts.ts';
import type { Work } from './queue/ticket.ts';
import type { SharedSeats } from './shared-seats.ts';
import { Seat, type StreamedSeats } from './seat.ts';
import { WatchCounts } from './watch-counts.ts';

/** A request whose user is known, before anybody is asked whether it may be done. */
export interface Entering {
  readonly request: ApiRequest;
  /** undefined: its path leads nowhere. */
  readonly route: Route | undefined;
  readonly attributes: Attributes;
}

/** Whose turn it is, or who is told to come again. */
export type Entered = Seat | ApiResponse;

/** The stage of the chain at which requests wait for each other. */
export interface FlowControl {
  /** Of watches: how many are told of a write. */
  readonly watches: WatchCounts;
  /** Whose seats there are, where they are shared. */
  readonly shared: SharedSeats | undefined;
  /** Waits only where there is no seat. Never throws. A seat is to be ended by who got it. */
  enter(entering: Entering): Entered | Promise<Entered>;
}

/** The time that requests have, where they do not ask for less; a quarter of it they may wait. */
const requestMs = 60_000;
const waitedShare = 0.25;

interface FairSharesParts {
  readonly shared: SharedSeats;
  readonly clock: Clock;
  readonly objects: ObjectCounts;
  readonly streamed: StreamedSeats;
}

/** Requests of every FlowSchema have their share of the server's seats (KEP-1040). */
export class FairShares implements FlowControl {
  readonly watches: WatchCounts = new WatchCounts();
  readonly shared: SharedSeats;
  readonly kinds: KindCounts;
  readonly #parts: FairSharesParts;

  constructor(parts: FairSharesParts) {
    this.#parts = parts;
    this.shared = parts.shared;
    this.kinds = new KindCounts(parts.clock.monotonic());
  }

  enter({ request, route, attributes }: Entering): Entered | Promise<Entered> {
    const isWatch = attributes.verb === 'watch';
    if (route !== undefined && isLongRunning(route) && !isWatch) return Seat.none;
    const schema = this.shared.table.classify(attributes);
    noteShare(request.caller, schema.level.name, attributes.user.name);
    const about: Asked = { request, route, attributes, isMutating: isMutating(attributes), isWatch };
    const counts = schema.level.countsOf(schema.rules.name);
    const work = this.#workOf(schema, about);
    counts.seats.add(Math.max(work.seats, work.finalSeats));
    const ticket = schema.level.arrive({
      flow: schema.flowOf(attributes),
      work,
      waitMs: waitMsOf(request),
      about,
    });
    if (ticket.queueLength >= 0) counts.queueLengths.add(ticket.queueLength);
    return ticket.state === 'waiting' ? this.#wait(schema, ticket) : this.#entered(schema, ticket);
  }

  #workOf({ level, rules }: Schema<Level>, { attributes, request, route }: Asked): Work {
    const basis = costBasis(attributes, request.query);
    if (basis === 'itself' || attributes.kind === 'path') return oneSeat;
    const { widest } = level.seats;
    if (basis === 'objects') {
      const objects =
        route?.kind === 'resource' ? this.#parts.objects.of(route.route.kind, route.route.namespace) : 0;
      return listWork(request.query, { widest, objects });
    }
    const watchers = this.watches.of(attributes);
    level.countsOf(rules.name).watchers.add(watchers);
    return writeWork({ widest, watchers });
  }

  #wait(schema: Schema<Level>, ticket: RequestTicket): Promise<Entered> {
    const { level } = schema;
    const { clock } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<Entered>();
    const { signal } = ticket.about.request;
    const kind = kindOf(ticket);
    const leave = (): void => level.cancel(ticket);
    this.kinds.change(kind, 'waiting', 1, clock.monotonic());
    ticket.onTurn = () => {
      signal.removeEventListener('abort', leave);
      this.kinds.change(kind, 'waiting', -1, clock.monotonic());
      resolve(this.#entered(schema, ticket));
    };
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    return promise;
  }

  #entered(schema: Schema<Level>, ticket: RequestTicket): Entered {
    const { level, rules } = schema;
    const counts = level.countsOf(rules.name);
    const { clock, streamed } = this.#parts;
    const headers = headersOf(schema);
    if (ticket.state === 'seated') {
      counts.dispatched++;
      counts.waits.true.add((ticket.startedMs - ticket.arrivedMs) / 1000);
      this.kinds.change(kindOf(ticket), 'executing', 1, ticket.startedMs);
      return new Seat(headers, streamed, () => this.#end(level, ticket));
    }
    const nowMs = clock.monotonic();
    counts.refused[ticket.refusedFor ?? 'queue-full']++;
    counts.waits.false.add((nowMs - ticket.arrivedMs) / 1000);
    level.retryAfter.note(Math.floor(nowMs / 1000));
    return refusal(level.retryAfter.seconds, headers);
  }

  #end(level: Level, ticket: RequestTicket): void {
    const nowMs = level.finish(ticket);
    this.kinds.change(kindOf(ticket), 'executing', -1, nowMs);
    const { executions } = level.countsOf(ticket.flow.schema);
    executions[ticket.about.isWatch ? 'watch' : 'regular'].add((nowMs - ticket.startedMs) / 1000);
  }
}

function kindOf({ about }: RequestTicket): RequestKind {
  return about.isMutating ? 'mutating' : 'readOnly';
}

/** In upstream's words. */
export function refusal(retrySeconds: number, headers: Readonly<Record<string, string>> = {}): ApiResponse {
  const response = textResponse(429, 'Too many requests, please try again later.\n');
  return {
    ...response,
    headers: { ...response.headers, ...headers, 'retry-after': String(retrySeconds) },
  };
}

const headersBySchema = new WeakMap<Schema<Level>, Readonly<Record<string, string>>>();

/** By uid, not by name: how requests are ranked is nobody's business. What is not stored has none. */
function headersOf(schema: Schema<Level>): Readonly<Record<string, string>> {
  let headers = headersBySchema.get(schema);
  if (headers === undefined) {
    headers = {
      ...(schema.rules.uid === '' ? {} : { 'x-kubernetes-pf-flowschema-uid': schema.rules.uid }),
      ...(schema.level.uid === '' ? {} : { 'x-kubernetes-pf-prioritylevel-uid': schema.level.uid }),
    };
    headersBySchema.set(schema, headers);
  }
  return headers;
}

function waitMsOf({ query }: ApiRequest): number {
  const asked = query.get('timeout');
  if (asked === null || asked === '') return requestMs * waitedShare;
  try {
    const ms = parseDurationMs(asked);
    return (ms > 0 ? Math.min(requestMs, ms) : requestMs) * waitedShare;
  } catch {
    return requestMs * waitedShare; // The chain refuses it.
  }
}
