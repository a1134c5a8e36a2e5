import { expect, test } from 'vitest';

import { failedFiles } from './failed-files.ts';

test('names the files in which something failed', () => {
  const testResults = [
    { name: '/src/b.test.ts', status: 'failed' },
    { name: '/src/c.test.ts', status: 'passed' },
    { name: '/src/a.test.ts', status: 'failed' },
  ];
  expect(failedFiles(JSON.stringify({ testResults }))).toEqual(['/src/a.test.ts', '/src/b.test.ts']);
});

test('refuses what is no report', () => {
  expect(() => failedFiles('{}')).toThrow('no report of vitest');
});
