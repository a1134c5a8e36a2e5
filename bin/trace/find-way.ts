import type { Listener, NetworkFacts, TransportProtocol } from '#agent/network/facts/network-facts.ts';
import { internalIpsOf, podCidrsOf } from '#agent/network/fabric/fabric-plan.ts';
import { tunnelMtu } from '#agent/network/fabric/tunnel.ts';
import { cidrContains, familyOfIp, parseCidr, parseIp } from '#base/ip.ts';
import type { Pod } from '#api/generated/objects.ts';
import { findPodFault } from './find-pod-fault.ts';
import { findForbidding, findUnseen } from './find-policy.ts';
import { findTunnelFault, tunnelKinds, whyNoRoute } from './find-tunnel.ts';
import { isNodeReady, type Destination } from './find-service.ts';
import {
  factsOf,
  hop,
  isStopped,
  nameOf,
  stop,
  warn,
  type Finding,
  type Hop,
  type Observed,
  type Question,
  type Sender,
  type Talk,
  type Way,
} from './observed.ts';
import { podOfAddress, senderAddresses, senderNode } from './party.ts';

/** What a packet meets from where its destination is settled. */
export interface Leg {
  readonly question: Question;
  readonly destination: Destination;
  /** The node whose rules it meets first, where it comes from outside. */
  readonly entry: string | undefined;
  /** The Service's port, where a name led to the pod itself. */
  readonly headlessPort?: number | undefined;
  /** A Service's rules led it there; `masquerade`: and give it the node's address where it goes to another node. */
  readonly via?: 'rules' | 'masquerade' | undefined;
  /** Who asked, where somebody else connects for it. */
  readonly client?: Sender;
}

/** From the sender, or the node where it comes in, to the socket. Pure. */
export function findWay(leg: Leg, seen: Observed): Way {
  const { destination } = leg;
  const pod = podOfAddress(destination.ip, seen);
  const last = destination.nodeName ?? pod?.spec?.nodeName;
  const first = senderNode(leg.question.from) ?? leg.entry;
  const forwarder = forwarderOf(leg, first, seen);
  const hops =
    forwarder === undefined
      ? [...senderHops(leg.question, talkOf(leg), seen), ...restOf(leg, { pod, first, last }, seen)]
      : forwardedHops(leg, forwarder, { pod, first, last }, seen);
  const to = `${destination.ip.includes(':') ? `[${destination.ip}]` : destination.ip}:${destination.port}${pod === undefined ? '' : ` (pod ${nameOf(pod)})`}`;
  return { to, hops, arrives: !isStopped(hops) };
}

/** Where it goes: the pod, if it is one's, and the nodes on its way. */
interface Course {
  readonly pod: Pod | undefined;
  readonly first: string | undefined;
  readonly last: string | undefined;
}

function talkOf({ question, destination: { ip: target, port } }: Leg): Talk {
  return { source: sourceFor(question, target), target, port, protocol: question.protocol };
}

function restOf(leg: Leg, { pod, first, last }: Course, seen: Observed): readonly Hop[] {
  const talk = talkOf(leg);
  const node = seen.nodes.find(({ metadata }) => metadata?.name === first);
  const isMasked = leg.via === 'masquerade' && node !== undefined && first !== last;
  const masked = isMasked ? sourceFor({ from: { kind: 'node', node } }, talk.target) : undefined;
  return [
    ...nodeHops(first, seen),
    ...linkHops({ first, last, ip: talk.target }, { leg, seen }),
    ...targetNodeHops(last, first, seen),
    ...podHops(pod, { ...talk, source: masked ?? talk.source }, { leg, seen }),
    ...(masked === undefined ? backHops({ first: last, last: first, ip: talk.source }, { leg, seen }) : []),
  ];
}

/** The node that ends the connection and makes another to the endpoint; none where rules lead packets there. */
function forwarderOf(
  { via, question: { protocol } }: Leg,
  first: string | undefined,
  seen: Observed,
): Sender | undefined {
  const isUserspace = factsOf(seen, first)?.proxyMode === 'userspace' && protocol !== 'SCTP';
  const node = seen.nodes.find(({ metadata }) => metadata?.name === first);
  return via === undefined || !isUserspace || node === undefined ? undefined : { kind: 'node', node };
}

function forwardedHops(leg: Leg, forwarder: Sender, course: Course, seen: Observed): readonly Hop[] {
  const { question, destination } = leg;
  const [source, target] = [question, { from: forwarder }].map((side) => sourceFor(side, destination.ip));
  // A port of the node that it gave itself, by which no rule can mean it.
  const talk = { source, target: target ?? '', port: 0, protocol: question.protocol };
  const rest = {
    question: { ...question, from: forwarder },
    destination,
    entry: leg.entry,
    client: question.from,
  };
  return [
    ...senderHops(question, talk, seen),
    hop(`node ${course.first ?? ''}`, 'takes it, and connects to the endpoint itself (proxy mode userspace)'),
    ...restOf(rest, course, seen),
  ];
}

function sourceFor({ from }: Pick<Question, 'from'>, target: string): string | undefined {
  return senderAddresses(from).find((ip) => familyOfIp(ip) === familyOfIp(target));
}

function senderHops({ from }: Question, talk: Talk, seen: Observed): readonly Hop[] {
  if (from.kind !== 'pod') return [];
  const { pod } = from;
  const forbidden = findForbidding(pod, { direction: 'out', talk }, seen);
  return [hop(`pod ${nameOf(pod)}`, `sends from ${talk.source ?? 'no address'}`, forbidden)];
}

/** What a node needs to pass packets on. */
function nodeHops(name: string | undefined, seen: Observed): readonly Hop[] {
  if (name === undefined) return [];
  const silence = seen.facts.get(name);
  const problem = silence !== undefined && 'problem' in silence ? silence.problem : undefined;
  const at = `node ${name}`;
  if (problem !== undefined)
    return [
      hop(
        at,
        'not looked at',
        warn(
          'node-silent',
          `node ${name} did not say what it sees: ${problem}`,
          'see whether its agent runs and its port 10250 is reached',
        ),
      ),
    ];
  const facts = factsOf(seen, name);
  if (facts === undefined) return [];
  return [hop(at, 'passes it on', ...conntrackFinding(facts))];
}

const nearlyFull = 0.9;

function conntrackFinding({ conntrack, node }: NetworkFacts): readonly Finding[] {
  if (conntrack === undefined) return [];
  const { count, max } = conntrack;
  const remedy = 'raise net.netfilter.nf_conntrack_max, or find who opens so many connections';
  if (count >= max)
    return [
      stop(
        'conntrack-full',
        `node ${node} tracks ${count} connections of ${max}: new ones are dropped`,
        remedy,
      ),
    ];
  if (count >= max * nearlyFull)
    return [warn('conntrack-nearly-full', `node ${node} tracks ${count} connections of ${max}`, remedy)];
  return [];
}

interface Between {
  readonly first: string | undefined;
  readonly last: string | undefined;
  readonly ip: string;
}

/** The same for what comes back, told where it does not. */
function backHops(
  { ip, ...between }: Omit<Between, 'ip'> & { readonly ip: string | undefined },
  { leg, seen }: { readonly leg: Leg; readonly seen: Observed },
): readonly Hop[] {
  const { first, last } = between;
  if (ip === undefined || first === last || leg.question.from.kind !== 'pod') return [];
  return linkHops({ ...between, ip }, { leg, seen })
    .map(({ at, says, findings }) => hop(`back ${at}`, says, ...findings.filter(({ stops }) => stops)))
    .filter(({ findings }) => findings.length > 0);
}

/** From node to node, or from a node to its own pod. */
function linkHops(
  { first, last, ip }: Between,
  { leg, seen }: { readonly leg: Leg; readonly seen: Observed },
): readonly Hop[] {
  const facts = factsOf(seen, first);
  const family = familyOfIp(ip) ?? 4;
  const isHost = seen.nodes.some((node) => internalIpsOf(node).includes(ip));
  if (facts === undefined || isHost) return [];
  const route = routeTo(ip, facts);
  const at = `from node ${facts.node}${first === last ? ' to its pod' : ` to ${last === undefined ? ip : `node ${last}`}`}`;
  const says =
    route === undefined
      ? 'no route'
      : `route ${route.isUnreachable === true ? 'unreachable ' : ''}${route.destination}${route.gateway === undefined ? '' : ` via ${route.gateway}`}${route.link === undefined ? '' : ` dev ${route.link}`}`;
  const forwards = facts.isForwarding[family] || leg.question.from.kind === 'node';
  const findings = [
    forwards
      ? undefined
      : stop(
          'not-forwarding',
          `node ${facts.node} passes no packets of IPv${family} on`,
          `sysctl -w ${family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding'}=1; see who turned it off`,
        ),
    routeFinding(route, { facts, first, last, ip }, seen),
    linkFinding(route, { facts, first, last, ip }, seen),
    mtuFinding(route, { facts, first, last, ip }, leg, seen),
  ];
  return [hop(at, says, ...findings)];
}

type Route = NetworkFacts['routes'][number];

/** The longest prefix that has the address. */
export function routeTo(ip: string, { routes }: NetworkFacts): Route | undefined {
  const address = parseIp(ip);
  if (address === undefined) return undefined;
  const fitting = routes.flatMap((route) => {
    if (route.destination === 'default') {
      const isSame = route.gateway === undefined || familyOfIp(route.gateway) === address.family;
      return isSame ? [{ route, prefix: -1 }] : [];
    }
    const cidr = parseCidr(route.destination);
    return cidr !== undefined && cidrContains(cidr, address) ? [{ route, prefix: cidr.prefix }] : [];
  });
  return fitting.toSorted((a, b) => b.prefix - a.prefix)[0]?.route;
}

interface RouteView {
  readonly facts: NetworkFacts;
  readonly first: string | undefined;
  readonly last: string | undefined;
  readonly ip: string;
}

function routeFinding(
  route: Route | undefined,
  { facts, first, last, ip }: RouteView,
  seen: Observed,
): Finding | undefined {
  const node = seen.nodes.find(({ metadata }) => metadata?.name === last);
  if (node === undefined) return undefined;
  const isNear = first === last;
  const isLost = route === undefined || route.destination === 'default' || route.isUnreachable === true;
  if (isLost) {
    const what = isNear ? `pod ${ip}` : `node ${last ?? ''} (${podCidrsOf(node).join(', ')})`;
    const why = isNear ? undefined : whyNoRoute(facts.node, node, seen);
    if (why !== undefined) return why;
    const remedy = isNear
      ? 'the pod has lost its interface: delete it'
      : `see the log of node ${facts.node}, which keeps routes of protocol 112 by Node objects`;
    return stop(
      'route-missing',
      `node ${facts.node} has no route to ${what}${route?.destination === 'default' ? ': the packet leaves by the default route' : ''}`,
      remedy,
    );
  }
  const link = facts.links.find(({ name }) => name === route.link);
  const tunnel = tunnelKinds.get(link?.kind ?? '');
  if (tunnel !== undefined) return findTunnelFault(tunnel, { route, facts, node, ip }, seen);
  if (isNear || route.gateway === undefined || internalIpsOf(node).includes(route.gateway)) return undefined;
  const says = `node ${facts.node} sends ${route.destination} to ${route.gateway}, and node ${last ?? ''} is ${internalIpsOf(node).join(', ')}`;
  return stop(
    'route-elsewhere',
    says,
    `ip route del ${route.destination} via ${route.gateway} on node ${facts.node}; the agent makes the right one`,
  );
}

/** Of the route's own interface, and of that by which a tunnel goes. */
function linkFinding(
  route: Route | undefined,
  { facts, last }: RouteView,
  seen: Observed,
): Finding | undefined {
  const links = [route?.link, outerLink(route, { facts, last }, seen)?.name];
  const down = facts.links.find(({ name, isUp }) => !isUp && links.includes(name));
  if (down === undefined) return undefined;
  return stop(
    'link-down',
    `interface ${down.name} of node ${facts.node} is down`,
    `ip link set ${down.name} up`,
  );
}

/** By which packets of a tunnel leave; undefined: the route is to none. */
function outerLink(
  route: Route | undefined,
  { facts, last }: Pick<RouteView, 'facts' | 'last'>,
  seen: Observed,
): NetworkFacts['links'][number] | undefined {
  const out = facts.links.find(({ name }) => name === route?.link);
  const node = seen.nodes.find(({ metadata }) => metadata?.name === last);
  if (!tunnelKinds.has(out?.kind ?? '') || node === undefined) return undefined;
  const [remote = ''] = internalIpsOf(node);
  return facts.links.find(({ name }) => name === routeTo(remote, facts)?.link);
}

/** Whether the largest packets of the pod go on as they are. */
function mtuFinding(
  route: Route | undefined,
  { facts, first, last }: RouteView,
  { question: { from } }: Leg,
  seen: Observed,
): Finding | undefined {
  const node = seen.nodes.find(({ metadata }) => metadata?.name === last);
  if (from.kind !== 'pod' || first === last || node === undefined) return undefined;
  const own = facts.pods
    .find(({ uid }) => uid === from.pod.metadata?.uid)
    ?.links.find(({ name }) => name !== 'lo');
  const out = facts.links.find(({ name }) => name === route?.link);
  if (own === undefined || out === undefined) return undefined;
  const [remote = ''] = internalIpsOf(node);
  const tunnel = tunnelKinds.get(out.kind ?? '');
  const outer = outerLink(route, { facts, last }, seen);
  const narrow =
    tunnel === undefined || outer === undefined
      ? { name: out.name, mtu: out.mtu }
      : [
          { name: out.name, mtu: out.mtu },
          {
            name: `${outer.name}, through ${out.name},`,
            mtu: tunnelMtu(tunnel, familyOfIp(remote) ?? 4, outer.mtu),
          },
        ].reduce((least, one) => (one.mtu < least.mtu ? one : least));
  if (own.mtu <= narrow.mtu) return undefined;
  const says = `${own.name} of pod ${nameOf(from.pod)} has MTU ${own.mtu}, and ${narrow.name} of node ${facts.node} takes only ${narrow.mtu}: small packets arrive, large ones may be lost`;
  return warn('mtu-too-large', says, `mtu ${narrow.mtu} in the CNI configuration, or more on ${out.name}`);
}

function targetNodeHops(name: string | undefined, first: string | undefined, seen: Observed): readonly Hop[] {
  if (name === undefined) return [];
  const ready = isNodeReady(name, seen)
    ? undefined
    : stop(
        'node-not-ready',
        `node ${name} is not Ready: it has ended, or is cut off`,
        `kubectl describe node ${name}; its pods are replaced after five minutes`,
      );
  if (first === name) return ready === undefined ? [] : [hop(`node ${name}`, 'is not Ready', ready)];
  const [own] = nodeHops(name, seen);
  const found = own === undefined ? [] : own.findings;
  return [hop(`node ${name}`, own?.says ?? 'takes it', ready, ...found)];
}

function podHops(
  pod: Pod | undefined,
  talk: Talk,
  { leg, seen }: { readonly leg: Leg; readonly seen: Observed },
): readonly Hop[] {
  const { ip, port } = leg.destination;
  if (pod === undefined) {
    const node = seen.nodes.find((each) => internalIpsOf(each).includes(ip));
    if (node !== undefined) return hostHops(nameOf(node), talk, seen);
    if (!isOfPods(ip, seen))
      return [hop(ip, 'is a host outside of the nodes: what is there this cannot see')];
    return [
      hop(
        ip,
        'no pod has this address',
        warn(
          'endpoint-of-no-pod',
          `no pod has the address ${ip}: an EndpointSlice that somebody wrote, or a pod that is gone`,
          'kubectl get endpointslices -o wide',
        ),
      ),
    ];
  }
  const facts = factsOf(seen, pod.spec?.nodeName);
  const isHost = pod.spec?.hostNetwork === true;
  const own = facts?.pods.find(({ uid }) => uid === pod.metadata?.uid);
  const listeners = isHost ? facts?.listeners : own?.listeners;
  const fault = findPodFault(pod);
  const runs = fault === undefined || fault.code !== 'pod-not-running' ? undefined : fault;
  const unready = fault !== undefined && runs === undefined ? { ...fault, stops: false } : undefined;
  const client = sourceFor({ from: leg.client ?? leg.question.from }, ip);
  const findings = [
    findUnseen(pod, talk, client, seen) ?? findForbidding(pod, { direction: 'in', talk }, seen),
    runs ?? unready,
    runs === undefined && listeners !== undefined
      ? listenFinding({ who: `pod ${nameOf(pod)}`, listeners, ip }, talk, leg)
      : undefined,
  ];
  return [hop(`pod ${nameOf(pod)}`, `port ${port}/${talk.protocol}`, ...findings)];
}

/** Whether a node gives such addresses to its pods. */
function isOfPods(ip: string, { nodes }: Observed): boolean {
  const address = parseIp(ip);
  const cidrs = nodes.flatMap(podCidrsOf).flatMap((text) => parseCidr(text) ?? []);
  return address !== undefined && cidrs.some((cidr) => cidrContains(cidr, address));
}

function hostHops(name: string, talk: Talk, seen: Observed): readonly Hop[] {
  const facts = factsOf(seen, name);
  const finding =
    facts === undefined
      ? undefined
      : listenFinding({ who: `node ${name}`, listeners: facts.listeners, ip: talk.target }, talk, undefined);
  return [hop(`node ${name}`, `port ${talk.port}/${talk.protocol}`, finding)];
}

interface Listening {
  readonly who: string;
  readonly listeners: readonly Listener[];
  readonly ip: string;
}

/** Whether a socket takes the packet. */
function listenFinding(
  { who, listeners, ip }: Listening,
  { port, protocol }: Talk,
  leg: Leg | undefined,
): Finding | undefined {
  if (protocol === 'SCTP') return undefined; // Of these the kernel's tables say nothing without its module.
  const here = listeners.filter((one) => one.port === port);
  const own = here.filter((one) => one.protocol === protocol);
  if (own.some(({ address }) => takes(address, ip))) return undefined;
  const local = own.find(({ address }) => isLoopback(address));
  if (local !== undefined)
    return stop(
      'listens-on-loopback',
      `${who} listens at ${local.address}:${port} only, which nobody else reaches`,
      'have the program listen at 0.0.0.0 or ::',
    );
  if (own[0] !== undefined)
    return stop(
      'listens-on-other-family',
      `${who} listens at ${own[0].address}:${port}, not at ${ip}`,
      'have the program listen at ::, or at all addresses',
    );
  const other = here.find((one) => !isLoopback(one.address));
  if (other !== undefined)
    return stop(
      'listens-on-other-protocol',
      `${who} listens on port ${port} by ${other.protocol}, not by ${protocol}`,
      `protocol: ${other.protocol} of the Service's port`,
    );
  const list = portsOf(listeners, protocol);
  const says = `nothing of ${who} listens on port ${port}/${protocol}; ${list}`;
  if (leg?.headlessPort !== undefined)
    return stop(
      'headless-port',
      `${says}. A headless Service translates no port: ${port} is the Service's`,
      `ask for the pods' own port${leg.headlessPort === port ? '' : ` ${leg.headlessPort}`}`,
    );
  return stop(
    'nothing-listens',
    says,
    "the number where it listens as the Service's targetPort, or mend the program",
  );
}

function portsOf(listeners: readonly Listener[], protocol: TransportProtocol): string {
  const ports = new Set(
    listeners.filter((one) => one.protocol === protocol && !isLoopback(one.address)).map(({ port }) => port),
  );
  return ports.size === 0
    ? 'nothing listens there at all'
    : `it listens on ${[...ports]
        .toSorted((a, b) => a - b)
        .slice(0, 10)
        .join(', ')}`;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** A socket of `::` takes IPv4, too, unless it was told not to, which the table does not tell. */
function takes(address: string, ip: string): boolean {
  if (address === '::') return true;
  if (address === '0.0.0.0') return familyOfIp(ip) === 4;
  return address === ip || address === `::ffff:${ip}`;
}
