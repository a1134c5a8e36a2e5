import { expect, it } from 'vitest';

import { createDestination } from './log.ts';

it('createDestination() goes on when nothing can be written, and says later how much is missing', () => {
  let isFull = false;
  const written: string[] = [];
  const destination = createDestination((text) => {
    if (isFull) throw new Error('ENOSPC');
    return written.push(text);
  });
  destination.write('one\n');
  isFull = true;
  destination.write('two\n');
  destination.write('three\n');
  isFull = false;
  destination.write('four\n');
  expect(written.map((line) => (line.startsWith('{') ? JSON.parse(line).lostCount : line))).toEqual([
    'one\n',
    2,
    'four\n',
  ]);
});
