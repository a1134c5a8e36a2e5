import type { PriorityLevelConfiguration } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { Route } from '#control-plane/apiserver/chain/route.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import { LevelUse, SchemaCounts } from './level-counts.ts';
import { FairQueue } from './queue/fair-queue.ts';
import type { Arrival, Flow, Ticket } from './queue/ticket.ts';
import type { LevelSeats, LevelSpec } from './queue/level-seats.ts';
import { DemandMeter, smoothDemand, type DemandSeen } from './queue/seat-demand.ts';
import { RetryAfter } from './retry-after.ts';

/** What a ticket is about. */
export interface Asked {
  readonly request: ApiRequest;
  /** undefined: its path leads nowhere. */
  readonly route: Route | undefined;
  readonly attributes: Attributes;
  readonly isMutating: boolean;
  readonly isWatch: boolean;
}

export type RequestTicket = Ticket<Flow, Asked>;

/** What of the seats a level is given is made of, for who looks. */
export interface LevelDemand {
  readonly seen: DemandSeen;
  readonly smoothed: number;
  readonly target: number;
}

const nothingSeen: DemandSeen = { average: 0, deviation: 0, highest: 0 };

/** Pure. */
export function readLevelSpec({ spec }: PriorityLevelConfiguration): LevelSpec {
  const { type, limited, exempt } = spec ?? { type: 'Limited' };
  const isExempt = type === 'Exempt';
  const of = isExempt ? exempt : limited;
  const { queuing } = limited?.limitResponse ?? {};
  return {
    isExempt,
    shares: of?.nominalConcurrencyShares ?? (isExempt ? 0 : 30),
    lendablePercent: of?.lendablePercent ?? 0,
    borrowingLimitPercent: limited?.borrowingLimitPercent,
    queuing:
      limited?.limitResponse?.type !== 'Queue'
        ? undefined
        : {
            queues: queuing?.queues ?? 64,
            handSize: queuing?.handSize ?? 8,
            queueLengthLimit: queuing?.queueLengthLimit ?? 50,
          },
  };
}

/** A priority level at work: its queues, a clock for them, and what is counted. */
export class Level {
  readonly name: string;
  readonly queue: FairQueue<Flow, Asked>;
  readonly use: LevelUse;
  readonly retryAfter: RetryAfter = new RetryAfter();
  /** By schema. */
  readonly counts: Map<string, SchemaCounts> = new Map();
  uid: string;
  spec: LevelSpec;
  seats: LevelSeats;
  demand: LevelDemand = { seen: nothingSeen, smoothed: 0, target: 0 };
  /** Nobody names it any more; it stays until nobody is in it. */
  isQuiescing = false;
  readonly #meter: DemandMeter;
  readonly #clock: Clock;
  #timer: Disposable | undefined;
  #timerDueMs = Infinity;

  constructor(
    {
      name,
      uid,
      spec,
      seats,
    }: { readonly name: string; readonly uid: string } & Pick<Level, 'spec' | 'seats'>,
    clock: Clock,
  ) {
    const nowMs = clock.monotonic();
    this.name = name;
    this.uid = uid;
    this.spec = spec;
    this.seats = seats;
    this.queue = new FairQueue(
      { limit: seats.initial, isExempt: spec.isExempt, queuing: spec.queuing },
      nowMs,
    );
    this.use = new LevelUse(nowMs);
    this.#meter = new DemandMeter(nowMs);
    this.#clock = clock;
  }

  countsOf(schema: string): SchemaCounts {
    let counts = this.counts.get(schema);
    if (counts === undefined) this.counts.set(schema, (counts = new SchemaCounts()));
    return counts;
  }

  /** Seats for now, between what it lends and what it borrows. */
  configure(limit: number): void {
    this.#timed((nowMs) =>
      this.queue.configure({ limit, isExempt: this.spec.isExempt, queuing: this.spec.queuing }, nowMs),
    );
  }

  arrive(arrival: Arrival<Flow, Asked>): RequestTicket {
    return this.#timed((nowMs) => this.queue.arrive(arrival, nowMs));
  }

  /** @returns when, of the clock that tickets go by */
  finish(ticket: RequestTicket): number {
    return this.#timed((nowMs) => {
      this.queue.finish(ticket, nowMs);
      return nowMs;
    });
  }

  cancel(ticket: RequestTicket): void {
    this.#timed((nowMs) => this.queue.cancel(ticket, nowMs));
  }

  /** What it could have used since the last call. */
  takeDemand(): Pick<LevelDemand, 'seen' | 'smoothed'> {
    const seen = this.#meter.take(this.#clock.monotonic());
    if (seen === undefined)
      return {
        seen: { ...this.demand.seen, highest: this.queue.seatsInUse },
        smoothed: this.demand.smoothed,
      };
    return { seen, smoothed: smoothDemand(this.demand.smoothed, seen) };
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #timed<T>(act: (nowMs: number) => T): T {
    const nowMs = this.#clock.monotonic();
    const result = act(nowMs);
    this.#note(nowMs);
    if (this.queue.nextDueMs < this.#timerDueMs) this.#arm();
    return result;
  }

  #note(nowMs: number): void {
    const { queue, spec, use } = this;
    const demand = queue.seatsInUse + queue.waitingSeats;
    this.#meter.set(demand, nowMs);
    const limit = Math.max(1, queue.setup.limit);
    const places = spec.queuing === undefined ? 1 : spec.queuing.queues * spec.queuing.queueLengthLimit;
    use.seats.set(queue.seatsInUse / limit, nowMs);
    use.seated.set(queue.seated / limit, nowMs);
    use.waiting.set(queue.waiting / places, nowMs);
    use.demand.set(demand / Math.max(1, this.seats.nominal), nowMs);
  }

  /** One timer, while somebody waits: for what becomes due though nobody comes or goes. */
  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timerDueMs = this.queue.nextDueMs;
    const leftMs = this.#timerDueMs - this.#clock.monotonic();
    this.#timer = this.#clock.after(Math.max(1, leftMs), () => {
      this.#timerDueMs = Infinity;
      this.#timed((nowMs) => this.queue.tick(nowMs));
    });
  }
}
