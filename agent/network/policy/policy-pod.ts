import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import { canonicalIpText } from '#base/ip.ts';
import { parseProtocol, type Protocol } from './parse-policy.ts';

export interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** What policies ask of a pod. */
export interface PolicyPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of both families, in their canonical text. None: it is not on the pod network, or has no address yet. */
  readonly ips: readonly string[];
  readonly ports: readonly NamedPort[];
  /** When it began, of pods that claim one address: the later one has it. */
  readonly since: string;
  /** The node that it is bound to. */
  readonly node: string | undefined;
}

/**
 * A pod with the node's network is not on the pod network: what it sends is the node's. One that has ended has given back its
 * address, which another may have by now.
 */
export function policyPodOf(pod: Pod): PolicyPod {
  const { namespace = '', labels = {}, creationTimestamp = '' } = pod.metadata ?? {};
  const hasAddresses = pod.spec?.hostNetwork !== true && !isTerminal(pod);
  return {
    namespace,
    labels,
    ips: hasAddresses ? podIpsOf(pod) : [],
    ports: namedPortsOf(pod),
    since: pod.status?.startTime ?? creationTimestamp,
    node: pod.spec?.nodeName,
  };
}

function podIpsOf({ status }: Pod): readonly string[] {
  const { podIPs = [], podIP = '' } = status ?? {};
  const all = podIPs.flatMap(({ ip = '' }) => canonicalIpText(ip) ?? []);
  return all.length > 0 ? all : [canonicalIpText(podIP) ?? []].flat();
}

/** Of its containers, and of init containers that go on beside them. */
function namedPortsOf({ spec }: Pod): readonly NamedPort[] {
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...(spec?.containers ?? []), ...sidecars].flatMap(({ ports = [] }) =>
    ports.flatMap(({ name, protocol: word, containerPort }) => {
      const protocol = parseProtocol(word);
      return name === undefined || protocol === undefined ? [] : [{ name, protocol, port: containerPort }];
    }),
  );
}

/** What is kept of a pod of the cluster: there may be very many, and policies ask little. */
export function withoutWhatPoliciesIgnore(pod: Pod): Pod {
  const { metadata, spec, status } = pod;
  const { name, namespace, uid, resourceVersion, labels, creationTimestamp } = metadata ?? {};
  const containers = (spec?.containers ?? []).map((container) => ({
    name: container.name,
    ports: container.ports?.filter((port) => port.name !== undefined),
  }));
  const initContainers = spec?.initContainers
    ?.filter(({ restartPolicy }) => restartPolicy === 'Always')
    .map((container) => ({ name: container.name, restartPolicy: 'Always' as const, ports: container.ports }));
  return {
    metadata: { name, namespace, uid, resourceVersion, labels, creationTimestamp },
    spec: { nodeName: spec?.nodeName, hostNetwork: spec?.hostNetwork, containers, initContainers },
    status: {
      phase: status?.phase,
      podIPs: status?.podIPs,
      podIP: status?.podIP,
      startTime: status?.startTime,
    },
  };
}
