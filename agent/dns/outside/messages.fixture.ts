import { decode, encode, type Answer, type OptAnswer, type DecodedPacket, type RecordType } from 'dns-packet';
import { parseQuery, type DnsQuery } from '#agent/dns/message.ts';

export interface SaidFields {
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly additionals?: readonly Answer[];
  /** RFC 1035 section 4.1.1 */
  readonly code?: number;
}

/** A message that asks, as a pod sends it. */
export function asks(name: string, type: RecordType = 'A', extra: object = {}): Buffer {
  return encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type }], ...extra });
}

export function queryOf(name: string, type: RecordType = 'A', extra: object = {}): DnsQuery {
  const query = parseQuery(asks(name, type, extra));
  if (query === undefined) throw new Error('no query');
  return query;
}

/** What a resolver says to a message that asks. */
export function says(asked: Buffer, { code = 0, ...sections }: SaidFields): Buffer {
  const { id, questions = [] } = decode(asked);
  return encode({ type: 'response', id, flags: code, questions, ...sections } as never);
}

/** A client that speaks EDNS, and takes signatures or not. */
export const ednsOf = (isDnssecOk = false): OptAnswer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize: 4096,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: isDnssecOk ? 0x8000 : 0,
  flag_do: isDnssecOk,
  options: [],
});

export const addressOf = (name: string, ttl: number, data = '192.0.2.1'): Answer => ({
  type: 'A',
  name,
  ttl,
  data,
});

export const soaOf = (name: string, ttl: number, minimum: number): Answer => ({
  type: 'SOA',
  name,
  ttl,
  data: { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});

/** Each record of the answer: its name, time to live and data. */
export function answersOf(message: Buffer): readonly string[] {
  const { answers = [] }: DecodedPacket = decode(message);
  return answers.map((record) =>
    'ttl' in record && 'data' in record ? `${record.name} ${record.ttl} ${String(record.data)}` : record.type,
  );
}
