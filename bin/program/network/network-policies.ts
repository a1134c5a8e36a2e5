import type { Clock } from '#base/clock.ts';
import { familyOfNetwork } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { encodeStandings, standingsAnnotation } from '#api/network/policy-standing.ts';
import { customResourceDefinitions, namespaces, networkPolicies, nodes, pods } from '#api/schema/kind-ref.ts';
import { nftFamilies } from '#agent/network/cluster-network.ts';
import type { LeaseNotes } from '#agent/node/lease-notes.ts';
import { createPolicies, type Policies } from '#agent/network/policy/enforce-policies.ts';
import { withoutWhatPoliciesIgnore } from '#agent/network/policy/policy-pod.ts';
import {
  followTiers,
  tierDefinitionNames,
  withoutSchemas,
  type TierSource,
} from '#agent/network/policy/tiers/follow-tiers.ts';
import type { AttachedPod } from '#agent/network/policy/policy-state.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { withoutManagedFields, type Informers } from '#client/informers.ts';
import type { NetlinkWorker } from '#native/netlink/worker.ts';

export interface NetworkPolicyParts {
  readonly nodeName: string;
  /** Networks of all pods, one of each family. */
  readonly clusterCidrs: readonly string[];
  /** Addresses at which the node answers for the cluster's DNS. */
  readonly clusterDns: readonly string[];
  /** As the node. */
  readonly informers: Informers;
  /** As who may read what is not the node's alone. */
  readonly clusterInformers: Informers;
  readonly kernel: NetlinkWorker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The node says in its Lease which policies of the cluster are in force. */
  readonly leaseNotes: Pick<LeaseNotes, 'set'>;
  /** See PolicyOptions. */
  readonly onConcerned?: (ips: ReadonlySet<string>) => void;
}

/** The node's policies; they begin to act with `start(podsOf(runtime))`. */
export function openNetworkPolicies(
  stack: AsyncDisposableStack,
  {
    nodeName,
    clusterCidrs,
    clusterDns,
    informers,
    clusterInformers,
    kernel,
    clock,
    logger,
    leaseNotes,
    onConcerned,
  }: NetworkPolicyParts,
): Policies {
  const recorder = stack.use(
    createEventRecorder({
      client: informers.client,
      component: 'network-policy',
      host: nodeName,
      clock,
      logger,
    }),
  );
  // As the kubelet refers to its node.
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
  const families = clusterCidrs.map((cidr) => nftFamilies[familyOfNetwork(cidr) ?? 4]);
  return stack.use(
    createPolicies({
      nodeName,
      client: clusterInformers.client,
      policies: clusterInformers.for(networkPolicies, { transform: withoutManagedFields }),
      allPods: () => clusterInformers.for(pods, { transform: withoutWhatPoliciesIgnore }),
      namespaces: () => clusterInformers.for(namespaces),
      tiers: openTiers(clusterInformers, logger),
      nodes: () => clusterInformers.for(nodes),
      dns: clusterDns,
      ownPods: informers.for(pods, { fieldSelector: `spec.nodeName=${nodeName}` }),
      families,
      ...kernel,
      clock,
      log: logger,
      onStandings: (standings) => leaseNotes.set(standingsAnnotation, encodeStandings(standings)),
      ...(onConcerned === undefined ? {} : { onConcerned }),
      warn: (policy, message, kind = networkPolicies) =>
        policy === undefined
          ? recorder.record({ kind: nodes, object: node }, 'Warning', 'NetworkPoliciesNotInForce', message)
          : recorder.record({ kind, object: policy }, 'Warning', 'PartlyInForce', message),
    }),
  );
}

function openTiers(informers: Informers, log: Logger): TierSource {
  return followTiers({
    client: informers.client,
    definitions: tierDefinitionNames.map((name) =>
      informers.for(customResourceDefinitions, {
        fieldSelector: `metadata.name=${name}`,
        transform: withoutSchemas,
      }),
    ),
    follow: (kind) => informers.for(kind, { transform: withoutManagedFields }),
    stop: (kind) => void informers.stop(kind),
    log,
  });
}

/** Pods that an earlier agent has left running, with the addresses that they have. */
export function attachedPods(runtime: Pick<Runtime, 'observeAll'>): readonly AttachedPod[] {
  return runtime.observeAll().flatMap(({ uid, namespace, name, sandbox }) => {
    if (sandbox === undefined || sandbox.state === 'stopped' || sandbox.ips.length === 0) return [];
    return [{ sandboxId: sandbox.id, uid, namespace, name, ips: sandbox.ips }];
  });
}
