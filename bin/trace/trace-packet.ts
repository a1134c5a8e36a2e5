import { familyOfIp } from '#base/ip.ts';
import { internalIpsOf } from '#agent/network/fabric/fabric-plan.ts';
import type { Node, Pod, Service } from '#api/generated/objects.ts';
import {
  externalNameHop,
  findName,
  headlessAddresses,
  serviceOfAddress,
  type NameSettings,
} from './find-name.ts';
import { findForbidding } from './find-policy.ts';
import { findPodFault } from './find-pod-fault.ts';
import { findService, type Destination, type Entry } from './find-service.ts';
import { findWay, routeTo, type Leg } from './find-way.ts';
import {
  factsOf,
  hop,
  isStopped,
  nameOf,
  stop,
  warn,
  type Hop,
  type Observed,
  type Question,
  type Trace,
  type Way,
} from './observed.ts';
import {
  addressesOf,
  addressFor,
  familyMismatch,
  describeSender,
  findPod,
  nodeOfAddress,
  podOfAddress,
  senderAddresses,
  senderNode,
} from './party.ts';

/** What a packet comes to before an endpoint is known: hops, and where it may go from there. */
interface Course {
  readonly hops: readonly Hop[];
  readonly destinations: readonly Destination[];
  /** The node where it comes in. */
  readonly entry?: string | undefined;
  readonly headlessPort?: number | undefined;
  readonly via?: Leg['via'];
  /** It leaves the cluster: what is there nobody says. */
  readonly leaves?: boolean;
}

/** Endpoints that are followed one by one; of more, the rest is like them. */
export const waysMax = 16;

/** Where a first packet goes, and what keeps it from arriving. Pure: decided by what was observed alone. */
export function tracePacket(question: Question, seen: Observed): Trace {
  const course = senderFaults(question, seen) ?? findCourse(question, seen);
  const { port, protocol, to } = question;
  const { entry, headlessPort, via } = course;
  const isCut = isStopped(course.hops);
  const ways = isCut
    ? []
    : course.destinations
        .slice(0, waysMax)
        .map((destination) => findWay({ question, destination, entry, headlessPort, via }, seen));
  return {
    from: describeSender(question.from),
    to: `${to}${port === undefined ? '' : `:${port}`} by ${protocol}`,
    hops: course.hops,
    ways,
    arrives: isCut ? 'no' : verdictOf(ways, course.leaves === true),
  };
}

function verdictOf(ways: readonly Way[], leaves: boolean): Trace['arrives'] {
  if (ways.length === 0) return leaves ? 'yes' : 'no';
  if (ways.every(({ arrives }) => arrives)) return 'yes';
  return ways.some(({ arrives }) => arrives) ? 'some' : 'no';
}

function senderFaults({ from }: Question, seen: Observed): Course | undefined {
  if (from.kind === 'outside') return undefined;
  const name = senderNode(from);
  const node = seen.nodes.find(({ metadata }) => metadata?.name === name);
  const at = describeSender(from);
  if (from.kind === 'pod' && addressesOf(from.pod).length === 0) {
    const fault = findPodFault(from.pod);
    const says = fault?.says ?? `${at} has no address yet`;
    return {
      hops: [hop(at, 'sends', stop('sender-not-running', says, fault?.remedy ?? 'wait until it runs'))],
      destinations: [],
    };
  }
  if (node === undefined) return undefined;
  const isReady =
    node.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  if (isReady) return undefined;
  const dead = stop(
    'node-not-ready',
    `node ${name ?? ''}, where it is sent, is not Ready`,
    `kubectl describe node ${name ?? ''}`,
  );
  return { hops: [hop(at, 'sends', dead)], destinations: [] };
}

/** By what TO is. */
function findCourse(question: Question, seen: Observed): Course {
  const { to, namespace } = question;
  const [kind = '', ...rest] = to.split('/');
  const name = rest.join('/');
  if (kind === 'pod' || kind === 'pods') return toPod(findPod(name, namespace, seen.pods), question);
  if (kind === 'node')
    return toNode(
      seen.nodes.find(({ metadata }) => metadata?.name === name),
      question,
      seen,
    );
  if (['svc', 'service', 'services'].includes(kind)) {
    const key = name.includes('/') ? name : `${namespace}/${name}`;
    const service = seen.services.find((one) => nameOf(one) === key);
    if (service === undefined)
      return {
        hops: [
          hop(
            `Service ${key}`,
            to,
            stop('name-unknown', `there is no Service ${key}`, 'kubectl get services -A'),
          ),
        ],
        destinations: [],
      };
    return toService(service, entryOf(service, question), question, seen);
  }
  if (familyOfIp(to) !== undefined) return toAddress(question, seen);
  const pod = findPod(to, namespace, seen.pods);
  const isService = seen.services.some(({ metadata }) => metadata?.name === to.split('.')[0]);
  // A pod has no name that could be asked for; who writes one means the pod.
  if (pod !== undefined && !isService) return toPod(pod, question);
  return toName(question, seen);
}

function toName(question: Question, seen: Observed): Course {
  const settings = settingsOf(seen);
  const { hops, service, hostname } = findName(question, settings, seen);
  const isUnknown = hops.some(({ findings }) => findings.some(({ code }) => code === 'name-unknown'));
  const outside = isUnknown ? outsideNameCourse(question, settings, seen) : undefined;
  if (outside !== undefined) return outside;
  if (service === undefined || isStopped(hops)) return { hops, destinations: [] };
  const isHeadless = service.spec?.clusterIP === 'None';
  const course = isHeadless
    ? toHeadless(service, hostname, question, seen)
    : toService(service, entryOf(service, question), question, seen);
  return { ...course, hops: [...hops, ...course.hops] };
}

/** What nodes say, or what every cluster has. */
function settingsOf({ facts, services }: Observed): NameSettings {
  const told = [...facts.values()].find((one) => 'clusterDomain' in one);
  if (told !== undefined && 'clusterDomain' in told) return told;
  const dns = services.find((one) => nameOf(one) === 'kube-system/kube-dns')?.spec;
  return {
    clusterDomain: 'cluster.local',
    clusterDns: dns?.clusterIPs ?? (dns?.clusterIP === undefined ? [] : [dns.clusterIP]),
  };
}

/** From outside a Service is come by from a load balancer's address, or by its node port. */
function entryOf(service: Service, { from }: Question): Entry {
  if (from.kind !== 'outside') return { address: undefined, as: 'clusterIP', node: senderNode(from) };
  const { type, externalIPs = [] } = service.spec ?? {};
  const ingress = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  const [address] = [...ingress, ...externalIPs];
  return { address, as: type === 'NodePort' ? 'nodePort' : 'external', node: undefined };
}

function toService(service: Service, entry: Entry, question: Question, seen: Observed): Course {
  if (service.spec?.type === 'ExternalName')
    return { hops: [externalNameHop(service)], destinations: [], leaves: true };
  if (service.spec?.clusterIP === 'None') return toHeadless(service, undefined, question, seen);
  const own = ownDnsCourse(service, question, seen);
  if (own !== undefined) return own;
  const isInside =
    entry.as === 'external' && entry.address === undefined && service.spec?.type === 'ClusterIP';
  if (isInside) {
    const says = `Service ${nameOf(service)} is a ClusterIP: it has no address that is reached from outside`;
    return {
      hops: [
        hop(
          `Service ${nameOf(service)}`,
          'from outside',
          stop('outside-cluster', says, 'type: NodePort or LoadBalancer, or an Ingress'),
        ),
      ],
      destinations: [],
    };
  }
  const isFromAfar = entry.as !== 'clusterIP' && service.spec?.externalTrafficPolicy !== 'Local';
  return {
    ...findService(service, entry, question, seen),
    entry: entry.node,
    via: isFromAfar ? 'masquerade' : 'rules',
  };
}

/** Each name of it is the address of a pod, and no port is translated. */
function toHeadless(
  service: Service,
  hostname: string | undefined,
  question: Question,
  seen: Observed,
): Course {
  const at = `Service ${nameOf(service)}`;
  const addresses = headlessAddresses(service, hostname, seen);
  const asked = (service.spec?.ports ?? []).find(
    (one) => question.port === undefined || String(one.port) === question.port || one.name === question.port,
  );
  const target = typeof asked?.targetPort === 'number' ? asked.targetPort : asked?.port;
  const number = Number(question.port ?? target);
  const port = Number.isInteger(number) ? number : (target ?? 0);
  if (addresses.length === 0) {
    const entry: Entry = { address: undefined, as: 'clusterIP', node: senderNode(question.from) };
    const { ipFamilies: [family] = [] } = service.spec ?? {};
    const isIpv6 =
      family === undefined ? addressFor(question.from, ['0.0.0.0']) === undefined : family === 'IPv6';
    const some = isIpv6 ? '::' : '0.0.0.0';
    const whole = { ...service, spec: { ...service.spec, clusterIP: some, clusterIPs: [some] } };
    const { labels: { 'service.kubernetes.io/headless': _headless, ...labels } = {}, ...metadata } =
      service.metadata ?? {};
    const why = findService(
      { ...whole, metadata: { ...metadata, labels } },
      entry,
      { ...question, port: undefined },
      seen,
    );
    const reason = why.hops.flatMap(({ findings }) => findings).find(({ stops }) => stops);
    const says = `${hostname === undefined ? at : `${hostname} of ${at}`} is headless and has no address${reason === undefined ? '' : `: ${reason.says}`}`;
    return {
      hops: [
        hop(
          at,
          'headless',
          reason === undefined
            ? stop('headless-without-addresses', says, 'kubectl get endpointslices')
            : { ...reason, says },
        ),
      ],
      destinations: [],
    };
  }
  const reached = addresses.filter(({ ip }) => addressFor(question.from, [ip]) !== undefined);
  if (reached.length === 0)
    return {
      hops: [hop(at, 'headless', familyMismatch(question.from, at, [addresses[0]?.ip ?? '']))],
      destinations: [],
    };
  const destinations = reached.map(({ ip, nodeName }) => ({ ip, port, nodeName }));
  const headlessPort = asked !== undefined && target !== asked.port ? target : undefined;
  return {
    hops: [hop(at, `headless: its name stands for ${addresses.map(({ ip }) => ip).join(', ')}`)],
    destinations,
    headlessPort,
  };
}

function toPod(pod: Pod | undefined, { from, to, port, protocol }: Question): Course {
  if (pod === undefined)
    return {
      hops: [hop(to, 'pod', stop('name-unknown', `there is no ${to}`, 'kubectl get pods -A'))],
      destinations: [],
    };
  const at = `pod ${nameOf(pod)}`;
  const addresses = addressesOf(pod);
  const ip = familyOfIp(to) === undefined ? (addressFor(from, addresses) ?? addresses[0]) : to;
  const fault = findPodFault(pod);
  if (ip === undefined || fault?.code === 'pod-not-running' || fault?.code === 'host-port-conflict')
    return {
      hops: [
        hop(
          at,
          'has no address',
          fault ?? stop('pod-not-running', `${at} has no address yet`, 'wait until it runs'),
        ),
      ],
      destinations: [],
    };
  if (addressFor(from, [ip]) === undefined)
    return { hops: [hop(at, ip, familyMismatch(from, at, [ip]))], destinations: [] };
  const ports = (pod.spec?.containers ?? []).flatMap((one) => one.ports ?? []);
  const named = ports.find((one) =>
    port === undefined ? (one.protocol ?? 'TCP') === protocol : one.name === port,
  )?.containerPort;
  const number = named ?? Number(port);
  if (!Number.isInteger(number))
    return {
      hops: [
        hop(
          at,
          'port',
          stop(
            'named-port-missing',
            `${at} has no port ${port ?? `of ${protocol}`} in its spec`,
            'write the number: TO:PORT',
          ),
        ),
      ],
      destinations: [],
    };
  return { hops: [], destinations: [{ ip, port: number, nodeName: pod.spec?.nodeName }] };
}

/** A node port, a hostPort, or a program of the node. */
function toNode(node: Node | undefined, question: Question, seen: Observed): Course {
  const { to, port, protocol } = question;
  const own = node === undefined ? [] : internalIpsOf(node);
  const ip = familyOfIp(to) === undefined ? addressFor(question.from, own) : to;
  if (node === undefined || ip === undefined)
    return {
      hops: [
        hop(
          to,
          'node',
          stop('name-unknown', `there is no ${to} with an address`, 'kubectl get nodes -o wide'),
        ),
      ],
      destinations: [],
    };
  const number = Number(port);
  const name = node.metadata?.name ?? '';
  const service = seen.services.find(({ spec }) => spec?.ports?.some((one) => one.nodePort === number));
  const hosted = seen.pods.filter(
    (pod) => hostPortOf(pod, question) !== undefined && [name, undefined].includes(pod.spec?.nodeName),
  );
  const conflict = conflictHop(name, question, { service, hosted });
  if (conflict !== undefined) return { hops: [conflict], destinations: [] };
  if (service !== undefined)
    return {
      ...toService(service, { address: undefined, as: 'nodePort', node: name }, question, seen),
      entry: name,
    };
  const [pod] = hosted;
  const address = addressesOf(pod ?? {}).find((each) => familyOfIp(each) === familyOfIp(ip));
  if (pod !== undefined && address !== undefined)
    return {
      hops: [hop(`node ${name}`, `hostPort ${port ?? ''} of pod ${nameOf(pod)}`)],
      destinations: [{ ip: address, port: hostPortOf(pod, question) ?? number, nodeName: name }],
      entry: name,
    };
  if (number >= 30_000 && number <= 32_767)
    return {
      hops: [
        hop(
          `node ${name}`,
          `port ${port ?? ''}/${protocol}`,
          stop('not-a-node-port', `no Service has the node port ${port ?? ''}`, 'kubectl get services -A'),
        ),
      ],
      destinations: [],
    };
  return { hops: [], destinations: [{ ip, port: number, nodeName: name }], entry: name };
}

/** The container's port behind the host's. */
function hostPortOf(pod: Pod, { port, protocol }: Question): number | undefined {
  const ports = (pod.spec?.containers ?? []).flatMap((one) => one.ports ?? []);
  return ports.find(
    (one) =>
      one.hostPort !== undefined && String(one.hostPort) === port && (one.protocol ?? 'TCP') === protocol,
  )?.containerPort;
}

function conflictHop(
  name: string,
  { port = '' }: Question,
  { service, hosted }: { readonly service: Service | undefined; readonly hosted: readonly Pod[] },
): Hop | undefined {
  const at = `node ${name}`;
  const [first, second] = hosted;
  if (first !== undefined && service !== undefined) {
    const says = `port ${port} of node ${name} is a node port of Service ${nameOf(service)} and the hostPort of pod ${nameOf(first)}`;
    return hop(
      at,
      `port ${port}`,
      warn('host-port-conflict', says, 'take another hostPort, out of 30000-32767'),
    );
  }
  if (first === undefined || hosted.every((pod) => addressesOf(pod).length > 0)) return undefined;
  const fault = findPodFault(hosted.find((pod) => addressesOf(pod).length === 0) ?? first);
  if (second === undefined && fault !== undefined) return hop(at, `port ${port}`, fault);
  return undefined;
}

function toAddress(question: Question, seen: Observed): Course {
  const { to, from } = question;
  const found = serviceOfAddress(to, seen);
  if (found !== undefined) {
    if (found.as === 'clusterIP' && from.kind === 'outside') {
      const says = `${to} is the cluster address of Service ${nameOf(found.service)}, which only nodes and pods can reach`;
      return {
        hops: [
          hop(to, 'from outside', stop('outside-cluster', says, 'come by a node port or a load balancer')),
        ],
        destinations: [],
      };
    }
    return toService(found.service, { address: to, as: found.as, node: senderNode(from) }, question, seen);
  }
  const node = nodeOfAddress(to, seen);
  if (node !== undefined) return toNode(node, question, seen);
  const pod = podOfAddress(to, seen);
  if (pod === undefined) return toElsewhere(question, seen);
  if (from.kind === 'outside') {
    const says = `${to} is the address of pod ${nameOf(pod)}, which is not reached from outside`;
    return {
      hops: [
        hop(
          to,
          'from outside',
          stop('outside-cluster', says, 'a Service of type NodePort or LoadBalancer, or an Ingress'),
        ),
      ],
      destinations: [],
    };
  }
  return toPod(pod, question);
}

/** Out of the cluster: what policies and routes say, and no more. */
function toElsewhere({ to, from, port, protocol }: Question, seen: Observed): Course {
  const [source] = senderAddresses(from);
  const talk = { source, target: to, port: Number(port ?? 0), protocol };
  const forbidden =
    from.kind === 'pod' ? findForbidding(from.pod, { direction: 'out', talk }, seen) : undefined;
  const facts = factsOf(seen, senderNode(from));
  const says = `${to} is no address of the cluster; what is there this cannot see`;
  const remedy = 'where nothing comes back, see --pod-egress of the agent';
  const way =
    facts === undefined || routeTo(to, facts) !== undefined
      ? warn('outside-cluster', says, remedy)
      : stop(
          'without-way-out',
          `node ${facts.node} has no route to ${to}, which is no address of the cluster`,
          'a default route of the node; podwright up: --egress, which passes on TCP',
        );
  const at = describeSender(from);
  return {
    hops: [hop(at, 'sends it out of the cluster', forbidden, way)],
    destinations: [],
    leaves: true,
  };
}

/** A name that is none of the cluster's, and does not look like a misspelt one. */
function outsideNameCourse(
  { to, from }: Question,
  { clusterDomain }: NameSettings,
  seen: Observed,
): Course | undefined {
  const labels = to.replace(/\.$/, '').split('.');
  const isOurs =
    labels.length === 1 ||
    to.endsWith('.svc') ||
    to.replace(/\.$/, '').endsWith(`.${clusterDomain}`) ||
    seen.namespaces.some(({ metadata }) => metadata?.name === labels[1]) ||
    seen.services.some(({ metadata }) => metadata?.name === labels[0]);
  if (isOurs) return undefined;
  const says = `${to} is a name outside of the cluster, which this does not look up`;
  return {
    hops: [hop(describeSender(from), 'asks for it', warn('outside-cluster', says, 'trace its address'))],
    destinations: [],
    leaves: true,
  };
}

/** The cluster's DNS, where the sender's node answers it itself. */
function ownDnsCourse(
  service: Service,
  { port, protocol, from }: Question,
  seen: Observed,
): Course | undefined {
  const facts = factsOf(seen, senderNode(from));
  const addresses = service.spec?.clusterIPs ?? [service.spec?.clusterIP ?? ''];
  const address = addresses.find((ip) => facts?.clusterDns.includes(ip) === true);
  const asked = service.spec?.ports?.find(
    (one) =>
      (one.protocol ?? 'TCP') === protocol &&
      (port === undefined || String(one.port) === port || one.name === port),
  );
  const answers = facts?.listeners.some(
    (one) => one.address === address && one.port === asked?.port && one.protocol === protocol,
  );
  if (facts === undefined || address === undefined || asked === undefined || answers !== true)
    return undefined;
  const at = `node ${facts.node}`;
  return {
    hops: [hop(at, `answers ${asked.port}/${protocol} of ${address} itself: it is its DNS`)],
    destinations: [],
    leaves: true,
  };
}
