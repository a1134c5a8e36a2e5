import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { isDraft, removeDrafts, writeDurably, writeDurablySync } from './durable-file.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-durable-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe.each([
  ['writeDurably()', writeDurably],
  ['writeDurablySync()', async (...args: Parameters<typeof writeDurablySync>) => writeDurablySync(...args)],
] as const)('%s', (_name, write) => {
  it('replaces a file, with its mode, and leaves nothing beside it', async () => {
    const file = join(directory, 'a.json');
    writeFileSync(file, 'old', { mode: 0o644 });
    await write(file, 'new', { mode: 0o600 });
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['a.json']);
  });

  it('gives each of many writers a draft of its own: the file is whole at any time', async () => {
    const file = join(directory, 'a');
    const texts = Array.from({ length: 30 }, (_, index) => String(index).repeat(5000));
    const writing = Promise.all(texts.map((text) => write(file, text)));
    await writing;
    expect(texts).toContain(readFileSync(file, 'utf8'));
    expect(readdirSync(directory)).toEqual(['a']);
  });

  it('leaves the old file, and no draft, when it cannot be done', async () => {
    const target = join(directory, 'directory');
    await write(join(directory, 'x'), 'x');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(target);
    await expect(write(target, 'text')).rejects.toThrow(/EISDIR|directory/);
    expect(readdirSync(directory).toSorted()).toEqual(['directory', 'x']);
  });
});

it('removeDrafts() removes what a killed writer left, and nothing else', () => {
  const names = ['.a.json.123-0-1.draft', 'a.json', '.hidden', 'b.draft', 'x.123-0-1.draft'];
  for (const name of names) writeFileSync(join(directory, name), '');
  removeDrafts(directory);
  expect(readdirSync(directory).toSorted()).toEqual(['.hidden', 'a.json', 'b.draft', 'x.123-0-1.draft']);
  expect(names.filter(isDraft)).toEqual(['.a.json.123-0-1.draft']);
});
