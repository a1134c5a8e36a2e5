/** Store files with damage at any byte: refused with a word, or as they were; never wrong data. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { integer } from 'fast-check';
import { afterAll, beforeAll, expect } from 'vitest';

import { isPodwrightError } from '#base/errors.ts';
import {
  copyStore,
  makeStores,
  openStoreIn,
  readAll,
  type StoreCopies,
} from '#control-plane/store/damaged-store.fixture.ts';
import { classify, openContents } from '#control-plane/store/disk-open.ts';
import type { FoundRow } from '#control-plane/store/disk-tables.ts';
import { put } from '#control-plane/store/store.conformance.ts';
import { damageFile, randomFrom, type Random } from './damage.ts';
import { fuzz } from './fuzz.ts';

let root = '';
let copies: StoreCopies;

beforeAll(async () => {
  root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'podwright-fuzz-'));
  copies = await makeStores(root, randomFrom(1));
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  console.log(Object.fromEntries([...told].toSorted(([, a], [, b]) => b - a)));
});

/** Files of the store in `at`; log frames are a page and 24 bytes, after a header of 32. */
function damageOnce(at: string, from: 'killed' | 'closed', random: Random, files = 5): string {
  const file =
    [`${at}/store.db`, `${at}/store.db`, `${at}/store.db-wal`, `${at}/store.db-wal`, `${at}.mark`][
      random(files)
    ] ?? '';
  if (random(6) > 0) return damageFile(file, random, file.endsWith('-wal') ? 4120 : 4096);
  const sources = [copies[`${from}Earlier`], copies.other, copies[from === 'killed' ? 'closed' : 'killed']];
  const source = sources[random(3)] ?? '';
  const other = file.replace(at, source);
  if (!existsSync(other)) rmSync(file, { force: true });
  else cpSync(other, file);
  return `${file}: that of ${source}`;
}

/** Opens it without a thread, as most rounds are refused. Gives why, or undefined; then it holds what was acknowledged. */
function refusalOf(at: string): string | undefined {
  const found = new Map<string, string>();
  const visit = ({ row, value }: FoundRow): void => {
    if (row.deleted) found.delete(row.key);
    else found.set(row.key, `${Buffer.from(value ?? []).toString('latin1')}@${row.revision}`);
  };
  try {
    const options = { directory: at, markFile: `${at}.mark`, sizeBytesMax: 0, mustExist: true };
    const { contents } = openContents(options, visit);
    expect(contents.end.revision).toBe(copies.revision);
  } catch (error) {
    const { code, message } = classify(error, true);
    if (code !== 'E_DAMAGED') throw new Error(`refused with ${code}: ${message}`, { cause: error });
    expect(message).not.toBe('');
    return message;
  }
  expect(found).toEqual(copies.acknowledged);
  return undefined;
}

async function expectWhole(at: string): Promise<void> {
  const marker = `/z/${at}`;
  {
    await using store = await openStoreIn(at);
    expect(store.revision).toBe(copies.revision);
    expect(await readAll(store)).toEqual(copies.acknowledged);
    await store.commit({ expect: [], ops: [put(marker, 'later')] });
  }
  await using store = await openStoreIn(at);
  const expected = new Map(copies.acknowledged).set(marker, `later@${copies.revision + 1}`);
  expect(new Map([...(await readAll(store))].toSorted())).toEqual(new Map([...expected].toSorted()));
}

const told = new Map<string, number>();

fuzz('store files with damage', {
  arbitrary: integer(),
  seconds: 10,
  check: async (seed) => {
    const random = randomFrom(seed);
    const at = join(root, 'damaged');
    const from = random(2) === 0 ? 'killed' : 'closed';
    copyStore(copies[from], at);
    const done = [damageOnce(at, from, random)];
    // With an earlier mark and a log that ends there it is the earlier store, and nothing says that there was a later one.
    const isMarkEarlier = done[0]?.startsWith(`${at}.mark: that of`) === true;
    if (!isMarkEarlier && random(3) === 0) done.push(damageOnce(at, from, random, 4));
    try {
      const refusal = refusalOf(at);
      const kind = (refusal ?? 'whole').replace(/\d+|[0-9a-f-]{36}|\/k\/\S+/g, '…');
      told.set(kind, (told.get(kind) ?? 0) + 1);
      if (refusal === undefined && random(8) === 0) await expectWhole(at);
    } catch (error) {
      if (isPodwrightError(error, 'E_DAMAGED')) return; // Found a moment later, by the engine that was about to write.
      throw new Error(`${from}, ${done.join('; ')}`, { cause: error });
    }
  },
});
