/** Nodes on one link, one clock and one API: who announces, and who does once that one is gone. */
import { describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { leases } from '#api/schema/kind-ref.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createFakeLink, type FakeLink } from '#native/neighbour/announcer.fake.ts';
import { startAnnouncing, type Announcements } from './announce.ts';
import type { AnnouncedGroup } from './announced-groups.ts';

const address = '203.0.113.1';
const group: AnnouncedGroup = {
  lease: 'podwright-load-balancers',
  addresses: [address, 'fd00:9::1'],
  services: ['d/web'],
  isCandidate: true,
};
const localGroup: AnnouncedGroup = {
  ...group,
  lease: 'podwright-load-balancers-203-0-113-9',
  addresses: ['203.0.113.9'],
};

interface TestNode extends AsyncDisposable {
  readonly announcements: Announcements;
  readonly held: string[];
  /** Its API answers no more. */
  isCutOff: boolean;
}

class TestLink implements AsyncDisposable {
  readonly clock: FakeClock = createFakeClock();
  readonly api: FakeApiClient = createFakeApiClient(this.clock);
  readonly link: FakeLink = createFakeLink();
  readonly nodes = new Map<string, TestNode>();

  async start(name: string, groups: readonly AnnouncedGroup[] = [group], prepareMs = 0): Promise<TestNode> {
    const held: string[] = [];
    const node = { held, isCutOff: false };
    const ask = <T>(call: () => Promise<T>): Promise<T> =>
      node.isCutOff ? Promise.reject(new Error('no route to the API')) : call();
    const announcements = startAnnouncing({
      identity: name,
      client: {
        ...this.api,
        get: (...parameters) => ask(() => this.api.get(...parameters)),
        update: (...parameters) => ask(() => this.api.update(...parameters)),
      },
      open: ({ onHeard, onDeath }) =>
        this.link.open({ link: { index: 1, mac: name, ips: {} }, onHeard, onDeath }),
      onHeld: ({ lease }) => void held.push(lease),
      ...(prepareMs === 0 ? {} : { prepare: () => this.clock.sleep(prepareMs) }),
      clock: this.clock,
      log: silentLogger,
    });
    announcements.set(groups);
    const made = Object.assign(node, {
      announcements,
      [Symbol.asyncDispose]: () => announcements[Symbol.asyncDispose](),
    });
    this.nodes.set(name, made);
    await untilTurnsEnd();
    return made;
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(50);
      await untilTurnsEnd();
    }
  }

  holder(lease = group.lease): string | undefined {
    return this.api.all(leases).find(({ metadata }) => metadata?.name === lease)?.spec?.holderIdentity;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes.values()) await node[Symbol.asyncDispose]();
  }
}

describe('of nodes on a link', () => {
  test('the first announces at once, all addresses, and the others do not', async () => {
    await using net = new TestLink();
    await net.start('n1');
    await net.start('n2');
    await net.start('n3');
    expect(net.holder()).toBe('n1');
    expect(net.link.announced).toEqual([`${address} n1`, 'fd00:9::1 n1']);
    await net.pass(60_000);
    expect([net.holder(), net.link.answering(address)]).toEqual(['n1', ['n1']]);
    expect(net.nodes.get('n1')?.held).toEqual([group.lease]);
  });

  test('within a second of the end of one, another does', async () => {
    await using net = new TestLink();
    for (const name of ['n1', 'n2', 'n3']) await net.start(name);
    await net.pass(3_000);
    net.link.cut('n1');
    await net.pass(1_000);
    const next = net.holder();
    expect(['n2', 'n3']).toContain(next);
    expect([net.link.answering(address), net.link.holderOf(address)]).toEqual([[next], next]);
    // The one that was cut off sees whose the Lease is.
    await net.pass(6_000);
    expect(net.nodes.get('n1')?.announcements.held()).toEqual([]);
  });

  test('who takes over is left to it, though it needs its time before it answers', async () => {
    await using net = new TestLink();
    await net.start('n1');
    for (const name of ['n2', 'n3', 'n4']) {
      await net.start(name, [group], 2_500);
      await net.pass(50); // Each finds the silence at another time.
    }
    await net.pass(3_000);
    net.link.cut('n1');
    await net.pass(1_000);
    const next = net.holder();
    expect([next === 'n1', net.link.answering(address)]).toEqual([false, []]);
    await net.pass(3_000);
    expect([net.holder(), net.link.answering(address)]).toEqual([next, [next]]);
    expect(net.api.all(leases)[0]?.spec?.leaseTransitions).toBe(1);
  });

  test('one that dies as soon as it took over is followed within two seconds', async () => {
    await using net = new TestLink();
    for (const name of ['n1', 'n2', 'n3']) await net.start(name);
    await net.pass(3_000);
    net.link.cut('n1');
    await expect.poll(async () => (await net.pass(50), net.link.answering(address).length)).toBe(1);
    const second = net.holder() ?? '';
    await net.pass(200);
    net.link.cut(second);
    await net.pass(2_000);
    expect(net.link.answering(address)).toEqual(['n2', 'n3'].filter((name) => name !== second));
  });

  test('one that loses an answer or two stays', async () => {
    await using net = new TestLink();
    for (const name of ['n1', 'n2']) await net.start(name);
    await net.pass(1_000);
    const before = net.api.writes.length;
    for (let i = 0; i < 20; i++) {
      net.clock.stop(400); // As of processes that had no turn.
      await net.pass(50);
    }
    expect([net.holder(), net.api.writes.slice(before).filter((each) => each.includes('n2'))]).toEqual([
      'n1',
      [],
    ]);
  });

  test('one that stops gives the Lease back', async () => {
    await using net = new TestLink();
    const first = await net.start('n1');
    await net.start('n2');
    await net.pass(500);
    await first[Symbol.asyncDispose]();
    expect([net.holder(), net.link.answering(address)]).toEqual(['', []]);
    await net.pass(1_000);
    expect(net.link.answering(address)).toEqual(['n2']);
  });

  test('one that starts again goes on', async () => {
    await using net = new TestLink();
    await net.start('n1');
    net.link.cut('n1');
    await net.start('n1');
    expect(net.link.answering(address)).toEqual(['n1']);
  });

  test('a holder whom nobody ever heard is waited for as the Lease says', async () => {
    await using net = new TestLink();
    await net.start('n1');
    net.link.cut('n1');
    await net.start('n2');
    await net.pass(3_000);
    expect(net.link.answering(address)).toEqual([]);
    for (const node of net.nodes.values()) node.isCutOff = node !== net.nodes.get('n2');
    await net.pass(30_000);
    expect([net.holder(), net.link.answering(address)]).toEqual(['n2', ['n2']]);
  });

  test('without the API it goes on, until it hears another', async () => {
    await using net = new TestLink();
    const first = await net.start('n1');
    await net.pass(500);
    first.isCutOff = true;
    await net.pass(20_000);
    expect(net.link.answering(address)).toEqual(['n1']);
    const lease = net.api.all(leases)[0];
    await net.api.update(leases, { ...lease, spec: { ...lease?.spec, holderIdentity: '' } });
    await net.start('n2');
    await net.pass(1_000);
    expect([net.holder(), net.link.answering(address)]).toEqual(['n2', ['n2']]);
  });

  test('who announces it without right is contradicted', async () => {
    await using net = new TestLink();
    await net.start('n1');
    await net.pass(6_000);
    const stranger = await net.link.open({ link: { index: 1, mac: 'x', ips: {} }, onHeard: () => undefined });
    stranger.announce(address);
    expect(net.link.holderOf(address)).toBe('x');
    await net.pass(1_000);
    expect([net.holder(), net.link.holderOf(address)]).toEqual(['n1', 'n1']);
  });

  test('where only some may, it goes with what makes them so', async () => {
    await using net = new TestLink();
    const first = await net.start('n1', [group, localGroup]);
    const second = await net.start('n2', [group, { ...localGroup, isCandidate: false }]);
    expect(net.link.answering('203.0.113.9')).toEqual(['n1']);
    // Its last pod went to the other node.
    first.announcements.set([group, { ...localGroup, isCandidate: false }]);
    second.announcements.set([group, localGroup]);
    await net.pass(1_000);
    expect([net.link.answering('203.0.113.9'), net.link.answering(address)]).toEqual([['n2'], ['n1']]);
    // The Service goes, and its Lease with it.
    first.announcements.set([group]);
    second.announcements.set([group]);
    await net.pass(100);
    expect([net.link.answering('203.0.113.9'), net.holder(localGroup.lease)]).toEqual([[], undefined]);
  });

  test('an address that comes later is announced by who has the others', async () => {
    await using net = new TestLink();
    const nodes = [await net.start('n1'), await net.start('n2')];
    const more = { ...group, addresses: [...group.addresses, '203.0.113.2'] };
    for (const { announcements } of nodes) announcements.set([more]);
    expect(net.link.answering('203.0.113.2')).toEqual(['n1']);
    expect(net.link.announced).toContain('203.0.113.2 n1');
    for (const { announcements } of nodes) announcements.set([group]);
    expect(net.link.answering('203.0.113.2')).toEqual([]);
  });
});
