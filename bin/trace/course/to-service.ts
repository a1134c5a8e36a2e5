import { addressFor, familyMismatch, senderNode } from '#bin/trace/party.ts';
import { externalNameHop, headlessAddresses } from '#bin/trace/find-name.ts';
import { findService, type Entry } from '#bin/trace/find-service.ts';
import { factsOf, hop, nameOf, stop, type Hop, type Observed, type Question } from '#bin/trace/observed.ts';
import type { Service } from '#api/generated/objects.ts';
import { endsAt, leavesBy, type Course } from './course.ts';

/** From outside a Service is come by from a load balancer's address, or by its node port. */
export function entryOf(service: Service, { from }: Question): Entry {
  if (from.kind !== 'outside') return { address: undefined, as: 'clusterIP', node: senderNode(from) };
  const { type, externalIPs = [] } = service.spec ?? {};
  const ingress = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  const [address] = [...ingress, ...externalIPs];
  return { address, as: type === 'NodePort' ? 'nodePort' : 'external', node: undefined };
}

export function toService(service: Service, entry: Entry, question: Question, seen: Observed): Course {
  if (service.spec?.type === 'ExternalName') return leavesBy(externalNameHop(service));
  if (service.spec?.clusterIP === 'None') return toHeadless(service, undefined, question, seen);
  const own = ownDnsCourse(service, question, seen);
  if (own !== undefined) return own;
  const isInside =
    entry.as === 'external' && entry.address === undefined && service.spec?.type === 'ClusterIP';
  if (isInside) {
    const says = `Service ${nameOf(service)} is a ClusterIP: it has no address that is reached from outside`;
    return endsAt(
      hop(
        `Service ${nameOf(service)}`,
        'from outside',
        stop('outside-cluster', says, 'type: NodePort or LoadBalancer, or an Ingress'),
      ),
    );
  }
  const found = findService(service, entry, question, seen);
  // By a node that has no endpoint a pod would be answered past it.
  const isLedOn =
    entry.as === 'nodePort' &&
    question.from.kind === 'pod' &&
    found.destinations.every(({ nodeName }) => nodeName !== entry.node);
  const isFromAfar = entry.as !== 'clusterIP' && (service.spec?.externalTrafficPolicy !== 'Local' || isLedOn);
  return { ...found, entry: entry.node, via: isFromAfar ? 'masquerade' : 'rules' };
}

/** Each name of it is the address of a pod, and no port is translated. */
export function toHeadless(
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
  if (addresses.length === 0) return endsAt(whyNoAddress(service, hostname, question, seen));
  const reached = addresses.filter(({ ip }) => addressFor(question.from, [ip]) !== undefined);
  if (reached.length === 0)
    return endsAt(hop(at, 'headless', familyMismatch(question.from, at, [addresses[0]?.ip ?? ''])));
  const destinations = reached.map(({ ip, nodeName }) => ({ ip, port, nodeName }));
  const headlessPort = asked !== undefined && target !== asked.port ? target : undefined;
  return {
    hops: [hop(at, `headless: its name stands for ${addresses.map(({ ip }) => ip).join(', ')}`)],
    destinations,
    headlessPort,
  };
}

/** What keeps its endpoints away, as if it had an address of its own to come by. */
function whyNoAddress(
  service: Service,
  hostname: string | undefined,
  question: Question,
  seen: Observed,
): Hop {
  const { from } = question;
  const at = `Service ${nameOf(service)}`;
  const { ipFamilies: [family] = [] } = service.spec ?? {};
  const isIpv6 = family === undefined ? addressFor(from, ['0.0.0.0']) === undefined : family === 'IPv6';
  const some = isIpv6 ? '::' : '0.0.0.0';
  const { labels: { 'service.kubernetes.io/headless': _headless, ...labels } = {}, ...metadata } =
    service.metadata ?? {};
  const withAddress: Service = {
    ...service,
    metadata: { ...metadata, labels },
    spec: { ...service.spec, clusterIP: some, clusterIPs: [some] },
  };
  const entry: Entry = { address: undefined, as: 'clusterIP', node: senderNode(from) };
  const { hops } = findService(withAddress, entry, { ...question, port: undefined }, seen);
  const reason = hops.flatMap(({ findings }) => findings).find(({ stops }) => stops);
  const who = hostname === undefined ? at : `${hostname} of ${at}`;
  const says = `${who} is headless and has no address${reason === undefined ? '' : `: ${reason.says}`}`;
  const finding =
    reason === undefined
      ? stop('headless-without-addresses', says, 'kubectl get endpointslices')
      : { ...reason, says };
  return hop(at, 'headless', finding);
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
  return leavesBy(hop(at, `answers ${asked.port}/${protocol} of ${address} itself: it is its DNS`));
}
