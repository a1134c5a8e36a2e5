import { describe, expect, test } from 'vitest';
import type { NetChange, NetOp } from '#native/netlink/netlink.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { planVrf } from './vrf.ts';

const netns = '/run/netns/c1';
const place = { kind: 'path', path: netns } as const;
const previous = { interfaces: [], ips: [], routes: [], dns: {} };
const blue: NetOp = { op: 'addLink', name: 'blue', link: { kind: 'vrf', table: 7 } };

async function plan(
  config: { readonly table?: number },
  before: readonly NetOp[],
): Promise<readonly string[]> {
  const netlink = createFakeNetlink();
  await netlink.createNetns(netns);
  await netlink.apply(place, [
    { op: 'addLink', name: 'eth0', link: { kind: 'dummy' } },
    { op: 'setLink', name: 'eth0', up: true },
    { op: 'ensureAddress', name: 'eth0', address: '10.1.0.2/24' },
    { op: 'ensureAddress', name: 'eth0', address: 'fd00::2/64' },
    ...before,
  ]);
  const [host, container, policy] = [
    await netlink.state({ kind: 'own' }),
    await netlink.state(place),
    await netlink.policy(place),
  ];
  const request = { containerId: 'c1', ifname: 'eth0', netns };
  const changes: readonly NetChange[] = planVrf({
    config: { name: 'blue', table: config.table },
    request,
    previous,
    host,
    container,
    policy,
  });
  return changes.flatMap(({ ops }) => ops.map(renderNetOp));
}

describe('planVrf()', () => {
  test('routes that go with the link as it gets its master are made again in its table', async () => {
    const before: readonly NetOp[] = [
      { op: 'ensureRoute', destination: 'default', gateway: '10.1.0.1', dev: 'eth0' },
      { op: 'ensureRoute', destination: '10.9.0.1/32', dev: 'eth0', scope: 'link' },
    ];
    expect(await plan({}, before)).toEqual([
      'add link blue type vrf table 1',
      'set link blue up',
      'set link eth0 master blue',
      'ensure address fd00::2/64 dev eth0',
      'ensure route 10.9.0.1/32 dev eth0 table 1',
      'ensure route default via 10.1.0.1 dev eth0 table 1',
    ]);
  });

  test('the table of one that is there', async () => {
    const before: readonly NetOp[] = [
      blue,
      { op: 'ensureRoute', destination: 'default', gateway: '10.1.0.1', dev: 'eth0' },
    ];
    expect(await plan({}, before)).toContain('ensure route default via 10.1.0.1 dev eth0 table 7');
    await expect(plan({ table: 8 }, before)).rejects.toThrow('blue is there with the table 7, not 8');
  });

  test('a table that another is routed by is not taken', async () => {
    const other = { op: 'addLink', name: 'red', link: { kind: 'vrf', table: 1 } } as const;
    expect(await plan({}, [other])).toContain('add link blue type vrf table 2');
  });

  test('a link of another master is left', async () => {
    const before: readonly NetOp[] = [
      { op: 'addLink', name: 'br0', link: { kind: 'bridge' } },
      { op: 'setLink', name: 'eth0', master: 'br0' },
    ];
    await expect(plan({}, before)).rejects.toThrow('eth0 has the master br0 already');
  });
});
