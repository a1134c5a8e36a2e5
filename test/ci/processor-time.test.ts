import { expect, test } from 'vitest';

import { idleShare, parseChildrenMs, parseMachineTicks } from './processor-time.ts';

test('parseMachineTicks() takes waiting for disks as idle, and counts no guest twice', () => {
  const stat = 'cpu  100 1 50 800 40 3 6 7 60 0\ncpu0 1 1 1 1 1 1 1 0 0 0\nintr 1\n';
  expect(parseMachineTicks(stat)).toEqual({ idle: 840, all: 1000 });
});

test('parseMachineTicks() refuses what is no /proc/stat', () => {
  expect(() => parseMachineTicks('cpu0 1 2 3\n')).toThrow('no line of cpu');
  expect(() => parseMachineTicks('cpu  1 2 x 4 5 6 7\n')).toThrow('no line of cpu');
});

test('idleShare() is that of the time between', () => {
  expect(idleShare({ idle: 100, all: 1000 }, { idle: 150, all: 1200 })).toBe(0.25);
  expect(idleShare({ idle: 100, all: 1000 }, { idle: 100, all: 1000 })).toBe(0);
});

test('parseChildrenMs() counts fields behind a name with blanks and parentheses', () => {
  const fields = Array.from({ length: 50 }, (_, index) => String(index + 3)); // Each is its own number.
  expect(parseChildrenMs(`7 (a b) c) ${fields.join(' ')}`)).toBe((16 + 17) * 10);
});
