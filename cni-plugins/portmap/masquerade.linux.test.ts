/** Who comes by a host port comes from the host (masqAll, and neighbours), or does not come at all (conditions). By packets, in namespaces of the test's own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createInvoker } from '#cni-plugins/registry.ts';

const canRun = process.getuid?.() === 0 && existsSync('/usr/sbin/nft') && existsSync('/usr/bin/nsenter');
const netlink = createSyncNetlink();
const invoke = createInvoker({ netlink, nft: createSyncNft() });
const { signal } = new AbortController(); // The deadline is that of each test.
const directory = scratchDirectory('podwright-masquerade-');
const netnsOf = (name: string): string => `/run/netns/podwright-masquerade-${process.pid}-${name}`;
const [server, client, other] = [netnsOf('server'), netnsOf('client'), netnsOf('other')];
const gateways = { 4: '10.1.0.1', 6: 'fd00:1::1' } as const;

const serve = `
  require('net').createServer((socket) => { socket.on('error', () => {}); socket.end(socket.remoteAddress); })
    .listen(80, '::', () => console.log('ready'));
`;
/** Prints who the server says it is, or why nobody says anything. */
const ask = `
  const [host, port] = process.argv.slice(1);
  const end = (text) => { console.log(text); process.exit(0); };
  setTimeout(() => end('silence'), 60000);
  require('net').connect({ host, port: +port })
    .on('data', (data) => end(String(data).replace('::ffff:', ''))).on('error', (error) => end(error.code));
`;

const inside = (netns: string, program: string, ...args: readonly string[]): string =>
  execFileSync('nsenter', [`--net=${netns}`, program, ...args], { encoding: 'utf8' }).trim();
const elements = (): string => {
  try {
    return execFileSync('nft', ['list', 'table', 'ip', 'cni-portmap-masquerade'], { encoding: 'utf8' });
  } catch {
    return '';
  }
};

describe.skipIf(!canRun)('masqAll and conditions of portmap (needs root, nft, nsenter)', () => {
  const children: ChildProcess[] = [];
  let added: JsonObject | undefined;
  const call = (command: 'ADD' | 'CHECK' | 'DEL', netns: string, config: PluginConfig) =>
    ({ command, containerId: basename(netns), netns, ifname: 'eth0', args: {}, path: [], config }) as const;
  const ipam = {
    ...{ type: 'host-local', dataDir: directory },
    ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]],
  };
  const network = { cniVersion: '1.0.0', name: 'net' };
  const bridge = {
    ...network,
    type: 'bridge',
    bridge: 'cni0',
    isDefaultGateway: true,
    hairpinMode: true,
    ipam,
  };
  const mappings = (hostPort: number, more: object = {}): PluginConfig => ({
    ...{ ...network, type: 'portmap', prevResult: added, ...more },
    runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }] },
  });

  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    execFileSync('sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.ip_forward=1']);
    for (const netns of [server, client, other]) await netlink.createNetns(netns);
    added = await invoke('bridge', call('ADD', server, bridge), signal);
    for (const netns of [client, other]) await invoke('bridge', call('ADD', netns, bridge), signal);
    const child = spawn('nsenter', [`--net=${server}`, process.execPath, '-e', serve], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout, 'data');
  });
  afterAll(async () => {
    for (const child of children) child.kill();
    for (const netns of [server, client, other]) await netlink.removeNetns(netns);
  });

  /** Whether what stays on the bridge is shown to the rules of the host all the same. */
  const showBridge = (isShown: boolean): void => {
    const names = ['iptables', 'ip6tables'].map((name) => `net.bridge.bridge-nf-call-${name}`);
    for (const name of names.filter((each) => existsSync(`/proc/sys/${each.replaceAll('.', '/')}`)))
      execFileSync('sysctl', ['-qw', `${name}=${isShown ? 1 : 0}`]);
  };

  const askBy = (gateway: string, from = client): string =>
    inside(from, process.execPath, '-e', ask, gateway, '8080');

  test.each([4, 6] as const)('masqAll of IPv%d, and is gone with the container', async (family) => {
    const gateway = gateways[family];
    const config = mappings(8080, { masqAll: true });
    await invoke('portmap', call('ADD', server, config), signal);
    await invoke('portmap', call('CHECK', server, config), signal);
    expect(askBy(gateway)).toBe(gateway);
    expect(elements()).toContain('10.1.0.2 . tcp . 80');
    execFileSync('nft', ['delete', 'table', 'ip', 'cni-portmap-masquerade']);
    await expect(invoke('portmap', call('CHECK', server, config), signal)).rejects.toThrow('are missing');
    await invoke('portmap', call('DEL', server, config), signal);
    await invoke('portmap', call('ADD', server, config), signal);
    await invoke('portmap', call('DEL', server, config), signal);
    await invoke('portmap', call('DEL', server, config), signal);
    expect(elements()).not.toContain('10.1.0.2');
    expect(askBy(gateway)).toBe('ECONNREFUSED');
  });

  test.each([
    [4, true],
    [4, false],
    [6, true],
    [6, false],
  ] as const)(
    'neighbours of IPv%d get there, br_netfilter %s, and the container itself',
    async (family, isShown) => {
      showBridge(isShown);
      await invoke('portmap', call('ADD', server, mappings(8080)), signal);
      await invoke('portmap', call('CHECK', server, mappings(8080)), signal);
      const gateway = gateways[family];
      expect([askBy(gateway), askBy(gateway, server)]).toEqual([gateway, gateway]);
      await invoke('portmap', call('DEL', server, mappings(8080)), signal);
      await invoke('portmap', call('DEL', server, mappings(8080)), signal);
      await expect(invoke('portmap', call('CHECK', server, mappings(8080)), signal)).rejects.toThrow(
        'missing',
      );
      expect(askBy(gateway)).toBe('ECONNREFUSED');
      expect(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })).not.toContain('10.1.0.2');
    },
  );

  const conditions: readonly (readonly [name: string, family: 4 | 6, object])[] = [
    ['-s, of iptables', 4, { conditionsV4: ['-s', '10.1.0.3/32', '-i', 'cni0'] }],
    ['! -s, of iptables', 4, { conditionsV4: ['!', '-s', '10.1.0.4'] }],
    ['saddr, of nft', 4, { conditionsV4: ['ip', 'saddr', '10.1.0.2/31', 'iifname', 'cni0'] }],
    ['-s, of ip6tables', 6, { conditionsV6: ['-s', 'fd00:1::3/128'] }],
    ['saddr !=, of nft', 6, { conditionsV6: ['ip6', 'saddr', '!=', 'fd00:1::4'] }],
  ];
  test.each(conditions)('conditions let one client in and not the other: %s', async (_name, family, more) => {
    const config = mappings(8080, more);
    const gateway = gateways[family];
    await invoke('portmap', call('ADD', server, config), signal);
    await invoke('portmap', call('CHECK', server, config), signal);
    expect([askBy(gateway), askBy(gateway, other)]).toEqual([gateway, 'ECONNREFUSED']);
    await invoke('portmap', call('DEL', server, config), signal);
    await expect(invoke('portmap', call('CHECK', server, config), signal)).rejects.toThrow('are missing');
    expect(askBy(gateway)).toBe('ECONNREFUSED');
  });

  test('conditions by which nobody comes are of one interface alone', async () => {
    const config = mappings(8080, { conditionsV4: ['-i', 'eth7'] });
    await invoke('portmap', call('ADD', server, config), signal);
    expect(askBy(gateways[4])).toBe('ECONNREFUSED');
    // The other family has none.
    expect(askBy(gateways[6])).toBe(gateways[6]);
    await invoke('portmap', call('DEL', server, config), signal);
  });
});
