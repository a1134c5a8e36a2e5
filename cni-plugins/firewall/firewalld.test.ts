import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { CniCommand } from '#api/cni/invocation.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { startFakeBus, type FakeBus } from '#native/dbus/bus.fixture.ts';
import type { BusMessage } from '#native/dbus/message.ts';
import { createInvoker } from '#cni-plugins/registry.ts';

const directory = scratchDirectory('fwd');
const netns = '/run/netns/c1';
const prevResult = {
  interfaces: [{ name: 'cni0' }, { name: 'eth0', sandbox: netns }],
  ips: [{ address: '10.1.0.2/24' }, { address: 'fd00::2/64' }],
};

/** Sources by zone, as firewalld keeps them. */
type Kept = Map<string, string>;

function answering(kept: Kept) {
  return ({ member, body }: BusMessage) => {
    const [zone = '', source = ''] = body.map(({ value }) => String(value));
    switch (member) {
      case 'GetNameOwner':
        return [{ type: 's', value: ':1.7' } as const];
      case 'querySource':
        return [{ type: 'b', value: kept.get(source) === zone } as const];
      case 'addSource':
        if (kept.has(source)) return `ZONE_CONFLICT: '${source}' already bound to '${kept.get(source)}'`;
        kept.set(source, zone);
        return [{ type: 's', value: zone } as const];
      case 'removeSource':
        kept.delete(source);
        return [{ type: 's', value: zone } as const];
      default:
        return `no method ${member}`;
    }
  };
}

let buses = 0;

async function startFirewalld(kept: Kept): Promise<FakeBus> {
  const bus = await startFakeBus(join(directory, `${(buses += 1)}.sock`), answering(kept));
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', `unix:path=${bus.path}`);
  return bus;
}

const invoke = createInvoker({ netlink: createFakeNetlink(), nft: createFakeNft() });
const call = (command: CniCommand, config: object = {}) =>
  invoke(
    'firewall',
    {
      ...{ command, args: {}, path: [] },
      ...(command === 'STATUS'
        ? { containerId: '', netns: '', ifname: '' }
        : { containerId: 'c1', netns, ifname: 'eth0' }),
      config: { cniVersion: '1.1.0', name: 'net', type: 'firewall', prevResult, ...config },
    },
    AbortSignal.timeout(50_000),
  );

describe('firewall by firewalld', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('where firewalld runs, addresses are sources of its zone, and no rule of iptables is asked for', async () => {
    const kept: Kept = new Map();
    await using _bus = await startFirewalld(kept);
    await call('STATUS');
    await call('ADD');
    await call('ADD');
    expect([...kept]).toEqual([
      ['10.1.0.2/32', 'trusted'],
      ['fd00::2/128', 'trusted'],
    ]);
    await call('CHECK');
    kept.delete('fd00::2/128');
    await expect(call('CHECK')).rejects.toThrow('zone trusted of firewalld has no source fd00::2/128');
    await call('DEL');
    await call('DEL');
    expect([...kept]).toEqual([]);
  });

  test('its zone is the one that the configuration says', async () => {
    const kept: Kept = new Map();
    await using _bus = await startFirewalld(kept);
    const config = { backend: 'firewalld', firewalldZone: 'internal' };
    await call('ADD', config);
    expect(kept.get('10.1.0.2/32')).toBe('internal');
    await expect(call('ADD')).rejects.toThrow("already bound to 'internal'");
    await call('DEL', config);
    expect(kept.size).toBe(0);
  });

  test('asked for where it does not run, it is missed', async () => {
    vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', `unix:path=${join(directory, 'none.sock')}`);
    await expect(call('STATUS', { backend: 'firewalld' })).rejects.toMatchObject({
      detail: { cniCode: 50 },
      message: expect.stringContaining('firewalld does not run'),
    });
    await expect(call('ADD', { backend: 'firewalld' })).rejects.toThrow('connect to D-Bus');
  });
});
