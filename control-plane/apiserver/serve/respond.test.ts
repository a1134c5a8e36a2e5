import { expect, it } from 'vitest';
import type { ApiRequest } from './request.ts';
import { styleOf } from './respond.ts';

const curl = 'curl/7.88.1';

it.each([
  ['', 'kubectl/v1.36.2', false],
  ['', curl, true],
  ['', 'Wget/1.21', true],
  ['', 'Mozilla/5.0 (X11)', true],
  ['', 'Mozilla/4.0', false],
  ['pretty=', curl, true],
  ['pretty=True', 'kubectl', true],
  ['pretty=t', 'kubectl', true],
  ['pretty=yes', curl, false],
  ['pretty=False', curl, false],
  ['pretty=f', curl, false],
  ['pretty=0', curl, false],
])('styleOf() by ?%s of %s: lines and indents %s', (query, agent, want) => {
  const request = { query: new URLSearchParams(query), headers: { 'user-agent': agent } };
  expect(styleOf(request as unknown as ApiRequest, { format: 'json' } as never).pretty).toBe(want);
});
