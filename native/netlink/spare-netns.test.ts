import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createSyncNetlink } from './netlink.linux.ts';
import { keepMs, refillAfterMs } from './spare-netns.linux.ts';

/** Inodes of the network namespaces that this process holds open. */
function heldNamespaces(): readonly number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const inode = /^net:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [Number(inode)];
    } catch {
      return []; // The descriptor of the listing itself.
    }
  });
}

async function setUp() {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-spare-'));
  const clock = createFakeClock();
  const netlink = createSyncNetlink({ clock, keepsSpare: true });
  const made: string[] = [];
  return {
    clock,
    netlink,
    make: async (): Promise<string> => {
      const path = join(directory, `ns${made.length}`);
      made.push(path);
      await netlink.createNetns(path);
      return path;
    },
    [Symbol.asyncDispose]: async () => {
      for (const path of made) await netlink.removeNetns(path);
      await netlink[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

it.skipIf(process.getuid?.() !== 0)(
  'the spare namespace: made after the first, given away once, fresh, and closed when nobody wants it (needs root)',
  async () => {
    const before = heldNamespaces();
    const held = (): readonly number[] => heldNamespaces().filter((inode) => !before.includes(inode));
    {
      await using given = await setUp();

      const { clock, netlink, make } = given;
      const first = await make();
      expect(held()).toEqual([]);
      clock.advance(refillAfterMs);
      const [spare] = held();
      expect(held()).toHaveLength(1);

      const second = await make();
      expect(statSync(second).ino).toBe(spare);
      expect(statSync(first).ino).not.toBe(spare);
      expect(held()).toEqual([]);
      const { links } = await netlink.state({ kind: 'path', path: second });
      expect(links).toMatchObject([{ name: 'lo', isUp: false }]);
      const third = await make();
      expect(statSync(third).ino).not.toBe(spare);

      clock.advance(refillAfterMs);
      expect(held()).toHaveLength(1);
      clock.advance(keepMs);
      expect(held()).toEqual([]);

      await make();
      clock.advance(refillAfterMs);
      await expect(netlink.createNetns(first)).rejects.toMatchObject({ code: 'E_EXISTS' });
      clock.advance(refillAfterMs);
      expect(held()).toHaveLength(1);
    }
    expect(held()).toEqual([]);
  },
);
