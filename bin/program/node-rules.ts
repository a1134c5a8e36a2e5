import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { endpointSlices, nodes, services } from '#api/schema/kind-ref.ts';
import { createAppliedRules, type AppliedRules } from '#agent/proxy/retraction/applied-rules.ts';
import { createAskPeer } from '#agent/proxy/retraction/ask-peer.ts';
import {
  createRetraction,
  ownEndpoints,
  ownEndpointsIndex,
  type EndpointRetraction,
} from '#agent/proxy/retraction/retraction.ts';
import type { Informers } from '#client/informers.ts';
import type { FollowedCredentials } from '#bin/credentials/follow-credentials.ts';

export interface NodeRulesParts {
  readonly options: { readonly nodeName: string };
  readonly clusterInformers: Informers;
  readonly credentials: FollowedCredentials;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What kubelet and proxy share, so that nobody is sent to a pod that stops. */
export interface NodeRules {
  readonly retraction: EndpointRetraction;
  readonly applied: AppliedRules;
}

export function openNodeRules(stack: AsyncDisposableStack, parts: NodeRulesParts): NodeRules {
  const { clusterInformers, credentials, clock, logger: log } = parts;
  const { nodeName } = parts.options;
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
  return { retraction, applied };
}
