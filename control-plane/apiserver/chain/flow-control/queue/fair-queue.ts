import { LinkedList, type Place } from '#base/memory/linked-list.ts';
import { dealHand } from './deal.ts';
import type { Queuing } from './level-seats.ts';
import { Queue, Seated, type Arrival, type Flow, type RefusedFor, type Ticket, type Work } from './ticket.ts';

/** How long a request takes, as long as nothing is known of it (kubernetes, estimatedServiceDuration). */
const guessedMs = 3;
/** Requests that wait in a level, whatever its configuration says. */
export const waitingMax = 750;
/** Hands of flows that are kept, and queues that nobody uses. */
const handsMax = 4_096;
const idleQueuesMax = 1_024;

/** What a queue is, to who looks. Work in seat-seconds. */
export interface QueueSeen {
  readonly index: number;
  readonly waiting: number;
  readonly seated: number;
  readonly seatsInUse: number;
  readonly nextR: number;
  readonly seatsSum: number;
  readonly seatsMaxSum: number;
  readonly workSum: number;
}

export interface QueueSetup {
  /** Seats; 0 still lets one request through at a time. */
  readonly limit: number;
  /** Nobody waits and nobody is refused. */
  readonly isExempt: boolean;
  readonly queuing: Queuing | undefined;
}

/** How far virtual time was at the last request that was seated of a queue, and where the queues with requests stood. Seat-seconds. */
export interface DispatchSeen {
  readonly r: number;
  readonly latestS: number;
  readonly min: number;
  readonly max: number;
  readonly discountedMin: number;
  readonly discountedMax: number;
}

/**
 * The seats of a level and the queues for them: fair queuing for requests (KEP-1040, Fair Queuing for Server Requests). Time is what callers
 * say, in milliseconds, and never goes back.
 *
 * A meter R says how much work each active queue would have had done, were the seats divided equally at every moment. A queue's next request
 * begins at `nextR` and would end when its work is done; of the heads of all queues the one that would end first is seated. How long a request
 * takes is guessed when it is seated, and put right when it ends. If the head does not fit, nobody behind it passes it, so that wide ones get
 * their turn. A request that is wider than all seats is seated when nobody else is: so that no configuration stops for ever.
 */
export class FairQueue<F extends Flow, A> {
  #setup: QueueSetup;
  readonly #queues = new Map<number, Queue<F, A>>();
  /** Those with requests that wait; after one had its turn it is the last. */
  readonly #withWaiting = new LinkedList<Queue<F, A>>();
  readonly #seatedTickets = new LinkedList<Seated<F, A>>();
  readonly #lingering = new LinkedList<Seated<F, A>>();
  readonly #hands = new Map<string, readonly number[]>();
  #nextLingerMs = Infinity;
  #nextDeadlineMs = Infinity;
  #nowMs: number;
  /** Seat-milliseconds for each active queue. */
  #r = 0;
  #active = 0;
  #arrivals = 0;
  #lastDispatch: DispatchSeen | undefined;
  waiting = 0;
  waitingSeats = 0;
  seated = 0;
  seatsInUse = 0;

  constructor(setup: QueueSetup, nowMs: number) {
    this.#setup = setup;
    this.#nowMs = nowMs;
  }

  get setup(): QueueSetup {
    return this.#setup;
  }

  /** Whether nobody waits and nobody is worked on. */
  get isIdle(): boolean {
    return this.waiting === 0 && this.seated === 0;
  }

  /** Seat-seconds. */
  get r(): number {
    return this.#r / 1000;
  }

  get lastDispatch(): DispatchSeen | undefined {
    return this.#lastDispatch;
  }

  /** When something is to be done, though nobody comes or goes; Infinity: never. */
  get nextDueMs(): number {
    return this.waiting === 0 ? Infinity : Math.min(this.#nextLingerMs, this.#nextDeadlineMs);
  }

  /** Another number of seats, other queues: those who wait stay where they are. */
  configure(setup: QueueSetup, nowMs: number): void {
    this.#advance(nowMs);
    const { queuing } = this.#setup;
    const isSameDeal =
      queuing?.queues === setup.queuing?.queues && queuing?.handSize === setup.queuing?.handSize;
    if (!isSameDeal) this.#hands.clear();
    this.#setup = setup;
    this.#seatAll();
  }

  /** Somebody comes: is seated, waits, or is refused, as the ticket's state says. */
  arrive(arrival: Arrival<F, A>, nowMs: number): Ticket<F, A> {
    this.#advance(nowMs);
    const { isExempt, queuing } = this.#setup;
    if (isExempt || queuing === undefined) {
      const ticket = new Seated(arrival, nowMs, this.#r, undefined);
      if (!isExempt && !this.#fits(ticket)) ticket.refusedFor = 'concurrency-limit';
      else this.#seat(ticket);
      return ticket;
    }
    const queue = this.#choose(arrival.flow, queuing);
    const ticket = new Seated(arrival, nowMs, this.#r, queue);
    if (this.waiting === 0 && this.#fits(ticket)) {
      if (!queue.isActive) queue.nextR = this.#r;
      ticket.queueLength = 1;
      this.#seat(ticket);
    } else if (queue.waiting.size >= queuing.queueLengthLimit || this.waiting >= waitingMax) {
      ticket.refusedFor = 'queue-full';
    } else {
      this.#enqueue(ticket, queue);
      this.#seatAll();
    }
    return ticket;
  }

  /** What was asked is done. */
  finish(ticket: Ticket<F, A>, nowMs: number): void {
    this.#advance(nowMs);
    if (!(ticket instanceof Seated) || ticket.state !== 'seated') return;
    const { queue, work } = ticket;
    this.seated--;
    leave(this.#seatedTickets, ticket);
    if (queue !== undefined) {
      queue.seated--;
      if (!queue.isActive) this.#active--;
      queue.nextR += work.seats * (nowMs - ticket.startedMs - guessedMs);
      this.#bound(queue);
    }
    if (work.finalMs > 0) {
      ticket.state = 'lingering';
      ticket.lingersToMs = nowMs + work.finalMs;
      ticket.place = this.#lingering.add(ticket);
      this.#nextLingerMs = Math.min(this.#nextLingerMs, ticket.lingersToMs);
    } else {
      this.#free(ticket);
    }
    this.#seatAll();
  }

  /** Whoever asked has gone; without effect once it is seated. */
  cancel(ticket: Ticket<F, A>, nowMs: number): void {
    this.#advance(nowMs);
    if (!(ticket instanceof Seated) || ticket.state !== 'waiting') return;
    this.#giveUp(ticket, 'cancelled');
    this.#seatAll();
  }

  /** Does what is due: seats that are free by now, requests that waited for too long. */
  tick(nowMs: number): void {
    this.#advance(nowMs);
    if (nowMs >= this.#nextDeadlineMs) this.#expire(nowMs);
    this.#seatAll();
  }

  /** Queues that somebody used, in order. */
  queuesSeen(): readonly QueueSeen[] {
    return [...this.#queues.values()]
      .map((queue) => ({
        index: queue.index,
        waiting: queue.waiting.size,
        seated: queue.seated,
        seatsInUse: queue.seatsInUse,
        nextR: queue.nextR / 1000,
        seatsSum: queue.waitingSeats,
        seatsMaxSum: queue.waitingSeatsMax,
        workSum: queue.waitingWork / 1000,
      }))
      .toSorted((a, b) => a.index - b.index);
  }

  /** All that are not over. */
  tickets(): readonly Ticket<F, A>[] {
    const waiting = [...this.#withWaiting].flatMap((queue) => [...queue.waiting]);
    return [...this.#seatedTickets, ...this.#lingering, ...waiting];
  }

  #advance(nowMs: number): void {
    if (nowMs >= this.#nextLingerMs) this.#endLingering(nowMs);
    this.#advanceMeter(nowMs);
  }

  #advanceMeter(nowMs: number): void {
    const ms = nowMs - this.#nowMs;
    if (ms <= 0) return;
    this.#nowMs = nowMs;
    if (this.#active === 0) return;
    this.#r += (Math.min(this.seatsInUse + this.waitingSeats, this.#setup.limit) / this.#active) * ms;
  }

  #endLingering(nowMs: number): void {
    let next = Infinity;
    for (const ticket of [...this.#lingering].toSorted((a, b) => a.lingersToMs - b.lingersToMs)) {
      if (ticket.lingersToMs > nowMs) next = Math.min(next, ticket.lingersToMs);
      else {
        this.#advanceMeter(ticket.lingersToMs);
        leave(this.#lingering, ticket);
        this.#free(ticket);
      }
    }
    this.#nextLingerMs = next;
    this.#seatAll();
  }

  #expire(nowMs: number): void {
    let next = Infinity;
    for (const queue of [...this.#withWaiting]) {
      for (const ticket of [...queue.waiting]) {
        if (ticket.deadlineMs <= nowMs) this.#giveUp(ticket, 'time-out');
        else next = Math.min(next, ticket.deadlineMs);
      }
    }
    this.#nextDeadlineMs = next;
  }

  #giveUp(ticket: Seated<F, A>, why: RefusedFor): void {
    const { queue } = ticket;
    if (queue === undefined) return;
    this.#dequeue(ticket, queue);
    if (!queue.isActive) this.#active--;
    this.#bound(queue);
    ticket.state = 'over';
    ticket.refusedFor = why;
    ticket.onTurn?.();
  }

  /** Of the flow's hand, the queue with the least work before it. */
  #choose(flow: F, queuing: Queuing): Queue<F, A> {
    let hand = this.#hands.get(flow.key);
    if (hand === undefined) {
      if (this.#hands.size >= handsMax) this.#hands.clear();
      this.#hands.set(flow.key, (hand = dealHand(flow.key, queuing)));
    }
    // Beginning with another card each time, so that the first of the hand is not preferred.
    const offset = this.#arrivals++ % hand.length;
    let best = hand[offset] ?? 0;
    if (this.waiting > 0) {
      let least = Infinity;
      for (let at = 0; at < hand.length; at++) {
        const index = hand[(offset + at) % hand.length] ?? 0;
        const work = this.#queues.get(index)?.waitingWork ?? 0;
        if (work < least) [least, best] = [work, index];
      }
    }
    let queue = this.#queues.get(best);
    if (queue === undefined) this.#queues.set(best, (queue = new Queue(best)));
    return queue;
  }

  #fits({ seatsMax }: Seated<F, A>): boolean {
    return this.seatsInUse + seatsMax <= this.#setup.limit || this.seatsInUse === 0;
  }

  #enqueue(ticket: Seated<F, A>, queue: Queue<F, A>): void {
    if (!queue.isActive) {
      queue.nextR = this.#r;
      this.#active++;
    }
    ticket.state = 'waiting';
    ticket.place = queue.waiting.add(ticket);
    queue.waitingWork += workOf(ticket.work);
    queue.waitingSeats += ticket.work.seats;
    queue.waitingSeatsMax += ticket.seatsMax;
    ticket.queueLength = queue.waiting.size;
    queue.place ??= this.#withWaiting.add(queue);
    this.waiting++;
    this.waitingSeats += ticket.seatsMax;
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, ticket.deadlineMs);
  }

  #dequeue(ticket: Seated<F, A>, queue: Queue<F, A>): void {
    leave(queue.waiting, ticket);
    queue.waitingWork = queue.waiting.size === 0 ? 0 : queue.waitingWork - workOf(ticket.work);
    queue.waitingSeats -= ticket.work.seats;
    queue.waitingSeatsMax -= ticket.seatsMax;
    if (queue.waiting.size === 0) leave(this.#withWaiting, queue);
    this.waiting--;
    this.waitingSeats -= ticket.seatsMax;
    if (this.waiting === 0) this.#nextDeadlineMs = Infinity;
  }

  /** Seats whose turn it is, as long as the next one fits. */
  #seatAll(): void {
    while (this.waiting > 0) {
      const next = this.#nextQueue();
      const ticket = next?.waiting.first;
      if (next === undefined || ticket === undefined || !this.#fits(ticket)) return;
      this.#dequeue(ticket, next);
      if (next.waiting.size > 0) {
        leave(this.#withWaiting, next);
        next.place = this.#withWaiting.add(next);
      }
      if (!next.isActive) this.#active--; // Counted again below.
      this.#seat(ticket);
      this.#bound(next);
      ticket.onTurn?.();
    }
  }

  /** The queue whose head would end first, were the seats divided equally. */
  #nextQueue(): Queue<F, A> | undefined {
    let best: Queue<F, A> | undefined;
    let [first, min, max] = [Infinity, Infinity, -Infinity];
    let [discountedMin, discountedMax] = [Infinity, -Infinity];
    for (const queue of this.#withWaiting) {
      const head = queue.waiting.first;
      if (head === undefined) continue;
      const discounted = queue.nextR - queue.seatsInUse * guessedMs;
      min = Math.min(min, queue.nextR);
      max = Math.max(max, queue.nextR);
      discountedMin = Math.min(discountedMin, discounted);
      discountedMax = Math.max(discountedMax, discounted);
      const end = queue.nextR + workOf(head.work);
      if (end < first) [first, best] = [end, queue];
    }
    if (best !== undefined) {
      this.#lastDispatch = {
        r: this.r,
        latestS: best.nextR / 1000,
        min: min / 1000,
        max: max / 1000,
        discountedMin: discountedMin / 1000,
        discountedMax: discountedMax / 1000,
      };
    }
    return best;
  }

  #seat(ticket: Seated<F, A>): void {
    const { queue } = ticket;
    const { limit, isExempt } = this.#setup;
    if (!isExempt && ticket.work.finalSeats > limit && limit > 0) ticket.work = narrowed(ticket.work, limit);
    ticket.state = 'seated';
    ticket.startedMs = this.#nowMs;
    this.seated++;
    this.seatsInUse += ticket.seatsMax;
    ticket.place = this.#seatedTickets.add(ticket);
    if (queue === undefined) return;
    if (!queue.isActive) this.#active++;
    queue.seated++;
    queue.seatsInUse += ticket.seatsMax;
    queue.nextR += workOf(ticket.work);
  }

  #free(ticket: Seated<F, A>): void {
    const { queue } = ticket;
    ticket.state = 'over';
    this.seatsInUse -= ticket.seatsMax;
    if (queue === undefined) return;
    queue.seatsInUse -= ticket.seatsMax;
    const isUnused = !queue.isActive && queue.seatsInUse === 0;
    if (isUnused && this.#queues.size > idleQueuesMax) this.#queues.delete(queue.index);
  }

  /** A queue that could not use its share for a while has no claim to it later: nothing begins before it came. */
  #bound(queue: Queue<F, A>): void {
    const head = queue.waiting.first;
    if (head !== undefined && queue.nextR < head.arrivalR) queue.nextR = head.arrivalR;
  }
}

/** Takes it out of the list in which its place is. */
function leave<T extends { place: Place<T> | undefined }>(list: LinkedList<T>, one: T): void {
  if (one.place !== undefined) list.remove(one.place);
  one.place = undefined;
}

/** Seat-milliseconds. */
function workOf({ seats, finalSeats, finalMs }: Work): number {
  return seats * guessedMs + finalSeats * finalMs;
}

/** The same work behind it on fewer seats, for longer. */
function narrowed({ seats, finalSeats, finalMs }: Work, limit: number): Work {
  return { seats, finalSeats: limit, finalMs: (finalSeats * finalMs) / limit };
}
