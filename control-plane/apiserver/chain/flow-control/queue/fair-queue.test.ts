import { describe, expect, it } from 'vitest';
import { FairQueue, waitingMax, type QueueSetup } from './fair-queue.ts';
import type { Flow, Work } from './ticket.ts';
import { flowOf, maxMin, randomOf, simulate } from './fair-queue.fixture.ts';

const one: Work = { seats: 1, finalSeats: 0, finalMs: 0 };
const queuing = { queues: 64, handSize: 4, queueLengthLimit: 50 };
const setupOf = (given: Partial<QueueSetup>): QueueSetup => ({
  limit: 2,
  isExempt: false,
  queuing,
  ...given,
});
const created = (given: Partial<QueueSetup> = {}): FairQueue<Flow, number> =>
  new FairQueue(setupOf(given), 0);
const asked = (flow: string, work: Partial<Work> = {}, waitMs = 15_000) => ({
  flow: flowOf(flow),
  work: { ...one, ...work },
  waitMs,
  about: 0,
});
const states = (tickets: readonly { readonly state: string }[]): readonly string[] =>
  tickets.map(({ state }) => state);

describe('FairQueue', () => {
  it('seats as many as there are seats; the others wait, and are told when their turn comes', () => {
    const queue = created();
    const tickets = [1, 2, 3].map(() => queue.arrive(asked('a'), 0));
    expect(states(tickets)).toEqual(['seated', 'seated', 'waiting']);
    let told = 0;
    if (tickets[2] !== undefined) tickets[2].onTurn = () => told++;
    if (tickets[0] !== undefined) queue.finish(tickets[0], 10);
    expect([states(tickets), told]).toEqual([['over', 'seated', 'seated'], 1]);
    for (const ticket of tickets) queue.finish(ticket, 20);
    expect(queue).toMatchObject({ isIdle: true, seatsInUse: 0, waitingSeats: 0 });
  });

  it('refuses at once without queues', () => {
    const queue = created({ queuing: undefined, limit: 1 });
    const tickets = [1, 2].map(() => queue.arrive(asked('a'), 0));
    expect(tickets).toMatchObject([{ state: 'seated' }, { state: 'over', refusedFor: 'concurrency-limit' }]);
  });

  it.each([
    { name: 'with queues', given: {}, second: 'waiting', third: 'waiting' },
    { name: 'without', given: { queuing: undefined }, second: 'over', third: 'seated' },
  ])('lets one at a time through a level without seats, $name', ({ given, second, third }) => {
    const queue = created({ limit: 0, ...given });
    const first = queue.arrive(asked('a'), 0);
    expect([first.state, queue.arrive(asked('a'), 0).state]).toEqual(['seated', second]);
    queue.finish(first, 1);
    expect(queue.arrive(asked('a'), 1).state).toBe(third);
  });

  it('is never full when it is exempt', () => {
    const queue = created({ isExempt: true, limit: 0, queuing: undefined });
    for (let i = 0; i < 100; i++) expect(queue.arrive(asked('a'), 0).state).toBe('seated');
    expect(queue).toMatchObject({ seated: 100, seatsInUse: 100 });
  });

  it('refuses a flow whose hand is full, and not the others', () => {
    const queue = created({ limit: 1, queuing: { queues: 64, handSize: 2, queueLengthLimit: 3 } });
    const tickets = Array.from({ length: 10 }, () => queue.arrive(asked('a'), 0));
    expect(tickets.filter(({ refusedFor }) => refusedFor === 'queue-full')).toHaveLength(3);
    expect(queue.arrive(asked('b'), 0).state).toBe('waiting');
  });

  it('holds no more than its bound, whatever its configuration says', () => {
    const queue = created({ limit: 1, queuing: { queues: 8, handSize: 4, queueLengthLimit: 2_000_000 } });
    queue.arrive(asked('a'), 0);
    for (let i = 0; i < waitingMax; i++) expect(queue.arrive(asked('a'), 0).state).toBe('waiting');
    expect(queue.arrive(asked('a'), 0).refusedFor).toBe('queue-full');
  });

  it('gives up on who waited too long or went, without a trace', () => {
    const queue = created({ limit: 1 });
    const first = queue.arrive(asked('a'), 0);
    const late = queue.arrive(asked('a', {}, 100), 0);
    const gone = queue.arrive(asked('a', {}, 200), 0);
    expect(queue.nextDueMs).toBe(100);
    queue.tick(99);
    expect(late.state).toBe('waiting');
    queue.tick(100);
    queue.cancel(gone, 100);
    expect([late.refusedFor, gone.refusedFor]).toEqual(['time-out', 'cancelled']);
    expect(queue).toMatchObject({ waiting: 0, waitingSeats: 0, nextDueMs: Infinity });
    queue.finish(first, 200);
    expect(queue.queuesSeen().every(({ waiting, workSum }) => waiting === 0 && workSum === 0)).toBe(true);
  });

  it('seats who is behind the one that went, if that one did not fit', () => {
    const queue = created({ limit: 2, queuing: { queues: 1, handSize: 1, queueLengthLimit: 50 } });
    queue.arrive(asked('a'), 0);
    const wide = queue.arrive(asked('a', { seats: 2 }), 0);
    const narrow = queue.arrive(asked('a'), 0);
    expect([wide.state, narrow.state]).toEqual(['waiting', 'waiting']); // Nobody passes who waits for two.
    queue.cancel(wide, 1);
    expect(narrow.state).toBe('seated');
  });

  it('seats one that is wider than all seats when nobody else is there', () => {
    const queue = created({ limit: 2 });
    const first = queue.arrive(asked('a'), 0);
    const wide = queue.arrive(asked('b', { seats: 10 }), 0);
    expect(wide.state).toBe('waiting');
    queue.finish(first, 1);
    expect(wide.state).toBe('seated');
  });

  it('keeps the seats of what follows for its time, on as many as there are', () => {
    const queue = created({ limit: 4 });
    const write = queue.arrive(asked('a', { finalSeats: 8, finalMs: 5 }), 0);
    expect(queue.seatsInUse).toBe(4);
    queue.finish(write, 10);
    const next = queue.arrive(asked('a'), 11);
    expect([write.state, next.state, queue.nextDueMs]).toEqual(['lingering', 'waiting', 20]); // 8 × 5 ms on 4 seats.
    queue.tick(20);
    expect([next.state, queue.seatsInUse]).toEqual(['seated', 1]);
  });

  it('gives seats that are added to those who wait', () => {
    const queue = created({ limit: 1 });
    const tickets = [1, 2, 3].map(() => queue.arrive(asked('a'), 0));
    queue.configure(setupOf({ limit: 3 }), 1);
    expect(states(tickets)).toEqual(['seated', 'seated', 'seated']);
    queue.configure(setupOf({ limit: 1, queuing: { ...queuing, queues: 2, handSize: 1 } }), 2);
    const fourth = queue.arrive(asked('a'), 2);
    for (const ticket of tickets.slice(0, 2)) queue.finish(ticket, 3);
    expect(fourth.state).toBe('waiting'); // One is still seated, of fewer seats.
  });

  it('lets a flow with one request pass one with a hundred', () => {
    const queue = created({ limit: 1, queuing: { queues: 512, handSize: 1, queueLengthLimit: 500 } });
    const crowd = Array.from({ length: 100 }, () => queue.arrive(asked('crowd'), 0));
    const single = queue.arrive(asked('single'), 0);
    for (let i = 0; i < 3; i++) {
      const seated = [...crowd, single].find(({ state }) => state === 'seated');
      if (seated !== undefined && single.state === 'waiting') queue.finish(seated, 10 * (i + 1));
    }
    expect(single.state).toBe('seated');
  });
});

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

describe(`simulated clients, seed ${seed}`, () => {
  const random = randomOf(seed);
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const rounds = Array.from({ length: 12 }, (_none, round) => ({
    round,
    isWide: round % 3 === 2,
    // No request takes more of a level than its hand leaves to others (level-seats.ts).
    limit: round % 3 === 2 ? between(24, 60) : between(4, 30),
    clients: Array.from({ length: between(2, 7) }, () => ({
      count: between(1, 60),
      seats: round % 3 === 2 ? between(1, 4) : 1,
      serviceMs: between(2, 40),
    })),
  }));

  it.each(rounds)('have what max-min gives them, round $round', ({ limit, clients, isWide }) => {
    const queue: FairQueue<Flow, number> = new FairQueue(
      // One queue for each flow, so that the shares of queues are those of flows.
      setupOf({ limit, queuing: { queues: 10_000_000, handSize: 1, queueLengthLimit: 100 } }),
      0,
    );
    const forMs = 20_000;
    const used = simulate(queue, clients, forMs);
    const fair = maxMin(
      limit,
      clients.map(({ count, seats }) => count * seats),
    );
    // A wide one that waits for seats keeps others free meanwhile: that much less is there for all.
    const crowdSlack = isWide ? 0.5 : 0.2;
    const isCrowd = clients.map(({ count, seats }, index) => count * seats > 2 * (fair[index] ?? 0));
    for (const [index, seats] of fair.entries()) {
      const has = (used[index] ?? 0) / forMs;
      // Who has no more requests than seats waits for each until somebody gets up: it cannot use all of them.
      const slack = isCrowd[index] === true ? crowdSlack : 0.6;
      expect(has, `flow ${index} of ${JSON.stringify({ limit, clients, fair })}`).toBeGreaterThan(
        seats * (1 - slack) - 0.3,
      );
    }
    // Those who always have somebody waiting have the same.
    const crowds = isWide ? [] : used.filter((_ms, index) => isCrowd[index]).map((ms) => ms / forMs);
    expect(Math.max(...crowds, 0)).toBeLessThan(1.1 * Math.min(...crowds, Infinity) + 0.2);
    // Everybody is idle: nothing is left.
    expect(queue).toMatchObject({ waiting: 0, waitingSeats: 0, seated: 0, seatsInUse: 0, isIdle: true });
    expect(queue.tickets()).toEqual([]);
    expect(queue.nextDueMs).toBe(Infinity);
    for (const { waiting, seated, seatsInUse, workSum, seatsSum } of queue.queuesSeen())
      expect({ waiting, seated, seatsInUse, workSum, seatsSum }).toEqual({
        waiting: 0,
        seated: 0,
        seatsInUse: 0,
        workSum: 0,
        seatsSum: 0,
      });
  });

  it('leave nothing, whatever they do', () => {
    const queue = created({ limit: 5 });
    const open = new Set<ReturnType<typeof queue.arrive>>();
    let nowMs = 0;
    for (let step = 0; step < 5_000; step++) {
      nowMs += random() * 4;
      const [any] = [...open].slice(Math.floor(random() * open.size));
      const kind = random();
      if (kind < 0.5) {
        const work = {
          seats: between(1, 8),
          finalSeats: between(0, 12),
          finalMs: random() < 0.5 ? 0 : between(1, 20),
        };
        const ticket = queue.arrive(asked(`f${between(1, 9)}`, work, between(1, 200)), nowMs);
        if (ticket.state !== 'over') open.add(ticket);
      } else if (kind < 0.8 && any !== undefined) queue.finish(any, nowMs);
      else if (kind < 0.9 && any !== undefined) queue.cancel(any, nowMs);
      else if (kind < 0.95) queue.tick(nowMs);
      else queue.configure(setupOf({ limit: between(0, 12) }), nowMs);
      for (const ticket of open)
        if (ticket.state === 'over' || ticket.state === 'lingering') open.delete(ticket);
      if (queue.waiting > 0) expect(queue.seatsInUse).toBeGreaterThan(0); // Somebody is there who makes room.
    }
    for (let left = 10_000; left > 0 && open.size > 0; left--) {
      for (const ticket of open) {
        queue.finish(ticket, (nowMs += 1));
        if (ticket.state !== 'seated' && ticket.state !== 'waiting') open.delete(ticket);
      }
    }
    queue.tick((nowMs += 10_000));
    expect([...open]).toEqual([]);
    expect(queue).toMatchObject({ waiting: 0, waitingSeats: 0, seated: 0, seatsInUse: 0 });
  });
});
