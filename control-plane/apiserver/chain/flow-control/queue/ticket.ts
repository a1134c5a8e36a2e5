import { LinkedList, type Place } from '#base/memory/linked-list.ts';

/** What a request is thought to cost. */
export interface Work {
  /** While it is worked on. */
  readonly seats: number;
  /** Afterwards, for what follows of it (events to watchers), for `finalMs`. */
  readonly finalSeats: number;
  readonly finalMs: number;
}

/** Whose requests share queues, and take turns with those of others. */
export interface Flow {
  /** Schema and distinguisher. */
  readonly key: string;
  readonly schema: string;
  readonly distinguisher: string;
}

export interface Arrival<F extends Flow, A> {
  readonly flow: F;
  readonly work: Work;
  /** How long it may wait for its turn. */
  readonly waitMs: number;
  /** What it is about, for who looks into the queues. */
  readonly about: A;
}

export type RefusedFor = 'concurrency-limit' | 'queue-full' | 'time-out' | 'cancelled';

export type TicketState =
  | 'waiting'
  | 'seated'
  /** Answered; its seats are still taken, for what follows. */
  | 'lingering'
  | 'over';

/** A request in a level. */
export interface Ticket<F extends Flow, A> {
  readonly flow: F;
  readonly work: Work;
  readonly about: A;
  readonly arrivedMs: number;
  readonly state: TicketState;
  readonly refusedFor: RefusedFor | undefined;
  /** When it was seated; -1 before. */
  readonly startedMs: number;
  /** -1: of none. */
  readonly queueIndex: number;
  /** How many waited there when it had come, itself among them; -1: of none, or refused. */
  readonly queueLength: number;
  /** Told once, when it waits no more: it is seated, or it is over. */
  onTurn: (() => void) | undefined;
}

/** Where requests of some flows wait, as the fair queue knows it. */
export class Queue<F extends Flow, A> {
  readonly index: number;
  /** In order of arrival. */
  readonly waiting: LinkedList<Seated<F, A>> = new LinkedList();
  /** Among the queues with requests that wait. */
  place: Place<Queue<F, A>> | undefined;
  /** Seat-milliseconds, seats while worked on, and most seats of those that wait. */
  waitingWork = 0;
  waitingSeats = 0;
  waitingSeatsMax = 0;
  seated = 0;
  seatsInUse = 0;
  /** The meter's reading at which its next request begins, in the virtual world where each queue has an equal share. */
  nextR = 0;

  constructor(index: number) {
    this.index = index;
  }

  get isActive(): boolean {
    return this.waiting.size > 0 || this.seated > 0;
  }
}

/** A ticket as the fair queue knows it. */
export class Seated<F extends Flow, A> implements Ticket<F, A> {
  readonly flow: F;
  work: Work;
  readonly about: A;
  readonly arrivedMs: number;
  readonly arrivalR: number;
  readonly deadlineMs: number;
  readonly queue: Queue<F, A> | undefined;
  state: TicketState = 'over';
  refusedFor: RefusedFor | undefined;
  startedMs = -1;
  lingersToMs = 0;
  queueLength = -1;
  /** Among those that are as it is: wait in its queue, are seated, or linger. */
  place: Place<Seated<F, A>> | undefined;
  onTurn: (() => void) | undefined;

  constructor(
    { flow, work, about, waitMs }: Arrival<F, A>,
    nowMs: number,
    r: number,
    queue: Queue<F, A> | undefined,
  ) {
    this.flow = flow;
    this.work = work;
    this.about = about;
    this.arrivedMs = nowMs;
    this.arrivalR = r;
    this.deadlineMs = nowMs + waitMs;
    this.queue = queue;
  }

  get queueIndex(): number {
    return this.queue?.index ?? -1;
  }

  get seatsMax(): number {
    return Math.max(this.work.seats, this.work.finalSeats);
  }
}
