import { expect, test } from 'vitest';

import { renderSlowestFiles } from './slowest-files.ts';

const fileOf = (name: string, ms: number) => ({ name, startTime: 1000, endTime: 1000 + ms });

test('renderSlowestFiles() gives the longest first, and what all took', () => {
  const testResults = [
    fileOf('/src/a.test.ts', 120),
    fileOf('/src/b/c.test.ts', 79_040),
    fileOf('/src/d.test.ts', 900),
  ];
  expect(renderSlowestFiles(JSON.stringify({ testResults }), '/src', 2)).toEqual([
    '  80.1 s in all, by 3 files',
    '  79.0 s b/c.test.ts',
    '   0.9 s d.test.ts',
  ]);
});

test('renderSlowestFiles() refuses what is no report', () => {
  expect(() => renderSlowestFiles('{}', '/src')).toThrow('no report of vitest');
});
