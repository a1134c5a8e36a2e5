import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proveNetlink } from './netlink.conformance.ts';
import { createFakeNetlink } from './netlink.fake.ts';
import { createSyncNetlink } from './netlink.linux.ts';
import { type Netlink, ownNetns } from './netlink.ts';
import { createNetlinkWorker, type NetlinkWorker } from './worker.ts';

async function openWith(netlink: Netlink) {
  const directory = await mkdtemp(join(tmpdir(), 'podwright-netlink-'));
  const paths: string[] = [];
  return {
    netlink,
    newPath: () => {
      const path = join(directory, `ns${paths.length}`);
      paths.push(path);
      return path;
    },
    [Symbol.asyncDispose]: async () => {
      for (const path of paths) await netlink.removeNetns(path);
      await rm(directory, { recursive: true });
    },
  };
}

proveNetlink('createFakeNetlink()', () => openWith(createFakeNetlink()));

describe('createFakeNetlink()', () => {
  it('failOnce() fails the next op of that kind, and leaves the rest undone', async () => {
    const netlink = createFakeNetlink();
    await netlink.createNetns('/n');
    const netns = { kind: 'path', path: '/n' } as const;
    netlink.failOnce('setLink', 'ENOBUFS');
    const ops = [
      { op: 'ensureLink', name: 'br0', link: { kind: 'bridge' } },
      { op: 'setLink', name: 'br0', up: true },
    ] as const;
    await expect(netlink.apply(netns, ops)).rejects.toMatchObject({ detail: { index: 1, errno: 'ENOBUFS' } });
    await netlink.apply(netns, ops);
    expect(netlink.links(netns).map((link) => [link.name, link.isUp])).toEqual([
      ['lo', false],
      ['br0', true],
    ]);
    expect(netlink.namespaces).toEqual(['/n']);
  });
});

describe.skipIf(process.getuid?.() !== 0)('on the kernel (needs root)', () => {
  proveNetlink('createSyncNetlink()', () => openWith(createSyncNetlink()));

  describe('on the Worker', () => {
    let worker: NetlinkWorker;
    beforeAll(async () => {
      worker = await createNetlinkWorker();
    });
    afterAll(() => worker[Symbol.asyncDispose]());

    proveNetlink('createNetlinkWorker()', () => openWith(worker.netlink));

    it('answers many calls at once, in order', async () => {
      await using given = await openWith(worker.netlink);

      const path = given.newPath();
      const netns = { kind: 'path', path } as const;
      const made = worker.netlink.createNetns(path);
      const calls = Array.from({ length: 20 }, (_, index) =>
        worker.netlink.apply(netns, [{ op: 'addLink', name: `b${index}`, link: { kind: 'bridge' } }]),
      );
      await Promise.all([made, ...calls]);
      const { links } = await worker.netlink.state(netns);
      expect(links.map((link) => link.name)).toEqual(['lo', ...calls.map((_, index) => `b${index}`)]);
    });

    it('reads its own namespace', async () => {
      const { links } = await worker.netlink.state(ownNetns);
      expect(links.map((link) => link.name)).toContain('lo');
    });
  });

  it('a disposed Worker refuses calls and has ended', async () => {
    const worker = await createNetlinkWorker();
    await worker[Symbol.asyncDispose]();
    await worker[Symbol.asyncDispose]();
    await expect(worker.netlink.state(ownNetns)).rejects.toMatchObject({ code: 'E_CLOSED' });
  });
});
