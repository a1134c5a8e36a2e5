import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createForwarder, type Found } from './forwarder.ts';
import { addressOf, answersOf, ednsOf, queryOf, says, soaOf, type SaidFields } from './messages.fixture.ts';
import { rcodeOf } from './records.ts';
import type { Upstream } from './upstream.ts';

const { signal } = new AbortController();
const name = 'example.com';

/** A forwarder whose resolver says what it is set to, or nothing until it is let go. */
function start(said: SaidFields | 'nothing') {
  const clock = createFakeClock();
  const state = { said, asked: 0, found: [] as Found[], waiting: [] as (() => void)[], server: '192.0.2.53' };
  const upstream: Upstream = {
    servers: () => [state.server],
    ask: async (query) => {
      state.asked += 1;
      if (state.said === 'nothing') await new Promise<void>((resolve) => state.waiting.push(resolve));
      if (state.said === 'nothing') throw new Error('no answer');
      return says(query, state.said);
    },
  };
  const forwarder = createForwarder({
    upstreamOf: () => upstream,
    clock,
    onFound: (how) => state.found.push(how),
  });
  return {
    state,
    clock,
    ask: (query = queryOf(name)) => forwarder.ask(query, signal),
  };
}

test('a reply is remembered while it lives, and its time goes down', async () => {
  const { state, clock, ask } = start({ answers: [addressOf(name, 60)] });
  await ask();
  clock.advance(20_500);
  expect(answersOf(await ask(queryOf('EXAMPLE.com')))).toEqual(['example.com 40 192.0.2.1']);
  expect(state.asked).toBe(1);
  clock.advance(39_500);
  expect(answersOf(await ask())).toEqual(['example.com 60 192.0.2.1']);
  expect(state.found).toEqual(['miss', 'hit', 'miss']);
});

test.each<[string, SaidFields, number]>([
  ['that there is no such name', { code: 3, authorities: [soaOf('com', 900, 30)] }, 1],
  ['that there are no such records', { authorities: [soaOf('com', 900, 30)] }, 1],
  ['a failure, for seconds', { code: 2 }, 1],
  ['nothing that is not to be kept', { answers: [addressOf(name, 0)] }, 2],
])('remembered is %s', async (_name, said, want) => {
  const { state, clock, ask } = start(said);
  await ask();
  clock.advance(4_000);
  await ask();
  expect(state.asked).toBe(want);
});

test('types, and clients that take signatures, have replies of their own', async () => {
  const { state, ask } = start({ answers: [addressOf(name, 60)] });
  await ask();
  await ask(queryOf(name, 'AAAA'));
  await ask(queryOf(name, 'A', { additionals: [ednsOf(true)] }));
  expect(state.asked).toBe(3);
});

test('many who ask the same at once ask once', async () => {
  const { state, ask } = start({ answers: [addressOf(name, 60)] });
  const all = await Promise.all(Array.from({ length: 50 }, () => ask()));
  expect(state.asked).toBe(1);
  expect(new Set(all.map(String)).size).toBe(1);
});

test('what is asked for often is asked for anew before its time is over', async () => {
  const { state, clock, ask } = start({ answers: [addressOf(name, 100)] });
  await ask();
  for (const ms of [30_000, 30_000, 35_000]) {
    expect(state.asked).toBe(1);
    clock.advance(ms);
    await ask();
  }
  expect(state.asked).toBe(2);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(6_000);
  expect(answersOf(await ask())).toEqual(['example.com 94 192.0.2.1']);
  expect(state.found.filter((how) => how === 'miss')).toHaveLength(1);
});

test('what is known from before is given where a resolver fails, and within two seconds where it is silent', async () => {
  const { state, clock, ask } = start({ answers: [addressOf(name, 60)] });
  await ask();
  clock.advance(61_000);
  state.said = { code: 2 };
  expect(answersOf(await ask())).toEqual(['example.com 30 192.0.2.1']);
  state.said = 'nothing';
  const late = ask();
  clock.advance(1_800);
  expect(answersOf(await late)).toEqual(['example.com 30 192.0.2.1']);
  for (const go of state.waiting) go();
  clock.advance(3_600_000);
  state.said = { code: 2 };
  expect(rcodeOf(await ask())).toBe(2);
});

test('what one resolver said is not what another says', async () => {
  const { state, ask } = start({ answers: [addressOf(name, 60)] });
  await ask();
  state.server = '192.0.2.54';
  await ask();
  expect(state.asked).toBe(2);
});
