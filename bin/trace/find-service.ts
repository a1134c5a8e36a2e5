import { computeProxyPorts, type Backend, type ProxyPort } from '#agent/proxy/service-map.ts';
import { internalIpsOf } from '#agent/network/fabric/fabric-plan.ts';
import { canonicalIpText, cidrContains, familyOfIp, parseCidr, parseIp } from '#base/ip.ts';
import { belongsInEndpoints } from '#api/pod/state.ts';
import { labelSelectorFromMap, matchesLabels } from '#api/meta/selector.ts';
import { zoneOf } from '#api/meta/zone.ts';
import { versionOf } from '#client/resource-version.ts';
import type { Endpoint, EndpointSlice, Node, Pod, Service, ServicePort } from '#api/generated/objects.ts';
import { hasFamily, isSliceOf } from './find-name.ts';
import { findPodFault } from './find-pod-fault.ts';
import {
  factsOf,
  hop,
  nameOf,
  stop,
  warn,
  type Finding,
  type Hop,
  type Observed,
  type Question,
} from './observed.ts';
import { familyMismatch, senderAddresses } from './party.ts';

/** An address and port that a packet is sent on to. */
export interface Destination {
  readonly ip: string;
  readonly port: number;
  readonly nodeName: string | undefined;
}

/** How the packet comes to the Service. */
export interface Entry {
  /** Which of its addresses; undefined: the first that the sender has the family of. */
  readonly address: string | undefined;
  readonly as: 'clusterIP' | 'external' | 'nodePort';
  /** Whose rules it meets; undefined: those of any node. */
  readonly node: string | undefined;
}

export interface FoundService {
  readonly hops: readonly Hop[];
  readonly destinations: readonly Destination[];
}

const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** Where a Service sends a packet, and why nowhere. Pure. */
export function findService(
  service: Service,
  entry: Entry,
  question: Question,
  seen: Observed,
): FoundService {
  const at = `Service ${nameOf(service)}`;
  const port = findPort(service, entry, question);
  if ('code' in port) return { hops: [hop(at, describeAddresses(service), port)], destinations: [] };
  const family = familyFor(service, entry, question);
  if (typeof family === 'object')
    return { hops: [hop(at, describeAddresses(service), family)], destinations: [] };
  const node = seen.nodes.find(({ metadata }) => metadata?.name === entry.node);
  const slices = seen.endpointSlices.filter((slice) => isSliceOf(slice, service));
  const ruled = computeProxyPorts(service, slices, proxyNode(node), family === 4 ? 'ip' : 'ip6').find(
    (one) => one.id.endsWith(`:${port.name ?? ''}`) && one.protocol === protocolNumbers[question.protocol],
  );
  const says = `${port.port}/${question.protocol} of ${describeAddresses(service)}`;
  const door = doorFindings(service, entry, question, seen);
  if (ruled === undefined) return { hops: [hop(at, says, ...door, otherProxy(service))], destinations: [] };
  const chosen = choose(ruled, service, entry, question);
  const destinations = chosen.map(({ ip, port: number }) => ({
    ip,
    port: number,
    nodeName: nodeOf(ip, slices),
  }));
  const findings =
    chosen.length > 0
      ? chosenFindings(service, slices, chosen, seen)
      : [
          ruled.backends.length > 0
            ? notLocal(service, entry, ruled)
            : whyNone({ service, port, family }, slices, seen),
        ];
  return {
    hops: [hop(at, says, ...door, ...findings), ...ruleHops(entry, slices, seen)],
    destinations: door.some((one) => one?.stops === true) ? [] : destinations,
  };
}

function proxyNode(node: Node | undefined): Parameters<typeof computeProxyPorts>[2] {
  return {
    name: node?.metadata?.name ?? '',
    zone: zoneOf(node),
    ips: node === undefined ? [] : internalIpsOf(node),
  };
}

function describeAddresses({ spec, status }: Service): string {
  const { clusterIP = '', clusterIPs = [clusterIP], externalIPs = [], type = 'ClusterIP' } = spec ?? {};
  const ingress = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  return `${type} ${[...clusterIPs, ...externalIPs, ...ingress].filter((one) => one !== '').join(', ')}`;
}

function findPort(service: Service, { as }: Entry, { port, protocol }: Question): ServicePort | Finding {
  const ports = service.spec?.ports ?? [];
  const numberOf = (one: ServicePort): number | undefined => (as === 'nodePort' ? one.nodePort : one.port);
  const asked = ports.filter(
    (one) => port === undefined || String(numberOf(one)) === port || one.name === port,
  );
  const own = asked.find((one) => (one.protocol ?? 'TCP') === protocol);
  if (own !== undefined) return own;
  const list = ports.map((one) => `${String(numberOf(one))}/${one.protocol ?? 'TCP'}`).join(', ');
  const [other] = asked;
  if (other !== undefined && port !== undefined) {
    const says = `port ${port} of Service ${nameOf(service)} is of ${other.protocol ?? 'TCP'}, not of ${protocol}`;
    return stop(
      'service-other-protocol',
      says,
      `ask by ${other.protocol ?? 'TCP'}, or add a port with protocol: ${protocol}`,
    );
  }
  const says = `Service ${nameOf(service)} has no port ${port ?? ''} of ${protocol}; it has ${list === '' ? 'none' : list}`;
  return stop('service-lacks-port', says, 'ask for one of those, or add it to spec.ports');
}

/** The family of the packet; a finding where sender and Service have none in common. */
function familyFor(service: Service, { address, as }: Entry, { from }: Question): 4 | 6 | Finding {
  if (address !== undefined) return familyOfIp(address) ?? 4;
  const { clusterIP = '', clusterIPs = [clusterIP] } = service.spec ?? {};
  const own = clusterIPs.flatMap((ip) => familyOfIp(ip) ?? []);
  const known = senderAddresses(from).flatMap((ip) => familyOfIp(ip) ?? []);
  const family = own.find((one) => known.length === 0 || known.includes(one));
  if (family !== undefined) return family;
  if (as === 'nodePort' && own[0] !== undefined) return own[0];
  return familyMismatch(from, `Service ${nameOf(service)}`, clusterIPs);
}

/** By policy and place. */
function choose(
  ruled: ProxyPort,
  service: Service,
  { as, node }: Entry,
  { from }: Question,
): readonly Backend[] {
  if (as === 'clusterIP') return ruled.isInternalLocal ? ruled.localBackends : ruled.backends;
  if (service.spec?.externalTrafficPolicy !== 'Local' || node === undefined) return ruled.backends;
  if (from.kind === 'outside') return ruled.localBackends;
  // From within the cluster all serve, whatever the policy for packets from outside; to pods by a node port those of that node first.
  const isNear = as === 'nodePort' && from.kind === 'pod' && ruled.localBackends.length > 0;
  return isNear ? ruled.localBackends : ruled.backends;
}

function notLocal(service: Service, { as, node }: Entry, { backends }: ProxyPort): Finding {
  const field = as === 'clusterIP' ? 'internalTrafficPolicy' : 'externalTrafficPolicy';
  const says = `${field} of Service ${nameOf(service)} is Local, and node ${node ?? ''} has none of its ${backends.length} ready endpoints`;
  return stop('no-local-endpoint', says, `a pod on that node, or ${field}: Cluster`);
}

function otherProxy(service: Service): Finding | undefined {
  const name = service.metadata?.labels?.['service.kubernetes.io/service-proxy-name'];
  return stop(
    'other-proxy',
    `nodes make no rules for Service ${nameOf(service)}${name === undefined ? '' : `: its label service-proxy-name leaves it to ${name}`}`,
    'see to that proxy, or remove the label service.kubernetes.io/service-proxy-name',
  );
}

/** What is asked before any endpoint is chosen. */
function doorFindings(
  service: Service,
  { as, node }: Entry,
  { from }: Question,
  seen: Observed,
): readonly (Finding | undefined)[] {
  const { spec, status } = service;
  const isPending =
    as === 'external' && spec?.type === 'LoadBalancer' && (status?.loadBalancer?.ingress ?? []).length === 0;
  const isEverywhere =
    as !== 'clusterIP' &&
    from.kind === 'outside' &&
    spec?.externalTrafficPolicy === 'Local' &&
    node === undefined;
  return [
    isPending && (spec?.externalIPs ?? []).length === 0
      ? stop(
          'load-balancer-pending',
          `Service ${nameOf(service)} is a LoadBalancer to which nobody has given an address`,
          'run a controller that gives them, write status.loadBalancer, or come by a node port',
        )
      : undefined,
    as === 'external'
      ? rangeFinding(service, from.kind === 'outside' ? from.address : senderAddresses(from)[0])
      : undefined,
    isEverywhere ? someNodes(service, seen) : undefined,
  ];
}

function rangeFinding(service: Service, source: string | undefined): Finding | undefined {
  const ranges = service.spec?.loadBalancerSourceRanges ?? [];
  const ip = source === undefined ? undefined : parseIp(source);
  if (ranges.length === 0) return undefined;
  const isIn = ranges.some((text) => {
    const cidr = parseCidr(text);
    return cidr !== undefined && ip !== undefined && cidrContains(cidr, ip);
  });
  if (isIn) return undefined;
  const says = `loadBalancerSourceRanges of Service ${nameOf(service)} (${ranges.join(', ')}) ${ip === undefined ? 'lets in some only' : `does not let in ${source ?? ''}`}`;
  const remedy =
    ip === undefined
      ? 'trace from outside/ADDRESS'
      : `add ${source ?? ''}/${ip.family === 6 ? 128 : 32} to them`;
  return (ip === undefined ? warn : stop)('source-not-in-ranges', says, remedy);
}

function someNodes(service: Service, seen: Observed): Finding | undefined {
  const slices = seen.endpointSlices.filter((slice) => isSliceOf(slice, service));
  const having = new Set(
    slices.flatMap(({ endpoints = [] }) => endpoints.filter(isReady).map(({ nodeName }) => nodeName)),
  );
  const lacking = seen.nodes.flatMap(({ metadata }) =>
    having.has(metadata?.name) ? [] : (metadata?.name ?? []),
  );
  if (lacking.length === 0) return undefined;
  const says = `externalTrafficPolicy of Service ${nameOf(service)} is Local: what comes to node ${lacking.slice(0, 5).join(', ')} is dropped`;
  return warn(
    'no-local-endpoint-everywhere',
    says,
    'a load balancer has to ask healthCheckNodePort; or externalTrafficPolicy: Cluster',
  );
}

const isReady = ({ conditions }: Endpoint): boolean => conditions?.ready !== false;

function nodeOf(ip: string, slices: readonly EndpointSlice[]): string | undefined {
  return endpointOf(ip, slices)?.nodeName;
}

function endpointOf(ip: string, slices: readonly EndpointSlice[]): Endpoint | undefined {
  return slices
    .flatMap(({ endpoints = [] }) => endpoints)
    .find(({ addresses }) => addresses.some((text) => canonicalIpText(text) === ip));
}

/** Of endpoints that are sent to, though they may not answer. */
function chosenFindings(
  service: Service,
  slices: readonly EndpointSlice[],
  chosen: readonly Backend[],
  seen: Observed,
): readonly (Finding | undefined)[] {
  const endpoints = chosen.flatMap(({ ip }) => endpointOf(ip, slices) ?? []);
  const isEnding =
    endpoints.length > 0 &&
    endpoints.every(({ conditions }) => conditions?.terminating === true && conditions.ready === false);
  const unready = endpoints.filter(
    ({ conditions }) => conditions?.ready === true && conditions.serving === false,
  );
  const dead = endpoints.filter(({ nodeName }) => nodeName !== undefined && !isNodeReady(nodeName, seen));
  return [
    isEnding
      ? warn(
          'terminating-only',
          `all endpoints of Service ${nameOf(service)} are being deleted; they serve as long as they can`,
          'see why no new pod is ready: kubectl get pods',
        )
      : undefined,
    unready.length > 0 && service.spec?.publishNotReadyAddresses === true
      ? warn(
          'publishes-not-ready',
          `publishNotReadyAddresses: ${unready.length} of ${chosen.length} endpoints are sent to though they are not ready`,
          'publishNotReadyAddresses: false',
        )
      : undefined,
    dead.length > 0 && service.spec?.sessionAffinity === 'ClientIP'
      ? warn(
          'affinity-to-dead-endpoint',
          `sessionAffinity ClientIP: clients of ${dead.flatMap(({ addresses }) => addresses).join(', ')} stay with it, and its node ${dead[0]?.nodeName ?? ''} is not Ready`,
          'sessionAffinity: None, a shorter timeoutSeconds, or bring the node back',
        )
      : undefined,
  ];
}

export function isNodeReady(name: string, { nodes }: Observed): boolean {
  const node = nodes.find(({ metadata }) => metadata?.name === name);
  return node?.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
}

interface Asked {
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: 4 | 6;
}

/** Why a Service has no endpoint that serves. */
function whyNone(
  { service, port, family }: Asked,
  slices: readonly EndpointSlice[],
  seen: Observed,
): Finding {
  const name = nameOf(service);
  const selector = service.spec?.selector ?? {};
  if (Object.keys(selector).length === 0) {
    const says = `Service ${name} has no selector, and nobody wrote EndpointSlices for it${slices.length === 0 ? '' : ' with an endpoint that is ready'}`;
    return stop(
      'no-endpoints-written',
      says,
      'give it a selector, or write EndpointSlices with label kubernetes.io/service-name',
    );
  }
  const matcher = labelSelectorFromMap(selector);
  const near = seen.pods.filter(({ metadata }) => metadata?.namespace === service.metadata?.namespace);
  const pods = near.filter(({ metadata }) => matchesLabels(matcher, metadata?.labels));
  const text = Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  if (pods.length === 0) {
    const like =
      near.find(({ metadata }) =>
        Object.entries(selector).some(
          ([key, value]) => metadata?.labels?.[key] === value || value === metadata?.labels?.['app'],
        ),
      ) ?? near[0];
    const labels = Object.entries(like?.metadata?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    const hint =
      like === undefined
        ? 'there are no pods in its namespace'
        : `pod ${nameOf(like)} has ${labels.length === 0 ? 'no labels' : labels.join(',')}`;
    return stop(
      'selector-matches-nothing',
      `the selector of Service ${name} (${text}) matches no pod; ${hint}`,
      'kubectl get pods --show-labels, and mend spec.selector',
    );
  }
  const lively = pods.filter(belongsInEndpoints);
  if (lively.length > 0 && lively.every((pod) => !hasFamily(pod, family)))
    return stop(
      'family-mismatch',
      `the pods of Service ${name} have no address of IPv${family}`,
      'ipFamilies of the Service as those of the pods',
    );
  if (typeof port.targetPort === 'string' && lively.every((pod) => !namesPort(pod, port)))
    return stop(
      'named-port-missing',
      `targetPort ${port.targetPort} of Service ${name} is the name of no ${port.protocol ?? 'TCP'} port of its pods; they have ${portNames(lively)}`,
      'name the port in spec.containers[].ports, or write its number as targetPort',
    );
  const faults = pods.flatMap((pod) => findPodFault(pod) ?? []);
  const [fault] = faults;
  if (fault !== undefined)
    return {
      ...fault,
      says: faults.length === 1 ? fault.says : `none of ${pods.length} pods is ready; ${fault.says}`,
    };
  return stop(
    'no-endpoints-written',
    `its ${pods.length} pods are ready, and no EndpointSlice of Service ${name} says so`,
    'see whether the controllers run: kubectl get leases -n kube-system',
  );
}

function portNames(pods: readonly Pod[]): string {
  const names = pods.flatMap(({ spec }) =>
    (spec?.containers ?? []).flatMap(({ ports = [] }) => ports.flatMap((one) => one.name ?? [])),
  );
  return names.length === 0 ? 'no named ports' : [...new Set(names)].join(', ');
}

function namesPort({ spec }: Pod, { targetPort, protocol = 'TCP' }: ServicePort): boolean {
  const containers = [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always'),
  ];
  return containers.some(({ ports = [] }) =>
    ports.some((one) => one.name === targetPort && (one.protocol ?? 'TCP') === protocol),
  );
}

/** Whether the rules of the node that the packet meets first are those that the API wants. */
function ruleHops({ node }: Entry, slices: readonly EndpointSlice[], seen: Observed): readonly Hop[] {
  const facts = factsOf(seen, node);
  if (facts === undefined) return [];
  const broken = facts.tables.find((table) => table.rulesFound !== table.rulesWanted);
  const newest = Math.max(0, ...slices.map(versionOf));
  return [
    hop(
      `Service rules of node ${facts.node}`,
      `EndpointSlices up to revision ${facts.appliedRevision}`,
      broken === undefined
        ? undefined
        : stop(
            'rules-removed',
            `table ${broken.family} ${broken.name} has ${broken.rulesFound} rules, not ${broken.rulesWanted}: somebody removes them`,
            'see who flushes rules (nft monitor); they are made again within a second',
          ),
      facts.appliedRevision >= newest
        ? undefined
        : warn(
            'rules-behind',
            `the newest EndpointSlice of the Service (revision ${newest}) is not in the rules yet`,
            "see the agent's log: Service rules not as wanted",
          ),
    ),
  ];
}
