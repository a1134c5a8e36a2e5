/** Plugins whose link is made in the container's namespace at once, of one of the host or of nothing: what differs is the link. */
import {
  ownNetns,
  type LinkKind,
  type NetOp,
  type LinkInfo,
  type NetworkState,
} from '#native/netlink/netlink.ts';
import { compareKind } from './link-check.ts';
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
  /** As of LinkPlugin. */
  readonly kind?: string;
  readonly takesPrevious?: boolean;
  /** What CHECK finds otherwise than `config` has it; `near` is where the link is that it is part of. */
  readonly compare?: (config: C, link: LinkInfo, near: NetworkState) => readonly string[];
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
    ...(made.kind === undefined ? {} : { kind: made.kind }),
    ...(made.takesPrevious === undefined ? {} : { takesPrevious: made.takesPrevious }),
    ...(made.compare === undefined ? {} : { compareLink: made.compare }),
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

/** Differences of a link that is part of another: of its kind, of the one that it is part of where that is named, and of its mode. Pure. */
export function comparePart(
  link: LinkInfo,
  wanted: {
    readonly kind: string;
    readonly master: string | undefined;
    readonly mode: readonly [name: string, is: unknown, wanted: unknown];
  },
  near: NetworkState,
): readonly string[] {
  const { kind, master } = wanted;
  const [other] = compareKind(link, kind);
  if (other !== undefined) return [other];
  const [name, is, want] = wanted.mode;
  const parent = near.links.find((other) => other.name === master);
  return [
    ...(master === undefined || parent?.index === link.peerIndex
      ? []
      : [`${link.name} is not part of ${master}`]),
    ...(is === want ? [] : [`${link.name} has ${name} ${String(is)}, not ${String(want)}`]),
  ];
}
