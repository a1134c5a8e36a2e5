import { expect, it } from 'vitest';
import { parseUlimit, ulimitProblems } from './ulimits.ts';

it.each([
  ['nofile=1024:1048576', { name: 'RLIMIT_NOFILE', soft: 1024, hard: 1_048_576 }],
  ['core=0', { name: 'RLIMIT_CORE', soft: 0, hard: 0 }],
  ['memlock=65536:unlimited', { name: 'RLIMIT_MEMLOCK', soft: 65_536, hard: -1 }],
  ['stack=-1', { name: 'RLIMIT_STACK', soft: -1, hard: -1 }],
])('%s is a limit', (text, want) => {
  expect(parseUlimit(text)).toEqual(want);
});

it.each([
  [['nofile'], ['nofile: no limit; write NAME=SOFT:HARD, as nofile=1024:1048576']],
  [['nofile=1k'], ['nofile=1k: no limit; write NAME=SOFT:HARD, as nofile=1024:1048576']],
  [
    ['files=1'],
    [expect.stringMatching(/^--default-ulimit files=1: no limit is called so; there are cpu, .*nofile/)],
  ],
  [['nofile=9:8'], ['nofile=9:8: the soft limit is above the hard one']],
  [['nofile=unlimited:8'], ['nofile=unlimited:8: the soft limit is above the hard one']],
  [['nofile=1', 'nofile=2'], ['nofile=2: it is given twice']],
  [['nofile=1', 'core=0'], []],
])('%s: what is wrong is told by name', (texts, want) => {
  expect(ulimitProblems(texts)).toEqual(
    want.map((one) => (typeof one === 'string' ? `--default-ulimit ${one}` : one)),
  );
});
