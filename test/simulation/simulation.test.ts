/** Worlds of a few minutes; the long forms are run by hand (docs/hacking.md). Each in a process of its own: it replaces that one's time. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { plantSeeds } from './faults/plant-seeds.ts';

async function run(
  program: string,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly text: string }> {
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [path.join(import.meta.dirname, program), ...args],
      {
        maxBuffer: 2 ** 28,
      },
    );
    return { code: 0, text: stdout };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string };
    return { code: code ?? 1, text: `${stdout}${stderr}` };
  }
}

// Others by hand: `npm run simulate -- --hours N`.
it('a world of a seed is well', async () => {
  const seed = process.env['SEED'] ?? '1';
  const { code, text } = await run(
    'run.ts',
    '--hours',
    '0.1',
    '--each',
    '0.1',
    '--tries',
    '0',
    '--seed',
    seed,
  );
  expect(code, text).toBe(0);
});

it('a seed gives the same trace, byte for byte', async () => {
  const args = ['--hours', '0.1', '--each', '0.1', '--tries', '0', '--seed', '2', '--trace'];
  const [one, other] = await Promise.all([run('run.ts', ...args), run('run.ts', ...args)]);
  const trace = ({ text }: { readonly text: string }): readonly string[] =>
    text.split('\n').filter((line) => /^\d+\.\d{3} |^seed/.test(line));
  expect(trace(one).length).toBeGreaterThan(500);
  expect(trace(one)).toEqual(trace(other));
});

it('what was planted is found, each by its seed', async () => {
  const { code, text } = await run('find-plants.ts', '--known');
  expect(code, text).toBe(0);
  for (const { plant, seed, found } of plantSeeds)
    expect(text).toMatch(new RegExp(`^${plant}: seed ${seed}: .*${found}`, 'm'));
});
