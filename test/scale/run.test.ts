import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rows } from './run.ts';

it('the sizes of a row are at least three, and four times each other at least', () => {
  for (const { name, sizes } of rows) {
    expect(sizes.length, name).toBeGreaterThanOrEqual(3);
    for (const [index, size] of sizes.entries())
      if (index > 0) expect(size / (sizes[index - 1] ?? 1), name).toBeGreaterThanOrEqual(3.9);
  }
});

it('--quick runs a row at two small sizes, and says how the cost grew', () => {
  const directory = mkdtempSync(join(tmpdir(), 'scale-'));
  const json = join(directory, 'scale.json');
  const script = join(import.meta.dirname, 'run.ts');
  const { stdout, status } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, '--rows', 'list-by-label', '--quick', '--json', json],
    { encoding: 'utf8' },
  );
  expect(status).toBe(0);
  expect(stdout).toMatch(/^list-by-label: .* \(×\d+\.\d from the smallest to the largest\)$/m);
  expect(stdout).toMatch(/^ {2}verdict: /m);
  expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual([
    {
      row: 'list-by-label',
      costs: [50, 200].map((size) => ({
        size,
        cost: {
          operations: 5 * size,
          processorMs: expect.any(Number),
          allThreadsMs: expect.any(Number),
          longestTurnMs: expect.any(Number),
        },
      })),
    },
  ]);
  rmSync(directory, { recursive: true });
});
