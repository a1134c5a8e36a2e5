/** A small cluster in which everything arrives: two nodes, a client on the first, what answers on both. */
import type { NetworkFacts } from '#agent/network/facts/network-facts.ts';
import { parseTierPolicy } from '#agent/network/policy/tiers/parse-tier-policy.ts';
import { inOrder } from '#agent/network/policy/tiers/tier-policy.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type {
  EndpointSlice,
  Endpoint,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
  Service,
} from '#api/generated/objects.ts';
import type { Observed, Silence } from './observed.ts';

export interface World extends Observed {
  readonly facts: ReadonlyMap<string, NetworkFacts | Silence>;
}

type Spec = NonNullable<Pod['spec']>;

export function podOf(
  name: string,
  place: { readonly node: string; readonly ip: string; readonly namespace?: string },
  more: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly spec?: Partial<Spec>;
    readonly status?: Partial<NonNullable<Pod['status']>>;
  } = {},
): Pod {
  const { node, ip, namespace = 'default' } = place;
  return {
    metadata: { name, namespace, uid: `uid-${name}`, labels: more.labels ?? { app: name } },
    spec: {
      nodeName: node,
      containers: [{ name: 'main', image: 'i', ports: [{ name: 'http', containerPort: 8080 }] }],
      ...more.spec,
    },
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        { name: 'main', ready: true, restartCount: 0, image: 'i', imageID: 'i', state: { running: {} } },
      ],
      ...more.status,
    },
  };
}

export function nodeOf(
  name: string,
  ip: string,
  podCIDR: string,
  {
    status = 'True',
    runtime = 'podwright://0',
  }: { readonly status?: 'True' | 'Unknown'; readonly runtime?: string } = {},
): Node {
  return {
    metadata: { name },
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: {
      addresses: [{ type: 'InternalIP', address: ip }],
      conditions: [{ type: 'Ready', status }],
      nodeInfo: { ...emptyNodeInfo, containerRuntimeVersion: runtime },
    },
  };
}

const emptyNodeInfo: NonNullable<NonNullable<Node['status']>['nodeInfo']> = {
  ...{ architecture: '', bootID: '', containerRuntimeVersion: '', kernelVersion: '', kubeProxyVersion: '' },
  ...{ kubeletVersion: '', machineID: '', operatingSystem: '', osImage: '', systemUUID: '' },
};

export function serviceOf(name: string, spec: NonNullable<Service['spec']>, more: Service = {}): Service {
  const clusterIP = spec.clusterIP ?? '10.96.0.20';
  return {
    ...more,
    metadata: { name, namespace: 'default', ...more.metadata },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ port: 80, targetPort: 8080 }],
      ...spec,
    },
  };
}

export function endpointOf(
  pod: Pod,
  conditions: Endpoint['conditions'] = { ready: true, serving: true, terminating: false },
): Endpoint {
  const { podIP = '' } = pod.status ?? {};
  const { name, namespace, uid } = pod.metadata ?? {};
  return {
    addresses: [podIP],
    conditions,
    nodeName: pod.spec?.nodeName,
    targetRef: { kind: 'Pod', name, namespace, uid },
  };
}

export function sliceOf(
  service: string,
  endpoints: readonly Endpoint[],
  more: Partial<EndpointSlice> = {},
): EndpointSlice {
  return {
    metadata: {
      name: `${service}-1`,
      namespace: 'default',
      resourceVersion: '7',
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...more,
  };
}

export function policyOf(name: string, spec: NetworkPolicy['spec']): NetworkPolicy {
  return { metadata: { name, namespace: 'default' }, spec };
}

const client = podOf('client', { node: 'n1', ip: '10.244.0.2' });
const web1 = podOf('web-1', { node: 'n1', ip: '10.244.0.3' }, { labels: { app: 'web' } });
const web2 = podOf('web-2', { node: 'n2', ip: '10.244.1.3' }, { labels: { app: 'web' } });
const listening = [{ protocol: 'TCP', address: '0.0.0.0', port: 8080 }] as const;

function factsFor(
  node: string,
  ownCidr: string,
  route: { readonly destination: string; readonly gateway: string },
  uids: readonly string[],
): NetworkFacts {
  return {
    ...{ node, clusterDomain: 'cluster.local', clusterDns: ['10.96.0.10'] },
    isForwarding: { 4: true, 6: false },
    conntrack: { count: 10, max: 1000 },
    links: [
      { name: 'eth0', mtu: 1500, isUp: true },
      { name: 'cni0', mtu: 1500, isUp: true },
    ],
    routes: [
      { destination: 'default', gateway: '192.0.2.1', link: 'eth0' },
      { destination: ownCidr, gateway: undefined, link: 'cni0' },
      { ...route, link: 'eth0' },
    ],
    tunnels: [],
    tables: [{ name: 'podwright-proxy', family: 'ip', rulesWanted: 12, rulesFound: 12 }],
    appliedRevision: 9,
    listeners: [
      { protocol: 'TCP', address: '0.0.0.0', port: 10_250 },
      { protocol: 'UDP', address: '10.96.0.10', port: 53 },
    ],
    pods: uids.map((uid) => ({
      uid,
      links: [{ name: 'eth0', mtu: 1500, isUp: true }],
      listeners: uid === 'uid-client' ? [] : listening,
    })),
  };
}

const space = (name: string): Namespace => ({
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
});

export const healthy: World = {
  pods: [client, web1, web2],
  services: [
    serviceOf('web', { selector: { app: 'web' } }),
    serviceOf('kubernetes', {
      clusterIP: '10.96.0.1',
      ports: [{ name: 'https', port: 443, targetPort: 6443 }],
    }),
    serviceOf(
      'kube-dns',
      { clusterIP: '10.96.0.10', ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] },
      { metadata: { namespace: 'kube-system' } },
    ),
  ],
  endpointSlices: [
    sliceOf('web', [endpointOf(web1), endpointOf(web2)]),
    sliceOf('kubernetes', [{ addresses: ['192.0.2.1'], conditions: { ready: true } }], {
      ports: [{ name: 'https', port: 6443, protocol: 'TCP' }],
    }),
  ],
  nodes: [nodeOf('n1', '192.0.2.11', '10.244.0.0/24'), nodeOf('n2', '192.0.2.12', '10.244.1.0/24')],
  namespaces: [space('default'), space('other'), space('kube-system')],
  networkPolicies: [],
  tiers: [],
  facts: new Map([
    [
      'n1',
      factsFor('n1', '10.244.0.0/24', { destination: '10.244.1.0/24', gateway: '192.0.2.12' }, [
        'uid-client',
        'uid-web-1',
      ]),
    ],
    [
      'n2',
      factsFor('n2', '10.244.1.0/24', { destination: '10.244.0.0/24', gateway: '192.0.2.11' }, ['uid-web-2']),
    ],
  ]),
};

export const pods: Readonly<Record<'client' | 'web1' | 'web2', Pod>> = { client, web1, web2 };

/** With the Service web as `spec` says. */
export function withService(
  spec: NonNullable<Service['spec']>,
  more: Service = {},
  world: World = healthy,
): World {
  const others = world.services.filter(({ metadata }) => metadata?.name !== 'web');
  return { ...world, services: [serviceOf('web', { selector: { app: 'web' }, ...spec }, more), ...others] };
}

export function withEndpoints(
  endpoints: readonly Endpoint[],
  more: Partial<EndpointSlice> = {},
  world: World = healthy,
): World {
  return { ...world, endpointSlices: [sliceOf('web', endpoints, more)] };
}

/** Pods of the same name are replaced. */
export function withPods(changed: readonly Pod[], world: World = healthy): World {
  const names = new Set(changed.map(({ metadata }) => metadata?.name));
  return { ...world, pods: [...world.pods.filter(({ metadata }) => !names.has(metadata?.name)), ...changed] };
}

export function withFacts(
  node: string,
  change: Partial<NetworkFacts> | Silence,
  world: World = healthy,
): World {
  const before = world.facts.get(node);
  const after =
    'problem' in change || before === undefined || 'problem' in before
      ? (change as Silence)
      : { ...before, ...change };
  return { ...world, facts: new Map([...world.facts, [node, after]]) };
}

/** What the pods of a node listen at. */
export function withListeners(listeners: NetworkFacts['listeners'], world: World = healthy): World {
  return ['n1', 'n2'].reduce((sum: World, node) => {
    const facts = sum.facts.get(node);
    if (facts === undefined || 'problem' in facts) return sum;
    return withFacts(node, { pods: facts.pods.map((pod) => ({ ...pod, listeners })) }, sum);
  }, world);
}

/** Policies of the cluster, written as their kinds. */
export function withTiers(...policies: readonly (KubeObject & { readonly kind: string })[]): World {
  return { ...healthy, tiers: inOrder(policies.map((policy) => parseTierPolicy(policy.kind, policy))) };
}

export function withPolicies(...networkPolicies: readonly NetworkPolicy[]): World {
  return { ...healthy, networkPolicies };
}
