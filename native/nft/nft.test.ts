import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSyncNetlink } from '#native/netlink/netlink.linux.ts';
import { createNetlinkWorker, type NetlinkWorker } from '#native/netlink/worker.ts';
import { everyExpression, rejectsIn } from './fixtures/tables.ts';
import { proveNft } from './nft.conformance.ts';
import { createFakeNft } from './nft.fake.ts';
import { createSyncNft } from './nft.linux.ts';
import type { Family, Nft, NftElement } from './nft.ts';
import { renderTable } from './render.ts';

proveNft('createFakeNft()', async () => ({
  nft: createFakeNft(),
  netns: { kind: 'path', path: '/fake' },
  [Symbol.asyncDispose]: async () => {},
}));

describe('createFakeNft()', () => {
  it('shows what was committed, and fails when asked to', async () => {
    const nft = createFakeNft();
    const netns = { kind: 'own' } as const;
    nft.failOnce('ENOMEM');
    const ops = [{ op: 'replaceTable', table: everyExpression }] as const;
    await expect(nft.commit(netns, ops)).rejects.toMatchObject({ detail: { errno: 'ENOMEM', index: 0 } });
    expect(nft.table(netns, everyExpression)).toBeUndefined();
    await nft.commit(netns, ops);
    expect(nft.table(netns, everyExpression)).toEqual(everyExpression);
    expect(nft.commits).toHaveLength(1);
    nft.dropTable(netns, everyExpression);
    expect(await nft.hasTable(netns, everyExpression)).toBe(false);
  });
});

const netlink = createSyncNetlink();

async function openWith(nft: Nft) {
  const directory = await mkdtemp(join(tmpdir(), 'podwright-nft-'));
  const path = join(directory, 'ns');
  await netlink.createNetns(path);
  return {
    nft,
    netns: { kind: 'path', path } as const,
    cli: (args: readonly string[], input?: string): string =>
      execFileSync('nsenter', [`--net=${path}`, 'nft', ...args], {
        encoding: 'utf8',
        input,
        maxBuffer: 64 * 1_048_576,
      }),
    [Symbol.asyncDispose]: async () => {
      await netlink.removeNetns(path);
      await rm(directory, { recursive: true });
    },
  };
}

const hasNft = ((): boolean => {
  try {
    execFileSync('nft', ['--version'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

describe.skipIf(process.getuid?.() !== 0 || !hasNft)('on the kernel (needs root and nft)', () => {
  let worker: NetlinkWorker;
  beforeAll(async () => {
    worker = await createNetlinkWorker();
  });
  afterAll(() => worker[Symbol.asyncDispose]());

  proveNft('createSyncNft()', () => openWith(createSyncNft()));

  it('the Worker carries calls and errors', async () => {
    await using given = await openWith(worker.nft);

    await given.nft.commit(given.netns, [{ op: 'replaceTable', table: everyExpression }]);
    expect(await given.nft.hasTable(given.netns, everyExpression)).toBe(true);
    const twice = given.nft.commit(given.netns, [
      { op: 'addChain', table: everyExpression, chain: { name: 'c1' } },
    ]);
    await expect(twice).rejects.toMatchObject({ code: 'E_EXISTS', detail: { index: 0, errno: 'EEXIST' } });
  });

  it('takes 50,000 elements in one transaction', async () => {
    await using given = await openWith(createSyncNft());

    const set = { name: 'many', keyTypes: ['ipv4_addr', 'integer'] } as const;
    const elements: NftElement[] = Array.from({ length: 50_000 }, (_, index) => ({
      key: [`10.0.${(index >> 8) & 255}.${index & 255}`, index],
    }));
    const table = { family: 'ip', name: 't', sets: [set], chains: [], elements: { many: elements } } as const;
    await given.nft.commit(given.netns, [{ op: 'replaceTable', table }]);
    const listed = given.cli(['list', 'set', 'ip', 't', 'many']);
    expect(listed.match(/ \. 0x/g)).toHaveLength(50_000);
  });
});

describe.skipIf(!hasNft)('against the nft program (needs root and nft)', () => {
  /** Expiry runs while we look, and counters are shown as they stand. */
  const still = (text: string): string => text.replaceAll(/ expires \S+/g, '');

  it('what we commit is what nft makes of our text', async () => {
    await using ours = await openWith(createSyncNft());
    await using theirs = await openWith(createSyncNft());

    await ours.nft.commit(ours.netns, [{ op: 'replaceTable', table: everyExpression }]);
    theirs.cli(['-f', '-'], renderTable(everyExpression));
    expect(still(ours.cli(['list', 'ruleset']))).toBe(still(theirs.cli(['list', 'ruleset'])));
  });

  it.each<Family>(['ip', 'ip6', 'inet'])('so it is for reject in %s', async (family) => {
    await using ours = await openWith(createSyncNft());
    await using theirs = await openWith(createSyncNft());

    await ours.nft.commit(ours.netns, [{ op: 'replaceTable', table: rejectsIn(family) }]);
    theirs.cli(['-f', '-'], renderTable(rejectsIn(family)));
    expect(ours.cli(['list', 'ruleset'])).toBe(theirs.cli(['list', 'ruleset']));
  });

  it('a numgen key, which nft takes only with typeof, is listed as meant', async () => {
    await using given = await openWith(createSyncNft());

    const key = [
      { load: 'ip daddr' },
      { load: 'meta l4proto' },
      { load: 'th dport' },
      { load: 'numgen random', modulus: 2 },
    ] as const;
    const set = {
      name: 'be2',
      keyTypes: ['ipv4_addr', 'inet_proto', 'inet_service', 'integer'],
      dataTypes: ['ipv4_addr', 'inet_service'],
    } as const;
    const hook = { type: 'nat', hook: 'prerouting', priority: -100 } as const;
    const rules = [{ exprs: [{ expr: 'dnat map', key, map: 'be2' }] }] as const;
    const elements = { be2: [{ key: ['172.16.0.1', 'tcp', 80, 1], data: ['10.0.0.5', 8080] }] } as const;
    const table = {
      family: 'ip',
      name: 't',
      sets: [set],
      chains: [{ name: 'pre', hook, rules }],
      elements,
    } as const;
    await given.nft.commit(given.netns, [{ op: 'replaceTable', table }]);
    const listed = given.cli(['list', 'ruleset']);
    const text = 'dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @be2';
    expect(listed).toContain(text);
    expect(listed).toContain('172.16.0.1 . tcp . 80 . 0x00000001 : 10.0.0.5 . 8080');
    expect(renderTable(table)).toContain(text);
  });
});

describe('renderTable()', () => {
  it('is stable whatever the order of elements', () => {
    const reversed = {
      ...everyExpression,
      elements: Object.fromEntries(
        Object.entries(everyExpression.elements).map(([name, list]) => [name, list.toReversed()]),
      ),
    };
    expect(renderTable(reversed)).toBe(renderTable(everyExpression));
  });

  it('has the golden text', async () => {
    await expect(`${renderTable(everyExpression)}\n`).toMatchFileSnapshot('./golden/every-expression.nft');
  });
});
