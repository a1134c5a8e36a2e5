import { familyOfIp } from '#base/ip.ts';
import { endsAt, leavesBy, type Course } from './course/course.ts';
import { toNode } from './course/to-node.ts';
import { toPod } from './course/to-pod.ts';
import { entryOf, toHeadless, toService } from './course/to-service.ts';
import { findName, serviceOfAddress, type NameSettings } from './find-name.ts';
import { findForbidding } from './find-policy.ts';
import { findPodFault } from './find-pod-fault.ts';
import { findWay, routeTo } from './find-way.ts';
import {
  factsOf,
  hop,
  isStopped,
  nameOf,
  stop,
  warn,
  type Observed,
  type Question,
  type Trace,
  type Way,
} from './observed.ts';
import {
  addressesOf,
  describeSender,
  findPod,
  nodeOfAddress,
  podOfAddress,
  senderAddresses,
  senderNode,
} from './party.ts';

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
    return endsAt(hop(at, 'sends', stop('sender-not-running', says, fault?.remedy ?? 'wait until it runs')));
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
  return endsAt(hop(at, 'sends', dead));
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
      return endsAt(
        hop(
          `Service ${key}`,
          to,
          stop('name-unknown', `there is no Service ${key}`, 'kubectl get services -A'),
        ),
      );
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

function toAddress(question: Question, seen: Observed): Course {
  const { to, from } = question;
  const found = serviceOfAddress(to, seen);
  if (found !== undefined) {
    if (found.as === 'clusterIP' && from.kind === 'outside') {
      const says = `${to} is the cluster address of Service ${nameOf(found.service)}, which only nodes and pods can reach`;
      return endsAt(
        hop(to, 'from outside', stop('outside-cluster', says, 'come by a node port or a load balancer')),
      );
    }
    return toService(found.service, { address: to, as: found.as, node: senderNode(from) }, question, seen);
  }
  const node = nodeOfAddress(to, seen);
  if (node !== undefined) return toNode(node, question, seen);
  const pod = podOfAddress(to, seen);
  if (pod === undefined) return toElsewhere(question, seen);
  if (from.kind === 'outside') {
    const says = `${to} is the address of pod ${nameOf(pod)}, which is not reached from outside`;
    return endsAt(
      hop(
        to,
        'from outside',
        stop('outside-cluster', says, 'a Service of type NodePort or LoadBalancer, or an Ingress'),
      ),
    );
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
  return leavesBy(hop(at, 'sends it out of the cluster', forbidden, way));
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
  return leavesBy(
    hop(describeSender(from), 'asks for it', warn('outside-cluster', says, 'trace its address')),
  );
}
