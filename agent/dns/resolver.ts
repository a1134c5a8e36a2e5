import { decode, encode } from 'dns-packet';
import type { Answer, RecordType } from 'dns-packet';
import { formatIp } from '#base/ip.ts';
import { answer, parseReverse, splitName, type DnsAnswer, type DnsOptions } from './answer.ts';
import { plainName, type Hosts } from './dns-config.ts';
import type { DnsView } from './dns-view.ts';
import {
  emptyReply,
  parseQuery,
  rcode,
  renderForwarded,
  renderReply,
  type DnsQuery,
  type DnsReply,
} from './message.ts';
import type { Forwarder } from './outside/forwarder.ts';
import { searchedNames } from './search-path.ts';

export interface ResolverOptions extends DnsOptions {
  readonly view: DnsView;
  /** Absent, or nobody there: names outside the cluster are refused at once. */
  readonly forwarder: Forwarder | undefined;
  /** Names outside the cluster that are known, as they are now. */
  readonly hosts?: () => Hosts;
  /** The search list of the pod that has an address; empty for anybody else. */
  readonly searchesOf?: (ip: string) => readonly string[];
}

/** Who asks, and how. */
export interface Asker {
  readonly transport: 'udp' | 'tcp';
  readonly address: string | undefined;
  readonly signal: AbortSignal;
}

/** Answers a message; undefined if it deserves no answer. Never throws. */
export type Resolver = (message: Buffer, asker: Asker) => Promise<Buffer | undefined>;

export function createResolver(options: ResolverOptions): Resolver {
  let rotation = 0;
  return async (message, asker) => {
    const query = parseQuery(message);
    if (query === undefined) return undefined;
    const { transport } = asker;
    if (query.refusal !== undefined || query.question === undefined) {
      return renderReply(query, emptyReply(query.refusal ?? rcode.formatError), transport);
    }
    try {
      const found = await look(query, options, asker);
      if (Buffer.isBuffer(found)) return renderForwarded(query, found, transport);
      // Clients that take the first address should not all take the same.
      return renderReply(query, { ...found, answers: rotate(found.answers, rotation++) }, transport);
    } catch {
      // No resolver answered, or not in time: the client may ask its next one, or us again.
      return renderReply(query, emptyReply(rcode.serverFailure), transport);
    }
  };
}

/** Knows no names itself. */
export function createForwardingResolver(forwarder: Forwarder): Resolver {
  const none = (): readonly never[] => [];
  const view: DnsView = {
    service: () => undefined,
    endpoints: none,
    hasNamespace: () => false,
    reverse: none,
  };
  return createResolver({ zone: 'invalid', ttlSeconds: 5, ownCidrs: [], view, forwarder });
}

/** A reply of our own, or what another resolver said. */
async function look(query: DnsQuery, options: ResolverOptions, asker: Asker): Promise<DnsReply | Buffer> {
  const found = lookHere(query, options);
  if (found.kind === 'forward') return forward(query, options, asker);
  if (found.kind === 'no such name') {
    const searched = await lookAlong(query, options, asker);
    if (searched !== undefined) return searched;
  }
  return toReply(found, query, { options, asker });
}

function lookHere(query: DnsQuery, options: ResolverOptions): DnsAnswer {
  if (query.question === undefined) return { kind: 'forward' };
  const found = answer(query.question, options.view, options);
  if (found.kind !== 'forward' || options.hosts === undefined) return found;
  return lookInHosts(query.question, options.hosts(), options.ttlSeconds) ?? found;
}

/** Undefined where the name is none of theirs. A name has its addresses there, and nothing else. */
function lookInHosts(
  { name, type }: { readonly name: string; readonly type: string },
  hosts: Hosts,
  ttl: number,
): DnsAnswer | undefined {
  const reversed = parseReverse(splitName(name));
  if (reversed !== undefined) {
    const names = hosts.names.get(formatIp(reversed)) ?? [];
    const answers = type === 'PTR' ? names.map((data): Answer => ({ type: 'PTR', name, ttl, data })) : [];
    return names.length === 0 ? undefined : { kind: 'records', answers, additionals: [] };
  }
  const ips = hosts.addresses.get(plainName(name));
  if (ips === undefined) return undefined;
  const records = ips.map((data): Answer => ({ type: data.includes(':') ? 'AAAA' : 'A', name, ttl, data }));
  return { kind: 'records', answers: records.filter((record) => record.type === type), additionals: [] };
}

async function forward(
  query: DnsQuery,
  { forwarder }: ResolverOptions,
  { signal }: Asker,
): Promise<DnsReply | Buffer> {
  if (forwarder?.isThere(query.question?.name ?? '') !== true) return emptyReply(rcode.refused);
  return forwarder.ask(query, signal);
}

interface Way {
  readonly options: ResolverOptions;
  readonly asker: Asker;
}

async function toReply(
  found: Exclude<DnsAnswer, { readonly kind: 'forward' }>,
  query: DnsQuery,
  way: Way,
): Promise<DnsReply> {
  const name = query.question?.name ?? '';
  const base = {
    ...emptyReply(rcode.noError),
    isAuthoritative: true,
    isRecursionAvailable: way.options.forwarder?.isThere(name) === true,
  };
  switch (found.kind) {
    case 'records':
      return { ...base, answers: found.answers, additionals: found.additionals };
    case 'no data':
      return { ...base, authorities: [found.soa] };
    case 'no such name':
      return { ...base, rcode: rcode.noSuchName, authorities: [found.soa] };
    default: {
      // Stub resolvers do not follow a CNAME themselves: its target's records belong into the same reply.
      const target = await lookElsewhere(query, found.target, way);
      return { ...base, answers: [...found.answers, ...target.answers] };
    }
  }
}

/**
 * What the pod's resolver would find by going on along its search list: one question instead of one for each of its domains. Undefined
 * where it would find nothing, or nobody answers: then the pod goes on by itself.
 */
async function lookAlong(
  query: DnsQuery,
  options: ResolverOptions,
  asker: Asker,
): Promise<DnsReply | undefined> {
  const { question } = query;
  const searches = asker.address === undefined ? [] : (options.searchesOf?.(asker.address) ?? []);
  if (question === undefined) return undefined;
  for (const name of searchedNames(question.name, searches)) {
    const found = await lookElsewhere(query, name, { options, asker }).catch(() => undefined);
    if (found?.rcode === rcode.noSuchName) continue;
    if (found?.rcode !== rcode.noError) return undefined;
    if (found.answers.length === 0) return found;
    const cname: Answer = { type: 'CNAME', name: question.name, ttl: options.ttlSeconds, data: name };
    return { ...found, answers: [cname, ...found.answers] };
  }
  return undefined;
}

/** The same question of another name, without a search list. */
async function lookElsewhere(query: DnsQuery, name: string, way: Way): Promise<DnsReply> {
  if (query.question === undefined) return emptyReply(rcode.formatError);
  const question = { ...query.question, name };
  const type = question.type as RecordType;
  const questionBytes = encode({ questions: [{ name, type }] }).subarray(12);
  const other = { ...query, question, questionBytes };
  const found = lookHere(other, way.options);
  if (found.kind !== 'forward') return toReply(found, other, way);
  const said = await forward(other, way.options, way.asker);
  if (!Buffer.isBuffer(said)) return said;
  const { answers = [], authorities = [] } = decode(said);
  const code = said.readUInt16BE(2) & 0xf;
  return { ...emptyReply(code), answers, authorities, isRecursionAvailable: true };
}

/** Behind the CNAMEs that lead to them. */
function rotate(answers: readonly Answer[], by: number): readonly Answer[] {
  const from = answers.findIndex(({ type }) => type !== 'CNAME');
  const [names, others] = [answers.slice(0, Math.max(from, 0)), answers.slice(Math.max(from, 0))];
  if (from < 0 || others.length < 2) return answers;
  const at = by % others.length;
  return [...names, ...others.slice(at), ...others.slice(0, at)];
}
