import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { systemClock } from '#base/clock.ts';
import { readLogEnd } from './termination-message.ts';

const scratch = scratchDirectory('podwright-termination-');
let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(`${scratch}/`);
});
afterEach(() => rm(directory, { recursive: true }));

const record = (tag: string, text: string): string =>
  `2026-11-20T08:27:50.594980853Z stdout ${tag} ${text}\n`;
const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `line ${n}`);

describe('readLogEnd()', () => {
  const cases = [
    { name: 'few lines', log: record('F', 'one') + record('F', 'two'), want: 'one\ntwo\n' },
    {
      name: 'eighty lines of many',
      log: numbered(10_000)
        .map((line) => record('F', line))
        .join(''),
      want: numbered(10_000)
        .slice(-80)
        .map((line) => `${line}\n`)
        .join(''),
    },
    {
      name: '2048 bytes of one line of 50 MB',
      log: record('P', 'x'.repeat(16_384)).repeat(3_200) + record('F', 'end'),
      want: `${'x'.repeat(2044)}end\n`,
    },
    { name: 'nothing of bytes that are no log', log: 'x'.repeat(1_000_000), want: '' },
  ];
  it.each(cases)('gives $name', async ({ log, want }) => {
    await writeFile(`${directory}/0.log`, log);
    expect(await readLogEnd(`${directory}/0.log`, systemClock)).toBe(want);
  });
});
