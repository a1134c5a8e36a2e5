import type { Answer } from 'dns-packet';
import { cidrContains, familyOfIp, formatIp, parseCidr, parseIp, type Ip } from '#base/ip.ts';
import type { DnsEndpoint, DnsPort, DnsService, DnsView } from './dns-view.ts';

/** A question as it came; `type` as dns-packet names it. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: string;
}

export interface DnsOptions {
  /** The cluster's domain, e.g. `cluster.local`. */
  readonly zone: string;
  readonly ttlSeconds: number;
  /** Networks whose addresses are the cluster's: we know all their names. */
  readonly ownCidrs: readonly string[];
  /** Of the zone's name server, which its NS record names. */
  readonly serverIps?: readonly string[];
}

/**
 * What we say: records, or that the name has none of that type (`no data`) or does not exist; `chase` is a CNAME whose
 * target is outside the zone; `forward` is a question that is not ours.
 */
export type DnsAnswer =
  | { readonly kind: 'records'; readonly answers: readonly Answer[]; readonly additionals: readonly Answer[] }
  | { readonly kind: 'no data'; readonly soa: Answer }
  | { readonly kind: 'no such name'; readonly soa: Answer }
  | { readonly kind: 'chase'; readonly answers: readonly Answer[]; readonly target: string }
  | { readonly kind: 'forward' };

/** The version of the Kubernetes DNS specification that we follow (its section 2.2). */
const schemaVersion = '1.1.0';

/** A CNAME may lead to another ExternalName of ours; no further than this. */
const chainMax = 8;

/** Answers one question by the Kubernetes DNS specification. Pure. */
export function answer(question: DnsQuestion, view: DnsView, options: DnsOptions): DnsAnswer {
  const labels = splitName(question.name);
  const zone = splitName(options.zone);
  const reversed = parseReverse(labels);
  if (reversed !== undefined) return answerReverse(question, reversed, { view, options });
  if (labels.slice(-zone.length).join('.') !== zone.join('.')) return { kind: 'forward' };
  const found = look(labels.slice(0, -zone.length), view, options);
  if (found === undefined) return { kind: 'no such name', soa: soaOf(options.zone, options) };
  return toAnswer(question, found, { view, options, depth: 0 });
}

/** What a name of the zone has, by type; a CNAME stands alone. */
interface Found {
  readonly ips: readonly string[];
  /** Made when asked for: of 1,000 endpoints it takes a while. */
  readonly targets: () => readonly Target[];
  readonly text?: string;
  readonly cname?: string;
  readonly isApex?: boolean;
}

/** What an SRV record leads to. */
interface Target {
  readonly target: string;
  readonly port: number;
  readonly ips: readonly string[];
}

const nothing: Found = { ips: [], targets: () => [] };

interface Context {
  readonly view: DnsView;
  readonly options: DnsOptions;
}

/** Undefined: no such name. `labels` are those left of the zone, lower case. */
function look(labels: readonly string[], view: DnsView, options: DnsOptions): Found | undefined {
  const path = labels.toReversed();
  const [first, namespace, name, ...rest] = path;
  if (first === undefined) return { ...nothing, isApex: true };
  if (first === 'dns-version') return path.length === 1 ? { ...nothing, text: schemaVersion } : undefined;
  if (first === 'dns') return lookServer(path, options);
  if (first === 'pod') return lookPod(path, view);
  if (first !== 'svc') return undefined;
  if (namespace === undefined) return nothing;
  if (name === undefined) return view.hasNamespace(namespace) === true ? nothing : undefined;
  const service = view.service(namespace, name);
  if (service === undefined) return undefined;
  const fqdn = `${name}.${namespace}.svc.${options.zone}`;
  return lookService(service, { rest, fqdn, endpoints: () => view.endpoints(namespace, name) });
}

/** `ns.dns`, which the zone's NS record names: it is answered by who answers here, as CoreDNS does. */
function lookServer([, name, ...more]: readonly string[], { serverIps = [] }: DnsOptions): Found | undefined {
  if (name === undefined) return nothing;
  return name === 'ns' && more.length === 0 ? { ...nothing, ips: serverIps } : undefined;
}

/** `10-244-0-5.namespace.pod`: says what the name says, whether or not there is such a pod (CoreDNS: `pods insecure`), where there is the namespace. */
function lookPod([, namespace, label, ...more]: readonly string[], view: DnsView): Found | undefined {
  if (namespace === undefined) return nothing;
  if (view.hasNamespace(namespace) === false) return undefined;
  if (label === undefined) return nothing;
  const dotted = label.replaceAll('-', '.');
  const ip = familyOfIp(dotted) === 4 ? dotted : label.replaceAll('-', ':');
  return familyOfIp(ip) === undefined || more.length > 0 ? undefined : { ...nothing, ips: [ip] };
}

interface BelowService {
  /** Labels left of the Service's name, nearest first: an endpoint, or `_tcp` and `_port`. */
  readonly rest: readonly string[];
  readonly fqdn: string;
  readonly endpoints: () => readonly DnsEndpoint[];
}

/** Endpoints have names below a Service that has an address, too: the specification asks it of headless ones, CoreDNS does it for all. */
function lookService(service: DnsService, { rest, fqdn, endpoints }: BelowService): Found | undefined {
  const [first, second, ...more] = rest;
  if (service.kind === 'external')
    return first === undefined ? { ...nothing, cname: service.target } : undefined;
  const any = (): boolean => true;
  // Of all ports, as CoreDNS has them: who looks for a StatefulSet's peers asks for the SRV records of the Service's own name.
  if (first === undefined && service.kind === 'cluster')
    return { ...nothing, ips: service.ips, targets: () => targetsOfService(service, any, fqdn) };
  if (first === undefined) {
    const all = service.kind === 'headless' ? service.endpoints : [];
    // Nobody is ready: no such name, by the specification (2.4.1); nor is there one below it.
    if (all.length === 0) return undefined;
    const ips = unique(all.map((item) => item.ip));
    return { ...nothing, ips, targets: () => targetsOfEndpoints(all, any, fqdn) };
  }
  if (more.length > 0) return undefined;
  if (first.startsWith('_'))
    return lookPorts(service, { protocol: first.slice(1), name: second?.replace(/^_/, '') }, fqdn);
  if (second !== undefined) return undefined;
  const own = endpoints().filter(({ label }) => label === first);
  if (own.length === 0) return undefined;
  const ips = unique(own.map(({ ip }) => ip));
  return { ...nothing, ips, targets: () => targetsOfEndpoints(own, any, fqdn) };
}

function lookPorts(
  service: Exclude<DnsService, { readonly kind: 'external' }>,
  wanted: { readonly protocol: string; readonly name: string | undefined },
  fqdn: string,
): Found | undefined {
  const ofProtocol = (port: DnsPort): boolean => port.protocol === wanted.protocol;
  const matches = (port: DnsPort): boolean =>
    ofProtocol(port) && port.name === wanted.name && port.name !== '';
  const all = service.kind === 'cluster' ? service.ports : service.endpoints.flatMap((item) => item.ports);
  if (wanted.name === undefined) return all.some(ofProtocol) ? nothing : undefined;
  if (!all.some(matches)) return undefined;
  const targets = (): readonly Target[] =>
    service.kind === 'cluster'
      ? targetsOfService(service, matches, fqdn)
      : targetsOfEndpoints(service.endpoints, matches, fqdn);
  return { ...nothing, targets };
}

/** A port of TCP and one of UDP of the same number are one record. */
function targetsOfService(
  { ports, ips }: Extract<DnsService, { readonly kind: 'cluster' }>,
  matches: (port: DnsPort) => boolean,
  target: string,
): readonly Target[] {
  const numbers = new Set(ports.filter(matches).map(({ port }) => port));
  return [...numbers].map((port) => ({ target, port, ips }));
}

/** A pod of both families is an endpoint in each, by one name. */
function targetsOfEndpoints(
  endpoints: readonly DnsEndpoint[],
  matches: (port: DnsPort) => boolean,
  fqdn: string,
): readonly Target[] {
  const found = endpoints.flatMap(({ label, ip, ports }) =>
    ports.filter(matches).map(({ port }) => ({ target: `${label}.${fqdn}`, port, ip })),
  );
  const targets = Map.groupBy(found, ({ target, port }) => `${target} ${port}`).values();
  return [...targets].flatMap((same) =>
    same.slice(0, 1).map(({ target, port }) => ({ target, port, ips: unique(same.map(({ ip }) => ip)) })),
  );
}

function toAnswer(
  question: DnsQuestion,
  found: Found,
  context: Context & { readonly depth: number },
): DnsAnswer {
  const { options } = context;
  const { name, type } = question;
  const ttl = options.ttlSeconds;
  const isAny = type === 'ANY';
  if (found.cname !== undefined) return answerCname(question, found.cname, context);
  const answers: Answer[] = [];
  const additionals: Answer[] = [];
  if (type === 'A' || type === 'AAAA' || isAny) {
    answers.push(
      ...addressRecords(name, unique(found.ips), ttl).filter((record) => isAny || record.type === type),
    );
  }
  if (type === 'SRV' || isAny) {
    const targets = found.targets();
    const weight = Math.max(1, Math.floor(100 / Math.max(1, targets.length)));
    const known = new Set<string>(); // A target may have several ports; its addresses are said once.
    for (const { target, port, ips } of targets) {
      answers.push({ type: 'SRV', name, ttl, data: { priority: 0, weight, port, target } });
      const fresh = unique(ips).filter((ip) => !known.has(`${target} ${ip}`));
      for (const ip of fresh) known.add(`${target} ${ip}`);
      additionals.push(...addressRecords(target, fresh, ttl));
    }
  }
  if (found.text !== undefined && (type === 'TXT' || isAny))
    answers.push({ type: 'TXT', name, ttl, data: found.text });
  if (found.isApex === true && (type === 'SOA' || isAny)) answers.push(soaOf(options.zone, options));
  if (found.isApex === true && (type === 'NS' || isAny)) {
    answers.push({ type: 'NS', name, ttl, data: `ns.dns.${options.zone}` });
  }
  if (answers.length === 0) return { kind: 'no data', soa: soaOf(options.zone, options) };
  return { kind: 'records', answers, additionals };
}

/** ExternalName. The target may be a name of ours; otherwise whoever forwards looks it up. */
function answerCname(
  question: DnsQuestion,
  target: string,
  context: Context & { readonly depth: number },
): DnsAnswer {
  const { view, options, depth } = context;
  const cname: Answer = { type: 'CNAME', name: question.name, ttl: options.ttlSeconds, data: target };
  if (question.type === 'CNAME' || depth >= chainMax)
    return { kind: 'records', answers: [cname], additionals: [] };
  const labels = splitName(target);
  const zone = splitName(options.zone);
  if (labels.slice(-zone.length).join('.') !== zone.join('.'))
    return { kind: 'chase', answers: [cname], target };
  const found = look(labels.slice(0, -zone.length), view, options);
  const next =
    found === undefined
      ? undefined
      : toAnswer({ ...question, name: target }, found, { ...context, depth: depth + 1 });
  // A record is there once (RFC 2181, section 5): ExternalNames that lead in a circle would say theirs again and again.
  const further = next !== undefined && 'answers' in next ? next.answers : [];
  const isOther = (record: Answer): boolean => !(record.type === 'CNAME' && record.name === cname.name);
  const answers = [cname, ...further.filter(isOther)];
  return next?.kind === 'chase' ? { ...next, answers } : { kind: 'records', answers, additionals: [] };
}

function answerReverse(question: DnsQuestion, ip: Ip, { view, options }: Context): DnsAnswer {
  const names = view.reverse(formatIp(ip));
  const isOwn = options.ownCidrs.map(parseCidr).some((cidr) => cidr !== undefined && cidrContains(cidr, ip));
  if (names.length === 0 && !isOwn) return { kind: 'forward' };
  const soa = soaOf(question.name, options);
  if (names.length === 0) return { kind: 'no such name', soa };
  if (question.type !== 'PTR' && question.type !== 'ANY') return { kind: 'no data', soa };
  const answers = names.map(({ namespace, service, label }): Answer => ({
    type: 'PTR',
    name: question.name,
    ttl: options.ttlSeconds,
    data: `${label === undefined ? '' : `${label}.`}${service}.${namespace}.svc.${options.zone}`,
  }));
  return { kind: 'records', answers, additionals: [] };
}

/** `4.3.2.1.in-addr.arpa` and its ip6.arpa like, complete ones only. */
export function parseReverse(labels: readonly string[]): Ip | undefined {
  const suffix = labels.slice(-2).join('.');
  const digits = labels.slice(0, -2).toReversed();
  if (suffix === 'in-addr.arpa' && digits.length === 4) return parseIp(digits.join('.'));
  if (suffix !== 'ip6.arpa' || digits.length !== 32 || digits.some((digit) => !/^[0-9a-f]$/.test(digit)))
    return undefined;
  return parseIp(digits.join('').replaceAll(/.{4}(?=.)/g, '$&:'));
}

function addressRecords(name: string, ips: readonly string[], ttl: number): readonly Answer[] {
  return ips.map((ip): Answer => ({ type: ip.includes(':') ? 'AAAA' : 'A', name, ttl, data: ip }));
}

/** How long "no such name" may be remembered is the SOA's minimum (RFC 2308): as short as the other answers. */
function soaOf(name: string, { zone, ttlSeconds }: DnsOptions): Answer {
  return {
    type: 'SOA',
    name,
    ttl: ttlSeconds,
    data: {
      mname: `ns.dns.${zone}`,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttlSeconds,
    },
  };
}

/** Its labels, small letters. */
export function splitName(name: string): readonly string[] {
  const text = name.replace(/\.$/, '').toLowerCase();
  return text === '' ? [] : text.split('.');
}

function unique(items: readonly string[]): readonly string[] {
  return [...new Set(items)];
}
