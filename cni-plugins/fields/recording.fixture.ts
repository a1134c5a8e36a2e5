/** What plugins do on a host that is always the same, as text. */
import type { CniResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { NetChange, NetOp, NetworkState, RoutingPolicy } from '#native/netlink/netlink.ts';
import { renderNetns, renderNetOp } from '#native/netlink/render.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderNftOp } from '#native/nft/render.ts';
import { runPlugin } from '#cni-plugins/skel/dispatch.ts';
import type { CniPlugin, PluginHost } from '#cni-plugins/skel/plugin.ts';

const ips = [
  { address: '10.1.0.2/24', gateway: '10.1.0.1' },
  { address: 'fd00::2/64', gateway: 'fd00::1' },
] as const;
/** Of both families. */
export const twoAddresses: JsonObject = {
  type: 'static',
  addresses: ips,
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
};
const netns = '/run/netns/c1';

const previous: CniResult = {
  interfaces: [{ name: 'veth0' }, { name: 'eth0', sandbox: netns }],
  ips: ips.map((ip) => ({ ...ip, interface: 1 })),
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
  dns: {},
};
const link = {
  kind: 'veth',
  mac: '0a:58:0a:01:00:02',
  mtu: 1500,
  isUp: true,
  master: undefined,
  peerIndex: undefined,
};
const container: NetworkState = {
  links: [{ ...link, index: 2, name: 'eth0', peerIndex: 7, alias: 'ens4' }],
  addresses: ips.map(({ address }) => ({ linkIndex: 2, address })),
  routes: [
    { destination: 'default', gateway: '10.1.0.1', linkIndex: 2, protocol: 3, scope: 0 },
    { destination: '10.1.0.0/24', gateway: undefined, linkIndex: 2, protocol: 2, scope: 253 },
    { destination: 'fd00::/64', gateway: undefined, linkIndex: 2, protocol: 2, scope: 0 },
    { destination: '10.9.0.0/24', gateway: undefined, linkIndex: 3, protocol: 2, scope: 253 },
  ],
};
const host: NetworkState = {
  links: [
    { ...link, index: 2, name: 'ens3', kind: undefined, mtu: 9000 },
    { ...link, index: 3, name: 'ens4', kind: undefined, mac: '02:00:00:00:00:04' },
    { ...link, index: 7, name: 'veth0', peerIndex: 2 },
  ],
  addresses: ['10.1.0.1/24', '10.7.0.1/24', 'fd00::9/64', 'fd07::1/64'].map((address) => ({
    linkIndex: 2,
    address,
  })),
  routes: [{ destination: 'default', gateway: '192.0.2.1', linkIndex: 2, protocol: 3, scope: 0 }],
};
const policy: RoutingPolicy = { rules: [{ source: '10.9.0.2/32', table: 100 }], routes: [] };

const chained: ReadonlySet<string> = new Set(['tuning', 'sbr', 'vrf', 'bandwidth', 'firewall', 'portmap']);

export interface RecordedCall {
  readonly type: string;
  readonly command: string;
  readonly config: JsonObject;
  readonly args?: Readonly<Record<string, string>>;
}

/** Runs ADD or DEL and gives what was applied, and said. */
export async function recordCall(
  registry: ReadonlyMap<string, CniPlugin>,
  { type, command, config, args = {} }: RecordedCall,
): Promise<readonly string[]> {
  const lines: string[] = [];
  const say = ({ netns: where, ops }: NetChange): void => {
    lines.push(
      ...ops.map(
        (op: NetOp) => `  ${where.kind === 'own' ? 'host' : renderNetns(where)}: ${renderNetOp(op)}`,
      ),
    );
  };
  const fake = createFakeNetlink();
  const netlink = {
    ...fake,
    apply: async (where: NetChange['netns'], ops: readonly NetOp[]) => say({ netns: where, ops }),
    applyAll: async (changes: readonly NetChange[]) => changes.forEach(say),
    state: async (where: NetChange['netns']) => (where.kind === 'own' ? host : container),
    policy: async () => policy,
  };
  const nft = createFakeNft();
  const recorded = {
    ...nft,
    commit: async (...[where, ops]: Parameters<typeof nft.commit>) => {
      await nft.commit(where, ops);
      lines.push(...ops.map((op) => `  nft: ${renderNftOp(op).split('\n')[0]}`));
    },
  };
  const pluginHost: PluginHost = {
    netlink: netlink as PluginHost['netlink'],
    nft: recorded as PluginHost['nft'],
    isNetnsRemovedByCaller: false,
    invoke: async (other, { command: asked, config: passed, ...rest }) => {
      const plugin = registry.get(other);
      if (asked !== 'ADD' || plugin === undefined) return undefined;
      return {
        ...(await plugin.add(
          { ...rest, config: passed, prevResult: undefined },
          pluginHost,
          new AbortController().signal,
        )),
      };
    },
  };
  const plugin = registry.get(type);
  if (plugin === undefined) throw new Error(`no plugin ${type}`);
  const document = {
    cniVersion: '1.1.0',
    name: 'net',
    type,
    ...config,
    ...(chained.has(type) ? { prevResult: { cniVersion: '1.1.0', ...previous } } : {}),
  };
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/',
    CNI_ARGS: Object.entries(args)
      .map(([name, value]) => `${name}=${value}`)
      .join(';'),
  };
  const input = { env, stdin: JSON.stringify(document) };
  const { stdout } = await runPlugin(plugin, input, () => pluginHost, new AbortController().signal);
  const said = stdout === '' ? [] : [`  says ${JSON.stringify(JSON.parse(stdout))}`];
  return [command, ...lines, ...said];
}
