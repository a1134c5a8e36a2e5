import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { Answer, RecordType } from 'dns-packet';
import { answer, type DnsAnswer, type DnsOptions } from './answer.ts';
import type { DnsView } from './dns-view.ts';
import { emptyReply, parseQuery, rcode, renderReply, type DnsQuery, type DnsReply } from './message.ts';
import type { Upstream } from './upstream.ts';

export interface ResolverOptions extends DnsOptions {
  readonly view: DnsView;
  /** Absent, or nobody there: names outside the cluster are refused at once. */
  readonly upstream: Upstream | undefined;
}

/** Answers a message; undefined if it deserves no answer. Never throws. */
export type Resolver = (
  message: Buffer,
  transport: 'udp' | 'tcp',
  signal: AbortSignal,
) => Promise<Buffer | undefined>;

export function createResolver(options: ResolverOptions): Resolver {
  let rotation = 0;
  return async (message, transport, signal) => {
    const upstream = options.upstream?.isThere() === true ? options.upstream : undefined;
    const query = parseQuery(message);
    if (query === undefined) return undefined;
    if (query.refusal !== undefined || query.question === undefined) {
      return renderReply(query, emptyReply(query.refusal ?? rcode.formatError), transport);
    }
    const found = answer(query.question, options.view, options);
    try {
      if (found.kind === 'forward') return await forward(message, query, { transport, signal, upstream });
      const reply = await toReply(found, query, { upstream, signal });
      // Clients that take the first address should not all take the same.
      return renderReply(query, { ...reply, answers: rotate(reply.answers, rotation++) }, transport);
    } catch {
      // No resolver answered, or not in time: the client may ask its next one, or us again.
      return renderReply(query, emptyReply(rcode.serverFailure), transport);
    }
  };
}

interface Way {
  readonly upstream: Upstream | undefined;
  readonly signal: AbortSignal;
}

async function forward(
  message: Buffer,
  query: DnsQuery,
  way: Way & { readonly transport: 'udp' | 'tcp' },
): Promise<Buffer> {
  if (way.upstream === undefined) return renderReply(query, emptyReply(rcode.refused), way.transport);
  return way.upstream.ask(message, way.transport, way.signal);
}

async function toReply(
  found: Exclude<DnsAnswer, { readonly kind: 'forward' }>,
  query: DnsQuery,
  way: Way,
): Promise<DnsReply> {
  const base = {
    ...emptyReply(rcode.noError),
    isAuthoritative: true,
    isRecursionAvailable: way.upstream !== undefined,
  };
  switch (found.kind) {
    case 'records':
      return { ...base, answers: found.answers, additionals: found.additionals };
    case 'no data':
      return { ...base, authorities: [found.soa] };
    case 'no such name':
      return { ...base, rcode: rcode.noSuchName, authorities: [found.soa] };
    default:
      return { ...base, answers: [...found.answers, ...(await chase(found.target, query, way))] };
  }
}

/** Stub resolvers do not follow a CNAME themselves: its target's records belong into the same reply. */
async function chase(target: string, query: DnsQuery, { upstream, signal }: Way): Promise<readonly Answer[]> {
  if (upstream === undefined || query.question === undefined) return [];
  const type: RecordType = query.question.type;
  const message = encode({
    type: 'query',
    id: query.id,
    flags: RECURSION_DESIRED,
    questions: [{ name: target, type }],
  });
  const reply = decode(await upstream.ask(message, 'udp', signal));
  return reply.answers ?? [];
}

function rotate(answers: readonly Answer[], by: number): readonly Answer[] {
  const [first] = answers;
  if (first === undefined || first.type === 'CNAME' || answers.length < 2) return answers;
  const at = by % answers.length;
  return [...answers.slice(at), ...answers.slice(0, at)];
}
