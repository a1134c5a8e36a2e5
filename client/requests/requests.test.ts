import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { impersonationHeaders } from './impersonation.ts';
import { retryAfterMs } from './retry-after.ts';
import { parseWarnings } from './warning-header.ts';

describe('parseWarnings()', () => {
  it.each([
    { name: 'none', given: undefined, want: [] },
    { name: 'one', given: '299 - "unknown field \\"spec.x\\""', want: ['unknown field "spec.x"'] },
    { name: 'two in one', given: '299 - "a, b", 299 kube "c"', want: ['a, b', 'c'] },
    { name: 'with a date', given: '299 - "a" "Wed, 21 Oct 2015 07:28:00 GMT", 299 - "b"', want: ['a', 'b'] },
    { name: 'of another code', given: '199 - "a", 299 - "b"', want: ['b'] },
    { name: 'no text', given: '299 -', want: [] },
  ])('$name', ({ given, want }) => expect(parseWarnings(given)).toEqual(want));

  it('ends on any text', () => {
    const seed = Date.now();
    const random = createRandom(seed);
    const signs = '299 -"\\, a';
    for (let run = 0; run < 2000; run++) {
      const text = Array.from({ length: 40 }, () => signs[Math.floor(random() * signs.length)]).join('');
      expect(parseWarnings(text).length, `seed ${seed}`).toBeLessThanOrEqual(64);
    }
  });
});

describe('retryAfterMs()', () => {
  const disruption = JSON.stringify({ details: { causes: [{ reason: 'DisruptionBudget' }] } });
  it.each([
    { name: 'busy', status: 429, header: '1', text: '', want: 1000 },
    { name: 'overloaded', status: 503, header: '2', text: '', want: 2000 },
    { name: 'longer than anybody waits', status: 429, header: '86400', text: '', want: 60_000 },
    { name: 'no header', status: 429, header: undefined, text: '', want: undefined },
    { name: 'a date', status: 503, header: 'Wed, 21 Oct 2015 07:28:00 GMT', text: '', want: undefined },
    { name: 'a success', status: 200, header: '1', text: '', want: undefined },
    { name: 'a budget of disruptions', status: 429, header: '10', text: disruption, want: undefined },
    { name: 'text that speaks of one', status: 429, header: '1', text: 'DisruptionBudget', want: 1000 },
  ])('$name', ({ status, header, text, want }) => expect(retryAfterMs(status, header, text)).toBe(want));
});

it('impersonationHeaders() keeps groups apart and escapes keys', () => {
  expect(impersonationHeaders(undefined)).toEqual({});
  const who = { user: 'jane', uid: 'u', groups: ['a', 'b,c'], extra: { 'example.com/Dept%': ['x', 'y'] } };
  expect(impersonationHeaders(who)).toEqual({
    'impersonate-user': 'jane',
    'impersonate-uid': 'u',
    'impersonate-group': ['a', 'b,c'],
    'impersonate-extra-example.com%2Fdept%25': ['x', 'y'],
  });
});
