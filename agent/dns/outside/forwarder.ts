import type { Clock } from '#base/clock.ts';
import { renderOuterQuestion, type DnsQuery } from '#agent/dns/message.ts';
import { ReplyCache } from './reply-cache.ts';
import { questionOf, rcodeOf, recordsOf, recordType } from './records.ts';
import type { Upstream } from './upstream.ts';

/** Names outside the cluster, asked of other resolvers and remembered. */
export interface Forwarder {
  /** Whether there is anybody to ask of a name. */
  isThere(name: string): boolean;
  /** The reply, without an OPT and with an id that means nothing. @throws if nobody answered and nothing is known from before */
  ask(query: DnsQuery, signal: AbortSignal): Promise<Buffer>;
}

export interface ForwarderOptions {
  /** Who is asked for a name. */
  readonly upstreamOf: (name: string) => Upstream;
  readonly clock: Clock;
  readonly onFound?: (how: Found) => void;
}

export type Found = 'hit' | 'stale' | 'miss' | 'prefetch';

/** How long a client waits where an older reply is at hand (RFC 8767 section 5). */
const patienceMs = 1_800;
const serverFailure = 2;

/** Questions that are alike are asked once, however many clients wait for the reply. */
export function createForwarder({
  upstreamOf,
  clock,
  onFound = () => undefined,
}: ForwarderOptions): Forwarder {
  const cache = new ReplyCache(clock);
  const underWay = new Map<string, Promise<Buffer>>();

  const fetch = async (key: string, asked: Promise<Buffer>): Promise<Buffer> => {
    try {
      const reply = withoutOpt(await asked);
      cache.keep(key, reply);
      return reply;
    } finally {
      underWay.delete(key);
    }
  };
  return {
    isThere: (name) => upstreamOf(name).servers().length > 0,
    async ask(query, signal) {
      const upstream = upstreamOf(query.question?.name ?? '');
      const key = keyOf(query, upstream.servers());
      const ask = (): Promise<Buffer> => {
        const asked = underWay.get(key) ?? fetch(key, upstream.ask(renderOuterQuestion(query), signal));
        underWay.set(key, asked);
        return asked;
      };
      const held = cache.find(key);
      if (held?.isStale === false) {
        onFound('hit');
        if (held.isDue) {
          onFound('prefetch');
          ask().catch(() => undefined); // What is held is good until its time is over.
        }
        return held.reply;
      }
      const asked = ask();
      if (held === undefined) {
        onFound('miss');
        return asked;
      }
      const fresh = await within(asked, patienceMs, clock);
      onFound(fresh === undefined ? 'stale' : 'miss');
      return fresh ?? held.reply;
    },
  };
}

/** Undefined for what fails, cannot find out, or is not there in time; it goes on then. */
async function within(asked: Promise<Buffer>, ms: number, clock: Clock): Promise<Buffer | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  using _timer = clock.after(ms, () => resolve(undefined));
  const usable = asked.then(
    (reply) => (rcodeOf(reply) === serverFailure ? undefined : reply),
    () => undefined,
  );
  return await Promise.race([usable, late]);
}

/** What is asked and of whom, and what of the query changes the reply. */
function keyOf(query: DnsQuery, servers: readonly string[]): string {
  const question = questionOf(renderOuterQuestion(query))?.toString('latin1') ?? '';
  return `${servers.join()} ${question}${Number(query.isDnssecOk)}${Number(query.isCheckingDisabled)}`;
}

const additionalCountAt = 10;

/** An OPT is between us and who sent it. It is the last of a reply nearly always; otherwise the whole additional section goes. */
function withoutOpt(reply: Buffer): Buffer {
  const records = recordsOf(reply);
  if (records === undefined) return reply;
  const opt = records.find(({ type }) => type === recordType.opt);
  if (opt === undefined) return reply;
  const extra = records.filter(({ section }) => section === 'additional');
  const isLast = opt.end === reply.length;
  const copy = Buffer.from(reply.subarray(0, isLast ? opt.start : extra[0]?.start));
  copy.writeUInt16BE(isLast ? extra.length - 1 : 0, additionalCountAt);
  return copy;
}
