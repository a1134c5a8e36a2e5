/** Plugins whose link is made in the container's namespace at once, of one of the host or of nothing: what differs is the link. */
import { ownNetns, type LinkKind, type NetOp } from '#native/netlink/netlink.ts';
import { checkMtu, type LinkConfig } from './link-config.ts';
import { planContainer } from './link-plan.ts';
import { createLinkPlugin, type LinkPlan, type LinkPlugin, type PlanInput } from './link-plugin.ts';
import type { CniPlugin } from './plugin.ts';

/** Where the link is that the new one is part of. */
export interface MadeLinkConfig extends LinkConfig {
  /** In the container rather than on the host (`linkInContainer`). */
  readonly isInContainer?: boolean;
}

export interface MadeLink<C extends MadeLinkConfig> {
  readonly name: string;
  readonly parse: LinkPlugin<C>['parse'];
  /** Whether `linkOf` asks for what the host has: a link that the new one is part of. */
  readonly looks: boolean;
  /** @throws {E_INVALID} */
  linkOf(input: PlanInput<C>): {
    readonly link: LinkKind;
    /** Sets a bound for the MTU. */
    readonly master?: { readonly name: string; readonly mtu: number };
  };
  /** In the container, before the link comes up. */
  readonly prepare?: (config: C, ifname: string) => readonly NetOp[];
}

export function createMadeLinkPlugin<C extends MadeLinkConfig>(made: MadeLink<C>): CniPlugin {
  return createLinkPlugin<C>({
    name: made.name,
    parse: made.parse,
    looks: made.looks,
    looksAt: ({ isInContainer }, { netns: path }) =>
      isInContainer === true ? { kind: 'path', path } : ownNetns,
    reachesServers: made.looks,
    plan: (input) => planMadeLink(made, input),
    planDel: (_config, { ifname }) => ({ host: [], container: [{ op: 'removeLink', name: ifname }] }),
  });
}

/** Pure. */
export function planMadeLink<C extends MadeLinkConfig>(made: MadeLink<C>, input: PlanInput<C>): LinkPlan {
  const { config, request, ipam } = input;
  const { link, master } = made.linkOf(input);
  if (master !== undefined) checkMtu(made.name, config.mtu, master);
  const netns = { kind: 'path', path: request.netns } as const;
  const settings = {
    ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
    ...(config.mac === undefined ? {} : { mac: config.mac }),
  };
  return {
    changes: [
      config.isInContainer === true
        ? { netns, ops: [{ op: 'addLink', name: request.ifname, link, ...settings }] }
        : { netns: ownNetns, ops: [{ op: 'addLink', name: request.ifname, link, ...settings, netns }] },
      {
        netns,
        ops: [...(made.prepare?.(config, request.ifname) ?? []), ...planContainer(request.ifname, ipam)],
      },
    ],
    result: {
      ...ipam,
      interfaces: [{ name: request.ifname, sandbox: request.netns }],
      ips: ipam.ips.map((ip) => ({ ...ip, interface: 0 })),
    },
  };
}

/** Neighbours are told when the address is another's by now (gratuitous ARP, unsolicited NDP). */
export function planNotify(ifname: string): readonly NetOp[] {
  return ['ipv4/conf/IF/arp_notify', 'ipv6/conf/IF/ndisc_notify'].map((key) => ({
    op: 'setSysctl',
    key: `net/${key.replace('IF', ifname)}`,
    value: '1',
    isOptional: true,
  }));
}
