/** Misconfigurations that a trace has to name: a row each. */
import type { NetworkFacts, TunnelFact } from '#agent/network/facts/network-facts.ts';
import type { Code, Trace } from './observed.ts';
import {
  endpointOf,
  healthy,
  nodeOf,
  podOf,
  pods,
  policyOf,
  serviceOf,
  sliceOf,
  withEndpoints,
  withFacts,
  withListeners,
  withPods,
  withPolicies,
  withService,
  withTiers,
  type World,
} from './world.fixture.ts';

export interface Row {
  readonly name: string;
  readonly world: World;
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: string;
  readonly want: readonly Code[];
  readonly arrives: Trace['arrives'];
  /** Where the mode is userspace. */
  readonly userspace?: Partial<Pick<Row, 'want' | 'arrives'>>;
  /** What somebody has to be told. */
  readonly says?: RegExp;
}

const { client, web1, web2 } = pods;
const unready = {
  conditions: [{ type: 'Ready', status: 'False', message: 'containers with unready status: [main]' }],
};
const notServing = { ready: false, serving: false, terminating: false };
const ending = { ready: false, serving: true, terminating: true };
const http = { httpGet: { path: '/healthz', port: 8080 } };
const failing = (pod: typeof web1): typeof web1 => ({
  ...pod,
  spec: { containers: [{ name: 'main', image: 'i', readinessProbe: http }], nodeName: pod.spec?.nodeName },
  status: {
    ...pod.status,
    ...unready,
    containerStatuses: [
      { name: 'main', ready: false, restartCount: 0, image: 'i', imageID: 'i', state: { running: {} } },
    ],
  },
});
const waiting = (pod: typeof web1, reason: string): typeof web1 => ({
  ...pod,
  status: {
    ...pod.status,
    ...unready,
    containerStatuses: [
      {
        name: 'main',
        ready: false,
        restartCount: 3,
        image: 'i',
        imageID: '',
        state: { waiting: { reason, message: 'm' } },
      },
    ],
  },
});
const local = (address: string, protocol: 'TCP' | 'UDP' = 'TCP', port = 8080) => [
  { protocol, address, port },
];
const selectWeb = { podSelector: { matchLabels: { app: 'web' } } };
const selectClient = { podSelector: { matchLabels: { app: 'client' } } };
const clientWith = (spec: NonNullable<typeof client.spec> | object): typeof client =>
  podOf('client', { node: 'n1', ip: '10.244.0.2' }, { spec: spec as NonNullable<typeof client.spec> });
const anybody = [{ namespaces: {} }];
const tierPolicyOf = (spec: object, name = 'p') => ({
  ...{ kind: 'ClusterNetworkPolicy', metadata: { name }, spec: { subject: { namespaces: {} }, ...spec } },
});
const ipv6 = { ipFamilies: ['IPv6'], clusterIP: 'fd00:96::20', clusterIPs: ['fd00:96::20'] };
const lbOf = (spec: object) =>
  withService(
    { type: 'LoadBalancer', ...spec },
    { status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } },
  );
export const n1Routes = (routes: NetworkFacts['routes'], world: World = healthy): World =>
  withFacts(
    'n1',
    { routes: [{ destination: '10.244.0.0/24', gateway: undefined, link: 'cni0' }, ...routes] },
    world,
  );

const mac = '0a:00:00:00:00:12';
const tunnelRoute = { destination: '10.244.1.0/24', gateway: '10.244.1.0', link: 'podwright-vx' };
const linkRoute = { destination: '192.0.2.0/24', gateway: undefined, link: 'eth0' };
/** What a device of vxlan has to know. */
export const knownTunnel: Pick<TunnelFact, 'neighbours' | 'forwarding'> = {
  neighbours: [{ address: '10.244.1.0', mac }],
  forwarding: [{ mac, remote: '192.0.2.12' }],
};

/** The fabric is vxlan, and its device on n1 knows so much. */
export function withTunnel(known: Pick<TunnelFact, 'neighbours' | 'forwarding'>, outerMtu = 1600): World {
  const links = [
    { name: 'eth0', mtu: outerMtu, isUp: true },
    { name: 'cni0', mtu: 1500, isUp: true },
    { name: 'podwright-vx', mtu: 1500, isUp: true, kind: 'vxlan' },
  ];
  return withFacts(
    'n1',
    { links, tunnels: [{ link: 'podwright-vx', ...known }] },
    n1Routes([tunnelRoute, linkRoute], withFacts('n2', { links })),
  );
}

/** A misconfiguration each, and what it is called. */
export const planted: readonly Row[] = [
  { name: 'a name that no Service has', world: healthy, to: 'wep:80', want: ['name-unknown'], arrives: 'no' },
  {
    name: 'a Service of another namespace',
    world: {
      ...healthy,
      services: [
        ...healthy.services,
        serviceOf('db', { clusterIP: '10.96.0.30' }, { metadata: { namespace: 'other' } }),
      ],
    },
    ...{ to: 'db:80', want: ['name-in-other-namespace'], arrives: 'no', says: /db\.other/ },
  },
  {
    name: 'dnsPolicy Default',
    world: withPods([clientWith({ dnsPolicy: 'Default' })]),
    want: ['dns-not-of-cluster'],
    arrives: 'no',
  },
  {
    name: 'hostNetwork without ClusterFirstWithHostNet',
    world: withPods([clientWith({ hostNetwork: true })]),
    ...{ want: ['dns-not-of-cluster'], arrives: 'no', says: /ClusterFirstWithHostNet/ },
  },
  {
    name: 'a search list of its own',
    world: withPods([
      clientWith({
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['10.96.0.10'], searches: ['svc.cluster.local'] },
      }),
    ]),
    ...{ want: ['search-list-lacks'], arrives: 'no' },
  },
  {
    name: 'default-deny egress that forbids DNS',
    world: {
      ...withPolicies(
        policyOf('deny', {
          ...selectClient,
          policyTypes: ['Egress'],
          egress: [{ to: [{ podSelector: {} }] }],
        }),
      ),
      nodes: [
        nodeOf('n1', '192.0.2.11', '10.244.0.0/24', { runtime: 'containerd://2' }),
        nodeOf('n2', '192.0.2.12', '10.244.1.0/24'),
      ],
      pods: [...healthy.pods, podOf('dns', { node: 'n2', ip: '10.244.1.9', namespace: 'kube-system' })],
      endpointSlices: [
        ...healthy.endpointSlices,
        sliceOf('kube-dns', [endpointOf(podOf('dns', { node: 'n2', ip: '10.244.1.9' }))], {
          metadata: {
            name: 'dns',
            namespace: 'kube-system',
            resourceVersion: '3',
            labels: { 'kubernetes.io/service-name': 'kube-dns' },
          },
          ports: [{ name: 'dns', port: 5353, protocol: 'UDP' }],
        }),
      ],
    },
    ...{ want: ['dns-forbidden'], arrives: 'no', says: /UDP 5353/ },
  },
  {
    name: 'a port that the Service lacks',
    world: healthy,
    to: 'web:8081',
    want: ['service-lacks-port'],
    arrives: 'no',
    says: /80\/TCP/,
  },
  {
    name: 'the wrong protocol',
    world: healthy,
    protocol: 'udp',
    want: ['service-other-protocol'],
    arrives: 'no',
  },
  {
    name: 'a selector that matches nothing',
    world: { ...withService({ selector: { app: 'wep' } }), endpointSlices: [] },
    ...{ want: ['selector-matches-nothing'], arrives: 'no', says: /app=wep/ },
  },
  {
    name: 'no selector and no slices',
    world: { ...withService({ selector: {} }), endpointSlices: [] },
    ...{ want: ['no-endpoints-written'], arrives: 'no' },
  },
  {
    name: 'a named port that pods do not have',
    world: withEndpoints(
      [endpointOf(web1)],
      { ports: [] },
      withService({ ports: [{ port: 80, targetPort: 'web' }] }),
    ),
    ...{ want: ['named-port-missing'], arrives: 'no', says: /they have http/ },
  },
  {
    name: 'the wrong targetPort',
    world: withEndpoints(
      [endpointOf(web2)],
      { ports: [{ name: '', port: 9090 }] },
      withService({ ports: [{ port: 80, targetPort: 9090 }] }),
    ),
    ...{ want: ['nothing-listens'], arrives: 'no', says: /it listens on 8080/ },
  },
  {
    name: 'pods that do not run',
    world: withEndpoints(
      [],
      {},
      withPods([waiting(web1, 'CrashLoopBackOff'), waiting(web2, 'ImagePullBackOff')]),
    ),
    ...{ want: ['pod-not-running'], arrives: 'no', says: /CrashLoopBackOff/ },
  },
  {
    name: 'a readiness probe that fails',
    world: withEndpoints(
      [endpointOf(web1, notServing), endpointOf(web2, notServing)],
      {},
      withPods([failing(web1), failing(web2)]),
    ),
    ...{ want: ['readiness-failing'], arrives: 'no', says: /GET \/healthz on port 8080/ },
  },
  {
    name: 'a readiness gate that nobody opens',
    world: withEndpoints(
      [endpointOf(web1, notServing)],
      {},
      withPods(
        [
          {
            ...web1,
            spec: { containers: [], ...web1.spec, readinessGates: [{ conditionType: 'example.com/gate' }] },
            status: { ...web1.status, ...unready },
          },
        ],
        { ...healthy, pods: [client] },
      ),
    ),
    ...{ want: ['pod-not-ready'], arrives: 'no', says: /example\.com\/gate/ },
  },
  {
    name: 'nothing that listens',
    world: withListeners([]),
    want: ['nothing-listens'],
    arrives: 'no',
    says: /nothing listens there at all/,
  },
  {
    name: 'a program on 127.0.0.1',
    world: withListeners(local('127.0.0.1')),
    want: ['listens-on-loopback'],
    arrives: 'no',
  },
  {
    name: 'a program of the other protocol',
    world: withListeners(local('0.0.0.0', 'UDP')),
    want: ['listens-on-other-protocol'],
    arrives: 'no',
  },
  {
    name: 'a program of the other family',
    world: withListeners(local('fd00::3')),
    want: ['listens-on-other-family'],
    arrives: 'no',
  },
  {
    name: 'a policy that lets in others only',
    userspace: { want: ['policy-sees-node', 'ingress-forbidden'], arrives: 'some' },
    world: withPolicies(
      policyOf('only-admins', {
        ...selectWeb,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'admin' } } }], ports: [{ port: 8080 }] }],
      }),
    ),
    ...{ want: ['ingress-forbidden'], arrives: 'no', says: /default\/only-admins .*client/ },
  },
  {
    name: 'a policy that lets in by another port',
    userspace: { want: ['policy-sees-node', 'ingress-forbidden'], arrives: 'some' },
    world: withPolicies(
      policyOf('only-80', {
        ...selectWeb,
        ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }],
      }),
    ),
    ...{ want: ['ingress-forbidden'], arrives: 'no', says: /only-80 has a rule for them, with TCP 80 only/ },
  },
  {
    name: 'a policy that lets nothing out',
    userspace: { want: [], arrives: 'yes' },
    world: withPolicies(policyOf('deny-out', { ...selectClient, policyTypes: ['Egress'] })),
    ...{ want: ['egress-forbidden'], arrives: 'no', says: /deny-out/ },
  },
  {
    name: 'a policy of the cluster that denies, though one of the namespace allows',
    userspace: { want: ['policy-sees-node'], arrives: 'yes' },
    world: {
      ...withTiers(
        tierPolicyOf({
          tier: 'Admin',
          priority: 3,
          ingress: [{ action: 'Deny', name: 'no clients', from: anybody }],
        }),
      ),
      networkPolicies: [policyOf('open', { ...selectWeb, ingress: [{}] })],
    },
    ...{
      want: ['ingress-forbidden'],
      arrives: 'no',
      says: /ClusterNetworkPolicy p denies pod default\/web-1 TCP 8080 from 10\.244\.0\.2: its ingress rule 1 \(no clients\)/,
    },
  },
  {
    name: 'a policy of the cluster that accepts what one of the namespace denies',
    userspace: { want: ['policy-sees-node'], arrives: 'some' },
    world: {
      ...withTiers(
        tierPolicyOf({ tier: 'Admin', priority: 3, ingress: [{ action: 'Accept', from: anybody }] }),
        tierPolicyOf({ tier: 'Baseline', priority: 3, egress: [{ action: 'Deny', to: anybody }] }, 'last'),
      ),
      networkPolicies: [
        policyOf('shut', selectWeb),
        policyOf('out', { ...selectClient, policyTypes: ['Egress'], egress: [{}] }),
      ],
    },
    ...{ want: [], arrives: 'yes' },
  },
  {
    name: 'a policy of the last tier, of nodes',
    world: withTiers(
      tierPolicyOf({ tier: 'Baseline', priority: 3, egress: [{ action: 'Deny', to: [{ nodes: {} }] }] }),
    ),
    ...{ to: 'node/n2:10250', want: ['egress-forbidden'], arrives: 'no', says: /denies pod default\/client/ },
  },
  {
    name: 'its own node, which NetworkPolicies leave to a pod',
    world: withPolicies(policyOf('deny-out', { ...selectClient, policyTypes: ['Egress'] })),
    ...{ to: 'node/n1:10250', want: [], arrives: 'yes' },
  },
  {
    name: 'externalTrafficPolicy Local and no endpoint there',
    world: withEndpoints(
      [endpointOf(web2)],
      {},
      withService({
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        ports: [{ port: 80, nodePort: 30_080 }],
      }),
    ),
    ...{ from: 'outside', to: 'node/n1:30080', want: ['no-local-endpoint'], arrives: 'no', says: /node n1/ },
  },
  {
    name: 'internalTrafficPolicy Local and no endpoint there',
    world: withEndpoints([endpointOf(web2)], {}, withService({ internalTrafficPolicy: 'Local' })),
    ...{ want: ['no-local-endpoint'], arrives: 'no', says: /internalTrafficPolicy/ },
  },
  {
    name: 'a node that is cut off',
    world: withEndpoints(
      [endpointOf(web2)],
      {},
      {
        ...healthy,
        nodes: [
          nodeOf('n1', '192.0.2.11', '10.244.0.0/24'),
          nodeOf('n2', '192.0.2.12', '10.244.1.0/24', { status: 'Unknown' }),
        ],
      },
    ),
    ...{ want: ['node-not-ready'], arrives: 'no', says: /node n2/ },
  },
  {
    name: 'a route that is missing',
    world: n1Routes([{ destination: 'default', gateway: '192.0.2.1', link: 'eth0' }]),
    want: ['route-missing'],
    arrives: 'some',
    says: /default route/,
  },
  {
    name: 'a route that refuses what a node has again',
    world: n1Routes([{ destination: '10.244.1.0/24', gateway: undefined, isUnreachable: true }]),
    want: ['route-missing'],
    arrives: 'some',
    says: /has no route to node n2/,
  },
  {
    name: 'a route to somebody else',
    world: n1Routes([{ destination: '10.244.1.0/24', gateway: '192.0.2.99', link: 'eth0' }]),
    want: ['route-elsewhere'],
    arrives: 'some',
  },
  {
    name: 'a link that is down',
    world: withFacts('n1', { links: [{ name: 'eth0', mtu: 1500, isUp: false }] }),
    want: ['link-down'],
    arrives: 'some',
  },
  {
    name: 'a node that does not forward',
    userspace: { want: [], arrives: 'yes' },
    world: withFacts('n1', { isForwarding: { 4: false, 6: false } }),
    want: ['not-forwarding'],
    arrives: 'no',
  },
  {
    name: 'rules that somebody removed',
    world: withFacts('n1', {
      tables: [{ name: 'podwright-proxy', family: 'ip', rulesWanted: 12, rulesFound: 0 }],
    }),
    ...{ want: ['rules-removed'], arrives: 'no' },
  },
  {
    name: 'rules that are behind',
    world: withFacts('n1', { appliedRevision: 3 }),
    want: ['rules-behind'],
    arrives: 'yes',
  },
  {
    name: 'an MTU that is too large',
    userspace: { want: [], arrives: 'yes' },
    world: withFacts('n1', { links: [{ name: 'eth0', mtu: 1400, isUp: true }] }),
    want: ['mtu-too-large'],
    arrives: 'yes',
  },
  {
    name: 'a full table of connections',
    world: withFacts('n1', { conntrack: { count: 1000, max: 1000 } }),
    want: ['conntrack-full'],
    arrives: 'no',
  },
  {
    name: 'a table that is nearly full',
    world: withFacts('n1', { conntrack: { count: 950, max: 1000 } }),
    want: ['conntrack-nearly-full'],
    arrives: 'yes',
  },
  {
    name: 'a hostPort that two pods want',
    world: withPods([
      podOf(
        'a',
        { node: 'n1', ip: '10.244.0.8' },
        {
          spec: {
            containers: [{ name: 'main', image: 'i', ports: [{ containerPort: 80, hostPort: 8000 }] }],
          },
        },
      ),
      {
        metadata: { name: 'b', namespace: 'default', uid: 'b' },
        spec: { containers: [{ name: 'main', image: 'i', ports: [{ containerPort: 80, hostPort: 8000 }] }] },
        status: {
          conditions: [
            {
              type: 'PodScheduled',
              status: 'False',
              message:
                "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.",
            },
          ],
        },
      },
    ]),
    ...{ to: 'pod/b:80', want: ['host-port-conflict'], arrives: 'no' },
  },
  {
    name: 'a family that the client lacks',
    world: withService(ipv6),
    want: ['family-mismatch'],
    arrives: 'no',
  },
  {
    name: 'a family that the pods lack',
    world: {
      ...withService({ ipFamilies: ['IPv6'], clusterIP: 'fd00:96::20', clusterIPs: ['fd00:96::20'] }),
      endpointSlices: [],
    },
    ...{ to: '[fd00:96::20]:80', want: ['family-mismatch'], arrives: 'no', says: /no address of IPv6/ },
  },
  {
    name: 'the port of a headless Service that is none of its pods',
    world: withService({ clusterIP: 'None' }),
    ...{ want: ['headless-port'], arrives: 'no', says: /translates no port/ },
  },
  {
    name: 'a headless Service without ready pods',
    world: withEndpoints(
      [endpointOf(web1, notServing)],
      {},
      withPods([failing(web1)], { ...withService({ clusterIP: 'None' }), pods: [client] }),
    ),
    ...{ to: 'web:8080', want: ['readiness-failing'], arrives: 'no', says: /headless and has no address/ },
  },
  {
    name: 'an ExternalName',
    world: withService({ type: 'ExternalName', externalName: 'db.example.com', ports: [] }),
    ...{ want: ['external-name'], arrives: 'yes', says: /db\.example\.com/ },
  },
  {
    name: 'loadBalancerSourceRanges without the client',
    world: lbOf({ loadBalancerSourceRanges: ['198.51.100.0/24'] }),
    ...{ from: 'outside/192.0.2.200', to: '203.0.113.9:80', want: ['source-not-in-ranges'], arrives: 'no' },
  },
  {
    name: 'a load balancer without an address',
    world: withService({ type: 'LoadBalancer' }),
    from: 'outside',
    to: 'web:80',
    want: ['load-balancer-pending'],
    arrives: 'no',
  },
  {
    name: 'endpoints that all end',
    world: withEndpoints([endpointOf(web1, ending)]),
    want: ['terminating-only'],
    arrives: 'yes',
  },
  {
    name: 'publishNotReadyAddresses',
    world: withEndpoints(
      [endpointOf(web1, { ready: true, serving: false })],
      {},
      withPods([failing(web1)], withService({ publishNotReadyAddresses: true })),
    ),
    ...{ want: ['publishes-not-ready', 'readiness-failing'], arrives: 'yes' },
  },
  {
    name: 'session affinity to a dead endpoint',
    world: withService(
      { sessionAffinity: 'ClientIP' },
      {},
      {
        ...healthy,
        nodes: [
          nodeOf('n1', '192.0.2.11', '10.244.0.0/24'),
          nodeOf('n2', '192.0.2.12', '10.244.1.0/24', { status: 'Unknown' }),
        ],
      },
    ),
    ...{ want: ['affinity-to-dead-endpoint', 'node-not-ready'], arrives: 'some' },
  },
  {
    name: 'a Service that is left to another proxy',
    world: withService({}, { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': 'mesh' } } }),
    ...{ want: ['other-proxy'], arrives: 'no', says: /mesh/ },
  },
  {
    name: 'a node port that nobody has',
    world: healthy,
    from: 'outside',
    to: 'node/n1:30999',
    want: ['not-a-node-port'],
    arrives: 'no',
  },
  {
    name: 'a ClusterIP from outside',
    world: healthy,
    from: 'outside',
    to: '10.96.0.20:80',
    want: ['outside-cluster'],
    arrives: 'no',
  },
  {
    name: 'an address that no pod has',
    world: withEndpoints([{ addresses: ['10.244.0.77'], nodeName: 'n1' }]),
    want: ['endpoint-of-no-pod'],
    arrives: 'yes',
  },
  {
    name: 'a sender that does not run',
    world: withPods([{ ...waiting(client, 'ErrImagePull'), status: { phase: 'Pending' } }]),
    want: ['sender-not-running'],
    arrives: 'no',
  },
  {
    name: 'an address outside that the node has no route to',
    world: n1Routes([]),
    ...{ to: '198.51.100.9:80', want: ['without-way-out'], arrives: 'no' },
  },
  {
    name: 'an address outside',
    world: healthy,
    ...{ to: '198.51.100.9:80', want: ['outside-cluster'], arrives: 'yes' },
  },
  {
    name: 'a name outside',
    world: healthy,
    ...{ to: 'example.com:80', want: ['outside-cluster'], arrives: 'yes' },
  },
  {
    name: 'a misspelt Service of a namespace',
    world: healthy,
    ...{ to: 'wep.default:80', want: ['name-unknown'], arrives: 'no' },
  },
  {
    name: 'a neighbour of a tunnel that is missing',
    world: withTunnel({ neighbours: [], forwarding: [{ mac, remote: '192.0.2.12' }] }),
    ...{ want: ['neighbour-missing'], arrives: 'some' },
  },
  {
    name: 'an entry of a tunnel that is missing',
    world: withTunnel({ neighbours: [{ address: '10.244.1.0', mac }], forwarding: [] }),
    ...{ want: ['forwarding-missing'], arrives: 'some', says: /nowhere/ },
  },
  {
    name: 'an entry of a tunnel that leads to another node',
    world: withTunnel({
      neighbours: [{ address: '10.244.1.0', mac }],
      forwarding: [{ mac, remote: '192.0.2.99' }],
    }),
    ...{ want: ['forwarding-missing'], arrives: 'some', says: /to 192\.0\.2\.99/ },
  },
  {
    name: 'a link that is too narrow for a tunnel',
    userspace: { want: [], arrives: 'yes' },
    world: withTunnel(
      { neighbours: [{ address: '10.244.1.0', mac }], forwarding: [{ mac, remote: '192.0.2.12' }] },
      1500,
    ),
    ...{
      want: ['mtu-too-large'],
      arrives: 'yes',
      says: /eth0, through podwright-vx, of node n1 takes only 1450/,
    },
  },
  {
    name: 'a hostname that no pod of a headless Service has',
    world: withService({ clusterIP: 'None' }),
    ...{ to: 'nobody.web:8080', want: ['headless-without-addresses'], arrives: 'no' },
  },
  {
    name: 'a load balancer that sends to nodes without endpoints, too',
    world: withEndpoints([endpointOf(web2)], {}, lbOf({ externalTrafficPolicy: 'Local' })),
    ...{
      from: 'outside',
      to: '203.0.113.9:80',
      want: ['no-local-endpoint-everywhere'],
      arrives: 'yes',
      says: /node n1/,
    },
  },
  {
    name: 'a node that says nothing',
    world: withFacts('n2', { problem: 'connect 192.0.2.12:10250: timeout' }),
    want: ['node-silent'],
    arrives: 'yes',
  },
];
