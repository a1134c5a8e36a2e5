import { join } from 'node:path';
import type { Logger } from '#base/log.ts';
import { redirectsPackets, type FastPath } from '#agent/network/fast-path/choice.ts';
import { createRedirects, removeRedirects, type Redirects } from '#agent/network/fast-path/redirects.ts';
import type { Path } from '#agent/network/fabric/paths.ts';
import { podLinkOf } from '#agent/network/pod-link.ts';
import { createResultCache } from '#agent/network/result-cache.ts';
import { createPacketRedirector } from '#native/bpf/redirect/packet-redirector.linux.ts';
import type { PodLink } from '#native/bpf/redirect/packet-redirector.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';

export interface RedirectParts {
  readonly fastPath: FastPath;
  /** Where the runtime keeps what is volatile. */
  readonly run: string;
  readonly netlink: Netlink;
  readonly logger: Logger;
}

/** A node's redirected packets. */
export interface NodeRedirects extends Redirects {
  /** Pods that an earlier agent left running, by sandbox. */
  attachEarlier(sandboxIds: ReadonlySet<string>): void;
  /** How other nodes are reached: packets to those that are neighbours pass by the stack. */
  setPaths(paths: readonly Path[]): Promise<void>;
}

/** undefined where it is not asked for: then what an agent that was asked for it left goes. */
export async function openRedirects(
  stack: AsyncDisposableStack,
  { fastPath, run, netlink, logger: log }: RedirectParts,
): Promise<NodeRedirects | undefined> {
  const attachments = await createResultCache(join(run, 'cni')).list();
  const earlier = attachments.flatMap((each): readonly (readonly [string, PodLink])[] => {
    const link = podLinkOf(each);
    return link === undefined ? [] : [[each.containerId, link]];
  });
  const redirector = stack.use(createPacketRedirector());
  if (!redirectsPackets(fastPath)) {
    removeRedirects(new Map(earlier).values(), { redirector, log });
    return undefined;
  }
  await netlink.apply(ownNetns, [liberalConntrack]);
  const redirects = createRedirects({ redirector, log });
  return {
    ...redirects,
    attachEarlier: (sandboxIds) => {
      for (const [id, link] of earlier) if (sandboxIds.has(id)) redirects.attach(id, link);
    },
    setPaths: async (paths) => {
      const { routes } = await netlink.state(ownNetns);
      redirects.setRoutes(
        paths.flatMap((path) => {
          if (path.kind !== 'direct') return [];
          const { destination, gateway } = path;
          const route = routes.find((each) => each.destination === destination && each.gateway === gateway);
          return route?.linkIndex === undefined ? [] : [{ destination, gateway, linkIndex: route.linkIndex }];
        }),
      );
    },
  };
}

/**
 * Conntrack sees beginning and end of a connection that passes by it: what was in between must not make it take the end for a forgery, or it
 * would keep the connection for days. kube-proxy sets it by --conntrack-tcp-be-liberal.
 */
const liberalConntrack = {
  op: 'setSysctl',
  key: 'net.netfilter.nf_conntrack_tcp_be_liberal',
  value: '1',
  isOptional: true,
} as const;
