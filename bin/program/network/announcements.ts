import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { services } from '#api/schema/kind-ref.ts';
import type { EndpointSlice, Node, Service } from '#api/generated/objects.ts';
import { computeGroups } from '#agent/network/announce/announced-groups.ts';
import { startAnnouncing } from '#agent/network/announce/announce.ts';
import { nftFamilies, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import { countLocalReady } from '#agent/proxy/service-map.ts';
import { createServiceIndex } from '#agent/proxy/service-index.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { openAnnouncer } from '#native/neighbour/announcer.linux.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { findLink } from './find-link.ts';

export interface AnnouncementParts {
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly networks: readonly ClusterNetwork[];
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
  /** As who may write the Leases. */
  readonly client: ApiClient;
  readonly netlink: Pick<Netlink, 'state'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Addresses of load balancers on the nodes' link, as Services and this node are now; nothing in a cluster that gives none. */
export function startAnnouncements(stack: AsyncDisposableStack, parts: AnnouncementParts): void {
  const { nodeName, nodeIps, networks, client, clock, log, nodes } = parts;
  if (networks.every(({ loadBalancerCidr }) => loadBalancerCidr === undefined)) return;
  const recorder = stack.use(
    createEventRecorder({ client, component: 'podwright-announcer', host: nodeName, clock, logger: log }),
  );
  const announcements = stack.use(
    startAnnouncing({
      identity: nodeName,
      client,
      clock,
      log,
      open: async (events) => openAnnouncer({ link: await findLink(parts.netlink, nodeIps), ...events }),
      onHeld: (group) => {
        for (const key of group.services) {
          const object = parts.services.get(key);
          if (object === undefined) continue;
          recorder.record(
            { kind: services, object },
            'Normal',
            'nodeAssigned',
            `announcing from node ${nodeName}`,
          );
        }
      },
    }),
  );
  let due: Disposable | undefined;
  const lookSoon = (): void => {
    due ??= clock.after(0, look);
  };
  const known = new Set<string>();
  const index = stack.use(
    createServiceIndex(parts.services, parts.endpointSlices, (key) => {
      if (isBalanced(parts.services.get(key)) || known.has(key)) lookSoon();
    }),
  );
  function look(): void {
    due = undefined;
    const balanced = parts.services.list().filter(isBalanced);
    const groups = computeGroups({
      services: balanced,
      hasLocalEndpoint: (key) =>
        networks.some(({ family }) => countLocalReady(index.slices(key), nodeName, nftFamilies[family]) > 0),
      node: nodes.get(nodeName),
      networks,
    });
    known.clear();
    for (const { services: keys } of groups) for (const key of keys) known.add(key);
    announcements.set(groups);
  }
  stack.use(
    nodes.onChange(({ key }) => {
      if (key === nodeName) lookSoon();
    }),
  );
  stack.defer(() => due?.[Symbol.dispose]());
  lookSoon();
}

const isBalanced = (service: Service | undefined): boolean => service?.spec?.type === 'LoadBalancer';
