import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { endpointSlices, nodes, services } from '#api/schema/kind-ref.ts';
import { createNetworkFacts, type ReadNetworkFacts } from '#agent/network/facts/read-facts.ts';
import { createAppliedRules, type AppliedRules } from '#agent/proxy/retraction/applied-rules.ts';
import { createAskPeer } from '#agent/proxy/retraction/ask-peer.ts';
import {
  createRetraction,
  ownEndpoints,
  ownEndpointsIndex,
  type EndpointRetraction,
} from '#agent/proxy/retraction/retraction.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { Informers } from '#client/informers.ts';
import type { FollowedCredentials } from '#bin/credentials/follow-credentials.ts';
import type { NetlinkWorker } from '#native/netlink/worker.ts';
import type { AgentCommandOptions } from '#bin/options/command-options.ts';

export interface NodeRulesParts {
  readonly options: Pick<AgentCommandOptions, 'clusterDns' | 'clusterDomain'> & { readonly nodeName: string };
  readonly clusterInformers: Informers;
  readonly credentials: FollowedCredentials;
  readonly runtime: Runtime;
  readonly kernel: NetlinkWorker;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What kubelet and proxy share: nobody is sent to a pod that stops, and what the node sees of its network is told. */
export interface NodeRules {
  readonly retraction: EndpointRetraction;
  readonly applied: AppliedRules;
  readonly networkFacts: ReadNetworkFacts;
}

export function openNodeRules(stack: AsyncDisposableStack, parts: NodeRulesParts): NodeRules {
  const { clusterInformers, credentials, clock, logger: log, runtime, kernel } = parts;
  const { nodeName, clusterDns, clusterDomain } = parts.options;
  const applied = createAppliedRules(clock);
  const peers = stack.use(createAskPeer(() => credentials.current().access));
  const retraction = stack.use(
    createRetraction({
      nodeName,
      services: clusterInformers.for(services),
      endpointSlices: clusterInformers.for(endpointSlices, {
        indexes: { [ownEndpointsIndex]: ownEndpoints(nodeName) },
      }),
      nodes: clusterInformers.for(nodes),
      applied,
      ask: peers.ask,
      clock,
      log,
    }),
  );
  const networkFacts = createNetworkFacts({
    ...{ nodeName, clusterDns, clusterDomain, runtime, applied, log },
    ...kernel,
  });
  return { retraction, applied, networkFacts };
}
