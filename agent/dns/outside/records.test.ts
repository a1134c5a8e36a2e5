import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressOf, asks, says, soaOf } from './messages.fixture.ts';
import { questionOf, recordsOf, ttlSecondsOf } from './records.ts';

const query = asks('Example.com');
const ttlOf = (message: Buffer): number => ttlSecondsOf(message, recordsOf(message) ?? []);

test('records are found where they are', () => {
  const message = says(query, {
    answers: [addressOf('example.com', 60), addressOf('example.com', 30)],
    authorities: [soaOf('com', 9, 5)],
  });
  const records = recordsOf(message) ?? [];
  expect(records.map(({ section, type, ttlSeconds }) => `${section} ${type} ${ttlSeconds}`)).toEqual([
    'answer 1 60',
    'answer 1 30',
    'authority 6 9',
  ]);
  expect(records.at(-1)?.end).toBe(message.length);
});

test.each([
  ['the least of its answers', { answers: [addressOf('a', 60), addressOf('a', 30)] }, 30],
  ['nothing where an answer says so', { answers: [addressOf('a', 0), addressOf('a', 30)] }, 0],
  ['what its SOA says of there being no such name', { code: 3, authorities: [soaOf('com', 900, 60)] }, 60],
  ["the SOA's own time, if that is less", { code: 3, authorities: [soaOf('com', 20, 60)] }, 20],
  ['what the SOA says of no such records', { authorities: [soaOf('com', 900, 60)] }, 60],
  ['nothing without one', { code: 3 }, 0],
  [
    'what the SOA says where a CNAME leads to no such name',
    { code: 3, answers: [addressOf('a', 60)], authorities: [soaOf('com', 900, 7)] },
    7,
  ],
])('a reply is kept for %s', (_name, said, want) => expect(ttlOf(says(query, said))).toBe(want));

test('a time to live with its highest bit set is none', () => {
  const message = says(query, { answers: [addressOf('example.com', 0xffff_ffff)] });
  expect(ttlOf(message)).toBe(0);
});

test('messages that ask the same have one question, whatever their letters', () => {
  expect(questionOf(query)).toEqual(questionOf(asks('eXAMPLE.COM')));
  expect(questionOf(query)).not.toEqual(questionOf(asks('example.com', 'AAAA')));
});

test('of a message that is cut or changed nothing is read beyond its end', () => {
  const whole = says(query, { answers: [addressOf('example.com', 60)], authorities: [soaOf('com', 9, 5)] });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.uint8Array({ maxLength: 30 }), (cut, noise) => {
      const message = Buffer.concat([whole.subarray(0, cut), noise]);
      for (const { end, data } of recordsOf(message) ?? []) {
        expect(end).toBeLessThanOrEqual(message.length);
        expect(data.at + data.bytes).toBe(end);
      }
      expect(recordsOf(whole.subarray(0, cut))).toBeUndefined();
    }),
  );
});
