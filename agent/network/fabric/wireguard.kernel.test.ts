import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Node } from '#api/generated/objects.ts';
import { silentLogger } from '#base/log.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { makePrivateKey, publicKeyOf } from '#native/wireguard/keys.ts';
import { createFakeWireGuard } from '#native/wireguard/wireguard.fake.ts';
import { createSyncWireGuard } from '#native/wireguard/wireguard.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { renderNodeFabric } from './node-fabric.ts';
import { computePaths } from './paths.ts';
import { tunnelDevices, type TunnelWanted } from './tunnel.ts';
import { createWireGuardTunnel, ensurePrivateKey, peersOf, planWireGuard } from './wireguard.ts';

const privateKey = 'yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk='; // The example of wireguard.com/quickstart.
const keys = { b: publicKeyOf(makePrivateKey()) ?? '', c: publicKeyOf(makePrivateKey()) ?? '' };

const node = (name: string, index: number, isReachedSo = true, key = keys.b): Node => ({
  metadata: {
    name,
    annotations: {
      'podwright/fabric': renderNodeFabric({
        ...(isReachedSo ? { kind: 'wireguard', port: 51_820 } : { kind: 'host-gw', port: 0 }),
        vni: 1,
        publicKey: key,
      }),
    },
  },
  spec: { podCIDRs: [`10.244.${index}.0/24`, `fd00:244:0:${index}::/64`] },
  status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${index}` }] },
});

const wantedOf = (nodes: readonly Node[]): TunnelWanted => ({
  ...{ local: '192.0.2.10', port: 51_820, vni: 1, mtu: 1420, nodes },
  addresses: ['10.244.1.0'],
  clusterCidrs: ['10.244.0.0/16'],
  paths: computePaths({
    ...{ nodes, ownName: 'a', outerFamily: 4, vxlan: { port: 0, vni: 1 } },
    isDirect: false,
    isOnLink: () => true,
  }).paths,
});

describe('keys', () => {
  test('publicKeyOf() is what wg pubkey says', () => {
    expect(publicKeyOf(privateKey)).toBe('HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=');
    expect(publicKeyOf('short')).toBeUndefined();
    expect(publicKeyOf(`${privateKey}x`)).toBeUndefined();
  });

  test('ensurePrivateKey() makes one once, for root alone, and does not take what is none', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-key-'));
    const file = join(directory, 'wireguard.key');
    const key = await ensurePrivateKey(file);
    expect(await ensurePrivateKey(file)).toBe(key);
    expect(readFileSync(file, 'utf8')).toBe(`${key}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    writeFileSync(file, 'not a key');
    await expect(ensurePrivateKey(file)).rejects.toMatchObject({ code: 'E_DAMAGED' });
    rmSync(directory, { recursive: true });
  });
});

test('peersOf() knows who may send, and of two with one key or range the first', () => {
  const nodes = [node('c', 3, false, keys.c), node('b', 2)];
  expect(peersOf(nodes, wantedOf(nodes).paths)).toEqual([
    {
      publicKey: keys.b,
      endpoint: { ip: '192.0.2.2', port: 51_820 },
      allowedIps: ['10.244.2.0/24', 'fd00:244:0:2::/64'],
    },
    { publicKey: keys.c, endpoint: undefined, allowedIps: ['10.244.3.0/24', 'fd00:244:0:3::/64'] },
  ]);
  const rivals = [node('b', 2), node('c', 2, true, keys.c), node('d', 4)];
  expect(
    peersOf(rivals, wantedOf(rivals).paths).map(({ publicKey, allowedIps }) => [
      publicKey,
      allowedIps.length,
    ]),
  ).toEqual([
    [keys.b, 2],
    [keys.c, 0],
  ]);
});

describe('planWireGuard()', () => {
  const [peer] = peersOf([node('b', 2)], wantedOf([node('b', 2)]).paths);
  if (peer === undefined) throw new Error('no peer');
  const wanted = { privateKey, listenPort: 51_820, peers: [peer] };
  const actual = { publicKey: publicKeyOf(privateKey), listenPort: 51_820, peers: [peer] };
  const told = new Map([[keys.b, '192.0.2.2 51820']]);
  test('leaves what is right, and a peer that speaks from elsewhere', () => {
    expect(planWireGuard(wanted, actual, told)).toBeUndefined();
    const roamed = { ...actual, peers: [{ ...peer, endpoint: { ip: '203.0.113.1', port: 7 } }] };
    expect(planWireGuard(wanted, roamed, told)).toBeUndefined();
  });
  test('sets all of a new device', () =>
    expect(planWireGuard(wanted, { publicKey: undefined, listenPort: 0, peers: [] }, new Map())).toEqual({
      ...wanted,
      peers: [peer],
    }));
  test('tells where a peer is that moved, and takes a stranger away first', () => {
    const stranger = { ...peer, publicKey: keys.c };
    expect(planWireGuard(wanted, { ...actual, peers: [peer, stranger] }, new Map())).toEqual({
      peers: [
        { publicKey: keys.c, isRemoved: true },
        { publicKey: keys.b, endpoint: peer.endpoint },
      ],
    });
  });
  test('gives a peer back what it is allowed', () =>
    expect(planWireGuard(wanted, { ...actual, peers: [{ ...peer, allowedIps: [] }] }, told)).toEqual({
      peers: [{ publicKey: keys.b, allowedIps: peer.allowedIps }],
    }));
});

test('the tunnel makes its device, keeps it so, and does nothing twice', async () => {
  const netlink = createFakeNetlink();
  const wireguard = createFakeWireGuard(netlink);
  let changes = 0;
  const counted = {
    ...wireguard,
    change: (...args: Parameters<typeof wireguard.change>) => {
      changes += 1;
      return wireguard.change(...args);
    },
  };
  const tunnel = createWireGuardTunnel({
    netlink,
    wireguard: counted,
    privateKey: async () => privateKey,
    log: silentLogger,
  });
  const nodes = [node('b', 2), node('c', 3, true, keys.c)];
  const ensure = async (): Promise<boolean> => tunnel.ensure(wantedOf(nodes), await netlink.state(ownNetns));
  expect(tunnel.publicKey()).toBeUndefined();
  expect(await ensure()).toBe(true);
  expect(await ensure()).toBe(false);
  expect(changes).toBe(1);
  expect(tunnel.publicKey()).toBe(publicKeyOf(privateKey));
  const name = tunnelDevices.wireguard;
  expect((await netlink.state(ownNetns)).links.find((link) => link.name === name)).toMatchObject({
    kind: 'wireguard',
    mtu: 1420,
    isUp: true,
  });
  expect((await wireguard.device(ownNetns, name)).peers.map(({ publicKey }) => publicKey)).toEqual([
    keys.b,
    keys.c,
  ]);
  // Somebody gives a peer's addresses to another, and takes one away.
  await wireguard.change(ownNetns, name, { peers: [{ publicKey: keys.c, allowedIps: ['10.244.2.0/24'] }] });
  await ensure();
  await wireguard.change(ownNetns, name, { peers: [{ publicKey: keys.b, isRemoved: true }] });
  await ensure();
  expect(peersOf(nodes, wantedOf(nodes).paths)).toEqual(
    expect.arrayContaining([...(await wireguard.device(ownNetns, name)).peers]),
  );
  expect(await ensure()).toBe(false);
});

/** Whether this kernel has WireGuard: asked of it, in a namespace of the test's own. */
async function hasWireGuard(): Promise<boolean> {
  if (process.getuid?.() !== 0 || unshare(CLONE_NEWNET) !== 0) return false;
  const netlink = createSyncNetlink();
  const attempt = netlink.apply(ownNetns, [{ op: 'addLink', name: 'wg0', link: { kind: 'wireguard' } }]);
  return attempt.then(
    () => true,
    () => false,
  );
}
const isThere = await hasWireGuard();
const real = {
  netlink: createSyncNetlink(),
  wireguard: createSyncWireGuard(),
  privateKey: async () => privateKey,
  log: silentLogger,
};

test.skipIf(process.getuid?.() !== 0 || isThere)(
  'a kernel without WireGuard is told of in one clear word',
  async () => {
    const tunnel = createWireGuardTunnel(real);
    await expect(tunnel.ensure(wantedOf([]), await real.netlink.state(ownNetns))).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('this kernel has none'),
    });
    await expect(real.wireguard.device(ownNetns, 'lo')).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  },
);

test.skipIf(!isThere)(
  'a kernel with WireGuard takes what it is told (needs root and the module)',
  async () => {
    const tunnel = createWireGuardTunnel(real);
    const nodes = [node('b', 2), node('c', 3, true, keys.c)];
    const ensure = async (): Promise<boolean> =>
      tunnel.ensure(wantedOf(nodes), await real.netlink.state(ownNetns));
    expect(await ensure()).toBe(true);
    expect(await ensure()).toBe(false);
    expect((await real.wireguard.device(ownNetns, tunnelDevices.wireguard)).peers).toEqual(
      expect.arrayContaining([...peersOf(nodes, wantedOf(nodes).paths)]),
    );
  },
);
