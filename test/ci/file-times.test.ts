import { expect, test } from 'vitest';

import { failedFiles, renderTimes, type FileTimes } from './file-times.ts';

const base: FileTimes = {
  name: 'a.test.ts',
  project: 'alone',
  status: 'passed',
  tests: 3,
  beginMs: 0,
  wallMs: 120,
  workerMs: 100,
  childrenMs: 0,
};
const files: readonly FileTimes[] = [
  base,
  { ...base, name: 'b/c.test.ts', wallMs: 79_040, workerMs: 4_000, childrenMs: 31_990, status: 'failed' },
  { ...base, name: 'd.test.ts', project: 'shared', wallMs: 900, workerMs: 850, status: 'failed' },
];

test('renderTimes() gives the longest first, then what each project and all took', () => {
  expect(renderTimes({ wallMs: 79_500, idleShare: 0.123, files }, 2)).toEqual([
    'seconds: wall, processor, and that of its children',
    '   79.0     4.0    32.0  b/c.test.ts',
    '    0.9     0.8     0.0  d.test.ts',
    '   79.2     4.1    32.0  all 2 files of alone',
    '    0.9     0.8     0.0  all 1 files of shared',
    '   79.5 in all; the processors were idle for 12 % of it',
  ]);
});

test('failedFiles() names the files in which something failed', () => {
  expect(failedFiles(JSON.stringify({ wallMs: 1, idleShare: 0, files }))).toEqual([
    'b/c.test.ts',
    'd.test.ts',
  ]);
});

test('failedFiles() refuses what is no run', () => {
  expect(() => failedFiles('{}')).toThrow('no times of a run');
});
