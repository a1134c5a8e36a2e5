import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatIp, parseIp, type Ip } from '#base/ip.ts';
import { createDiskStore } from './disk-store.ts';
import type { Leases, LeaseStore } from './lease-store.ts';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'leases-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const { signal } = new AbortController(); // The deadline is that of each test.
const ipOf = (text: string): Ip => parseIp(text) ?? expect.fail(text);
const ownerOf = (containerID: string) => ({ containerID, ifname: 'eth0' });
const within = <T>(store: LeaseStore, work: (leases: Leases) => Promise<T>): Promise<T> =>
  store.withLock('net', signal, work);
const reserve = (store: LeaseStore, ip: string, id: string): Promise<boolean> =>
  within(store, (leases) => leases.reserve(ipOf(ip), ownerOf(id), 0));
const ownedBy = (store: LeaseStore, id: string): Promise<readonly string[]> =>
  within(store, async (leases) => (await leases.ownedBy(ownerOf(id))).map(formatIp));

describe('leases on disk', () => {
  test('another store sees what one has reserved and released, and the other way round', async () => {
    const [one, other] = [createDiskStore(directory), createDiskStore(directory)];
    for (let round = 0; round < 20; round++) {
      const [ip, id] = [`10.0.0.${round + 2}`, `c${round}`];
      const [writer, reader] = round % 2 === 0 ? [one, other] : [other, one];
      expect(await reserve(writer, ip, id)).toBe(true);
      expect(await ownedBy(reader, id)).toEqual([ip]);
      expect(await reserve(reader, ip, 'somebody')).toBe(false);
      if (round % 3 === 0) await within(reader, (leases) => leases.release([ipOf(ip)]));
      expect(await ownedBy(writer, id)).toEqual(round % 3 === 0 ? [] : [ip]);
    }
  });

  test('files that come and go without us are seen', async () => {
    const store = createDiskStore(directory);
    await reserve(store, '10.0.0.2', 'a');
    writeFileSync(join(directory, 'net', '10.0.0.3'), 'stranger\r\neth0');
    expect(await ownedBy(store, 'stranger')).toEqual(['10.0.0.3']);
    rmSync(join(directory, 'net', '10.0.0.2'));
    expect(await ownedBy(store, 'a')).toEqual([]);
  });

  test('one that somebody made without the lock is not given out, and known from then on', async () => {
    const store = createDiskStore(directory);
    await within(store, async (leases) => {
      writeFileSync(join(directory, 'net', '10.0.0.2'), 'stranger\r\neth0');
      expect(await leases.reserve(ipOf('10.0.0.2'), ownerOf('a'), 0)).toBe(false);
    });
    expect(await ownedBy(store, 'stranger')).toEqual(['10.0.0.2']);
  });

  test('a directory that was removed is made anew', async () => {
    const store = createDiskStore(directory);
    await reserve(store, '10.0.0.2', 'a');
    rmSync(join(directory, 'net'), { recursive: true });
    expect(await reserve(store, '10.0.0.2', 'b')).toBe(true);
    expect(await ownedBy(store, 'a')).toEqual([]);
  });

  test('what failed half-way is read again', async () => {
    const store = createDiskStore(directory);
    const failed = within(store, async (leases) => {
      await leases.reserve(ipOf('10.0.0.2'), ownerOf('a'), 0);
      throw new Error('later');
    });
    await expect(failed).rejects.toThrow('later');
    expect(await ownedBy(store, 'a')).toEqual(['10.0.0.2']);
  });

  test('a directory that cannot be marked is read again: the lease is there all the same', async () => {
    const { utimesSync } = fs;
    const refuse = (): never => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    Object.assign(fs, { utimesSync: refuse });
    syncBuiltinESMExports();
    try {
      const store = createDiskStore(directory);
      expect(await reserve(store, '10.0.0.2', 'a')).toBe(true);
      expect(await ownedBy(store, 'a')).toEqual(['10.0.0.2']);
    } finally {
      Object.assign(fs, { utimesSync });
      syncBuiltinESMExports();
    }
  });

  test('a call reads no lease of others, however many there are', async () => {
    const store = createDiskStore(directory);
    for (let i = 0; i < 200; i++) await reserve(store, `10.0.1.${i}`, `c${i}`);
    const reads = await countReads(async () => {
      await reserve(store, '10.0.2.1', 'new');
      await within(store, (leases) => leases.release([ipOf('10.0.2.1')]));
      await ownedBy(store, 'c7');
    });
    expect(reads).toBe(0);
    expect(readdirSync(join(directory, 'net')).filter((name) => name.startsWith('10.'))).toHaveLength(200);
    expect(readFileSync(join(directory, 'net', '10.0.1.7'), 'utf8')).toBe('c7\r\neth0');
    expect(existsSync(join(directory, 'net', 'last_reserved_ip.0'))).toBe(true);
  });
});

/** Files and directories that are read meanwhile. */
async function countReads(work: () => Promise<void>): Promise<number> {
  const { readFileSync: readFile, readdirSync: readdir } = fs;
  let reads = 0;
  const counting = <A extends unknown[], R>(call: (...args: A) => R) =>
    ((...args: A): R => ((reads += 1), call(...args))) as never;
  Object.assign(fs, { readFileSync: counting(readFile), readdirSync: counting(readdir) });
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    Object.assign(fs, { readFileSync: readFile, readdirSync: readdir });
    syncBuiltinESMExports();
  }
  return reads;
}
