/**
 * What the network of Services and pods is to do, and which tests show it: the rows of the suite by packets in each mode and family, others by
 * their names. What no packet shows has a reason.
 */
export interface NamedTest {
  readonly file: string;
  /** As it is written there. */
  readonly name: string;
}

export interface Feature {
  readonly of: 'Services' | 'pods';
  /** Of the API: `Type.field`. */
  readonly fields?: readonly string[];
  readonly tests?: readonly NamedTest[];
  /** Why no row of the suite has it, where none has; what of it is left out, where one has. */
  readonly why?: string;
}

const proxy = (file: string, name: string): NamedTest => ({ file: `agent/proxy/${file}`, name });
const cni = (file: string, name: string): NamedTest => ({ file: `cni-plugins/${file}`, name });
const network = (file: string, name: string): NamedTest => ({ file: `agent/network/${file}`, name });
const slices = (name: string): NamedTest => ({
  file: 'control-plane/controllers/endpointslice/plan.test.ts',
  name,
});
const cluster = (file: string, name: string): NamedTest => ({ file: `test/cluster/${file}`, name });
const service = (...fields: readonly string[]): readonly string[] =>
  fields.map((field) => `ServiceSpec.${field}`);

const below = 'it is below Services: the same whatever the mode';
const names = 'names alone, of which the proxy has nothing';

const services: Readonly<Record<string, Omit<Feature, 'of'>>> = {
  ClusterIP: { fields: [...service('type', 'clusterIP'), 'ServicePort.port', 'ServicePort.protocol'] },
  'host-network clients': {},
  SCTP: { why: 'raw packets of an association, as the kernels at hand have no sockets of SCTP' },
  'several ports': { fields: [...service('ports'), 'ServicePort.name'] },
  'one number of two protocols': {
    tests: [proxy('packets.test.ts', 'another protocol of the same port is another Service')],
  },
  'named targetPort': {
    fields: ['ServicePort.targetPort'],
    tests: [slices('planSlices() keeps apart pods whose named port is another number')],
  },
  appProtocol: {
    fields: ['ServicePort.appProtocol'],
    why: 'it is for those who read it: packets go as without',
  },
  'addresses of two families': {
    fields: service('clusterIPs', 'ipFamilies', 'ipFamilyPolicy'),
    tests: [
      cluster(
        'families.test.ts',
        'leads pods, nodes and others to Services by their addresses, ports of nodes and of pods',
      ),
    ],
  },
  headless: { tests: [proxy('service-map.test.ts', 'Services that are not ours get nothing')] },
  'names of headless Services and ExternalName': {
    fields: service('externalName'),
    tests: [
      {
        file: 'agent/dns/dns.kernel.test.ts',
        name: "['CNAME', 'out.default.svc.cluster.local', 'CNAME example.com']",
      },
      cluster('families.test.ts', 'names Services and endpoints in both, forwards and back'),
    ],
    why: names,
  },
  selector: {
    fields: service('selector', 'publishNotReadyAddresses'),
    tests: [slices('planSlices() publishes addresses that are not ready when asked')],
    why: 'the proxy goes by the slices that are made of it',
  },
  NodePort: { fields: ['ServicePort.nodePort'] },
  nodePortAddresses: { tests: [proxy('packets.test.ts', "'nodePortAddresses: %s'")] },
  'node ports at 127.0.0.1': {
    tests: [proxy('iptables/iptables.test.ts', 'node ports on loopback, of IPv4 alone')],
    why: 'nftables and userspace refuse there, as kube-proxy does in the former',
  },
  externalIPs: { fields: service('externalIPs') },
  'addresses of load balancers': {
    fields: [
      ...service('loadBalancerIP', 'loadBalancerClass', 'allocateLoadBalancerNodePorts'),
      'LoadBalancerIngress.ip',
    ],
    tests: [
      cluster(
        'proxy-modes.test.ts',
        'a LoadBalancer has an address of the pool, which the node, pods and 127.0.0.1 reach by iptables',
      ),
      cluster('load-balancer.test.ts', 'announced addresses'),
    ],
  },
  ipMode: {
    fields: ['LoadBalancerIngress.ipMode', 'LoadBalancerIngress.hostname', 'LoadBalancerIngress.ports'],
    tests: [proxy('packets.test.ts', "'load balancer of mode Proxy'")],
  },
  loadBalancerSourceRanges: {
    fields: service('loadBalancerSourceRanges'),
    tests: [proxy('packets.test.ts', "'node in no range, by the address'")],
  },
  sessionAffinity: { fields: service('sessionAffinity') },
  'time of sessionAffinity': {
    fields: [
      ...service('sessionAffinityConfig'),
      'SessionAffinityConfig.clientIP',
      'ClientIPConfig.timeoutSeconds',
    ],
  },
  internalTrafficPolicy: { fields: service('internalTrafficPolicy') },
  externalTrafficPolicy: { fields: service('externalTrafficPolicy') },
  'externalTrafficPolicy Local from within': {
    tests: [proxy('packets.test.ts', "'NodePort Local, none here'")],
  },
  'backends that end': {
    fields: ['EndpointConditions.serving', 'EndpointConditions.terminating'],
    tests: [cluster('rolling/rolling.test.ts', 'have UDP flows leave an endpoint that is gone')],
  },
  readiness: { fields: ['EndpointConditions.ready'] },
  'backends of a node that is gone': {
    tests: [
      {
        file: 'control-plane/controllers/node-lifecycle/zones.test.ts',
        name: 'loses pods of a silent zone node by node, none of one that is partly silent, and none where all are',
      },
    ],
  },
  healthCheckNodePort: {
    fields: service('healthCheckNodePort'),
    tests: [
      cluster('services.test.ts', 'tells load balancers which nodes have endpoints, on a port that stays'),
    ],
  },
  trafficDistribution: {
    fields: [...service('trafficDistribution'), 'EndpointHints.forNodes', 'EndpointHints.forZones'],
    tests: [
      proxy('packets.test.ts', "'hints for the node, and for its zone'"),
      cluster('services.test.ts', 'prefers endpoints of its zone where trafficDistribution says so'),
    ],
  },
  'refusal without endpoints': { tests: [proxy('packets.test.ts', "'NodePort, no endpoints'")] },
  hairpin: {},
  'host-network backends': {
    why: 'by UDP only where the server listens at the address of the node (kubernetes#95565)',
  },
  masquerade: {
    tests: [
      proxy(
        'packets.test.ts',
        'masqueradeAll: whoever sends to a Service comes with the address of the node',
      ),
    ],
  },
  'flows of UDP': { tests: [proxy('stale-flows.test.ts', 'the last backend goes')] },
  'segments out of a window': {
    tests: [proxy('iptables/iptables.test.ts', 'the rules of a Service of each kind')],
    why: 'iptables drops what connection tracking does not know, as kube-proxy does by that mode alone; userspace ends connections itself',
  },
  'rules of others': {
    tests: [
      proxy(
        'proxy.linux.test.ts',
        'a Service answers all the time, other rules stay, and none of ours is left',
      ),
    ],
  },
  'service-proxy-name': {},
  'healthz and livez': { tests: [proxy('health-answers.test.ts', 'answerNodeCheck()')] },
  metrics: {
    tests: [proxy('status/proxy-status.test.ts', 'counts what happened')],
    why: 'what happened is counted before any mode is asked',
  },
  'share of each backend': { tests: [proxy('userspace/userspace.test.ts', 'in turn')] },
  'fifty endpoints': { tests: [proxy('ruleset.test.ts', 'each of %i backends has the same share')] },
  '5,000 Services of 50': {
    tests: [{ file: 'test/bench/rows/service-sizes.ts', name: "name: 'service-sizes'" }],
    why: 'measured, not asserted',
  },
};

const pods: Readonly<Record<string, Omit<Feature, 'of'>>> = {
  'CNI: ADD, DEL, CHECK, GC, STATUS': {
    tests: [
      cni(
        'plugins.linux.test.ts',
        'ADD gives what CHECK wants and what a packet needs; DEL twice leaves nothing',
      ),
      cni('plugins.linux.test.ts', 'DEL without a namespace frees the address'),
      cni('plugins.linux.test.ts', 'CHECK fails when somebody took the route or the address away'),
      cni('plugins.linux.test.ts', 'GC frees what is in no list, STATUS says when a range is full'),
    ],
    why: below,
  },
  'CNI: cached results, chains, capabilities': {
    tests: [
      network(
        'cni-pod-network.test.ts',
        'DEL goes backwards with what ADD returned, even when the configuration is gone',
      ),
      network(
        'cni-pod-network.test.ts',
        'a chain that fails is taken down whole, and a later ADD starts anew',
      ),
      network('cni-pod-network.test.ts', "a pod's bandwidth is the capability of the plugin that has it"),
    ],
    why: below,
  },
  'CNI: plugins': {
    tests: [
      cni('kinds.linux.test.ts', 'plugins that make an interface (needs root)'),
      cni('kinds.linux.test.ts', 'plugins that come after'),
      cni('failures.test.ts', 'ADD fails at each step, and leaves nothing'),
    ],
    why: below,
  },
  'fabric: host-gw': {
    tests: [
      network('fabric/fabric.kernel.test.ts', 'follows nodes and brings routes back that somebody removed'),
    ],
    why: below,
  },
  'fabric: addresses of a node that is gone': {
    tests: [
      network(
        'fabric/fabric.kernel.test.ts',
        'refuses what is for a node that is gone, in place of the route',
      ),
      network(
        'fabric/fabric.kernel.test.ts',
        'Refused at once, rather than sent to whoever is behind the default route.',
      ),
      network('fabric/paths.test.ts', 'takes away what a node that is gone has left (calico#7281)'),
      {
        file: 'control-plane/controllers/cluster.test.ts',
        name: 'a silent node is marked, tainted and emptied; pods move to the other',
      },
    ],
    why: below,
  },
  'fabric: two families, no wait for duplicate addresses': {
    tests: [
      cluster('families.test.ts', 'leads pods to pods of the other node by TCP and UDP, as who they are'),
    ],
    why: below,
  },
  'the way out of the cluster': {
    tests: [
      cluster('nat.test.ts', 'pods reach by %s what the machine reaches, with its address'),
      cluster('way-out.test.ts', 'so they do by datagrams, of both families'),
    ],
    why: 'what no Service has is none of the proxy’s',
  },
  'fabric: vxlan and udp': {
    tests: [
      network(
        'fabric/fabric.linux.test.ts',
        '$kind: taken up host by host, cut off and back, through a reboot, and given up again',
      ),
      network('fabric/fabric.linux.test.ts', 'vxlan comes back when somebody takes or bends a part of it'),
    ],
    why: below,
  },
  'fabric: wireguard': {
    tests: [
      network(
        'fabric/wireguard.kernel.test.ts',
        'the tunnel makes its device, keeps it so, and does nothing twice',
      ),
    ],
    why: 'the kernels at hand have none: no packet went through it',
  },
  'NetworkPolicy, from a first packet on': {
    tests: [
      network(
        'policy/policies.linux.test.ts',
        'let through what they allow, by protocol and port, and the node always',
      ),
      cluster('network-policy.test.ts', 'NetworkPolicies on podwright up'),
    ],
    why: 'after translation: whatever the mode, but by userspace the client is the node, which the agent says at its start',
  },
  'policies of the cluster': {
    tests: [
      network(
        'policy/policies.linux.test.ts',
        'of the cluster decide before them, reach to the node, and cut what they come to forbid',
      ),
    ],
    why: 'as NetworkPolicy',
  },
  bandwidth: {
    tests: [
      cni('kinds.linux.test.ts', 'bandwidth bounds both directions on the host, and DEL takes its link away'),
    ],
    why: below,
  },
  'ways from pod to pod that are shorter': {
    tests: [
      network(
        'fast-path/redirects.linux.test.ts',
        'a connection of %s that is translated never passes by, whatever others do',
      ),
    ],
    why: 'of what no Service translates',
  },
  'what a packet meets, told': {
    tests: [cluster('trace.test.ts', 'names what is wrong, and nothing else')],
    why: 'any mode, family and fabric by PODWRIGHT_TRACE',
  },
  hostPort: {
    tests: [cni('portmap/loopback.linux.test.ts', 'host ports on loopback (needs root, nft, nsenter)')],
    why: 'rules of the plugin, before those of any mode',
  },
};

/** By name, in the order in which they are printed. */
export const features: ReadonlyMap<string, Feature> = new Map([
  ...Object.entries(services).map(([name, each]): [string, Feature] => [name, { of: 'Services', ...each }]),
  ...Object.entries(pods).map(([name, each]): [string, Feature] => [name, { of: 'pods', ...each }]),
]);
