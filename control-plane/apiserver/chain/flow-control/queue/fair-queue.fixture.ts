import type { FairQueue } from './fair-queue.ts';
import type { Flow, Ticket, Work } from './ticket.ts';

/** Clients of one flow, each of which asks again as soon as it is answered. */
export interface Clients {
  readonly count: number;
  readonly seats: number;
  readonly serviceMs: number;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What each has of `limit`, where nobody could have more without another who has less having still less. Pure. */
export function maxMin(limit: number, demands: readonly number[]): readonly number[] {
  const order = demands.map((demand, index) => ({ demand, index })).toSorted((a, b) => a.demand - b.demand);
  const given = demands.map(() => 0);
  let left = limit;
  for (const [done, { demand, index }] of order.entries()) {
    const share = Math.min(demand, left / (order.length - done));
    given[index] = share;
    left -= share;
  }
  return given;
}

export function flowOf(name: string): Flow {
  return { key: name, schema: name, distinguisher: '' };
}

type SimulatedTicket = Ticket<Flow, number>;

/** Runs clients for so long on a clock of their own, then lets what is under way end. @returns seat-milliseconds of each flow */
export function simulate(
  queue: FairQueue<Flow, number>,
  clients: readonly Clients[],
  forMs: number,
): readonly number[] {
  const used = clients.map(() => 0);
  const ends: { readonly atMs: number; readonly ticket: SimulatedTicket }[] = [];
  let nowMs = 0;
  const seated = (index: number, ticket: SimulatedTicket): void => {
    const { seats = 1, serviceMs = 1 } = clients[index] ?? {};
    ends.push({ atMs: nowMs + serviceMs, ticket });
    used[index] = (used[index] ?? 0) + seats * serviceMs;
  };
  const ask = (index: number): void => {
    const seats = clients[index]?.seats ?? 1;
    const work: Work = { seats, finalSeats: 0, finalMs: 0 };
    const ticket = queue.arrive(
      { flow: flowOf(`flow-${index}`), work, waitMs: Infinity, about: index },
      nowMs,
    );
    if (ticket.state === 'seated') seated(index, ticket);
    else ticket.onTurn = (): void => seated(index, ticket);
  };
  for (const [index, { count }] of clients.entries()) for (let i = 0; i < count; i++) ask(index);
  while (ends.length > 0) {
    ends.sort((a, b) => b.atMs - a.atMs);
    const next = ends.pop();
    if (next === undefined) break;
    nowMs = next.atMs;
    queue.finish(next.ticket, nowMs);
    if (nowMs < forMs) ask(next.ticket.about);
  }
  return used;
}
