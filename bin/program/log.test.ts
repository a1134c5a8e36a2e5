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

it('createDestination() writes no secrets, whoever quotes them', () => {
  const written: string[] = [];
  const destination = createDestination((text) => written.push(text));
  const jwt = `eyJ${'hbGciOi'.repeat(4)}.eyJ${'zdWIiOi'.repeat(4)}.c2ln-_${'x'.repeat(20)}`;
  const lines = [
    `GET https://r/v2/: 401 authorization: Bearer ${jwt}`,
    `token ${jwt} refused`,
    'authorization: Basic dXNlcjpodW50ZXIy',
    'pull https://user:hunter2@registry/x',
    'https://s3/x?X-Amz-Signature=hunter2&X-Amz-Security-Token=hunter2&part=1',
    '-----BEGIN EC PRIVATE KEY-----\\nhunter2\\n-----END EC PRIVATE KEY-----',
  ];
  for (const error of lines) destination.write(`${JSON.stringify({ error })}\n`);
  expect(written.join('')).not.toMatch(/hunter2|dXNlcjpodW50ZXIy|c2ln/);
  expect(written.map((line) => typeof JSON.parse(line).error)).toEqual(lines.map(() => 'string'));
  expect(written[4]).toContain('part=1');
});

it('createDestination() bounds a line, which stays JSON', () => {
  const written: string[] = [];
  createDestination((text) => written.push(text)).write(
    `${JSON.stringify({ level: 'warn', error: 'x'.repeat(10_000_000), msg: 'm' })}\n`,
  );
  expect(JSON.parse(written[0] ?? '')).toMatchObject({ level: 'warn', msg: 'm', length: 10_000_038 });
  expect(written[0]?.length).toBeLessThan(17_000);
});
