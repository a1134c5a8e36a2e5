import { expect, it } from 'vitest';
import { goWords } from './go-words.ts';

const dialing = (why: string): string =>
  `connection error: desc = "transport: Error while dialing: dial unix /a.b/x.sock: connect: ${why}"`;

it.each([
  [
    'No connection established. Last error: Error: connect ENOENT /a.b/x.sock. Resolution note: ',
    dialing('no such file or directory'),
  ],
  [
    'No connection established. Last error: connect ECONNREFUSED /a.b/x.sock. Resolution note: late',
    dialing('connection refused'),
  ],
  ['No connection established. Last error: connect EPROTO /a.b/x.sock. Resolution note: ', dialing('EPROTO')],
  ['Deadline exceeded after 0.104s,metadata filters: 0.002s', 'context deadline exceeded'],
  ['Connection dropped', 'error reading from server: EOF'],
  ['the disk is full', 'the disk is full'],
])('goWords(%j)', (details, want) => {
  expect(goWords(details)).toBe(want);
});
