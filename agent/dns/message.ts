import {
  AUTHENTIC_DATA,
  AUTHORITATIVE_ANSWER,
  CHECKING_DISABLED,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { Answer, DecodedPacket, OptAnswer, Question } from 'dns-packet';

/** Response codes of RFC 1035 section 4.1.1 and RFC 6891 section 9. */
export const rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;

/** Without EDNS a UDP message has at most 512 bytes (RFC 1035); with it, we send at most what passes unfragmented. */
const udpBytesDefault = 512;
export const udpBytesMax = 1232;

/** A query, checked; `refusal` is what to answer instead of looking anything up. */
export interface DnsQuery {
  readonly id: number;
  readonly question: Question | undefined;
  /** The question as it came, which a reply has byte for byte. */
  readonly questionBytes: Buffer | undefined;
  readonly isRecursionDesired: boolean;
  /** Present: the client speaks EDNS and takes UDP answers of this size. */
  readonly ednsBytes: number | undefined;
  /** The client takes signatures (RFC 3225), and checks them itself (RFC 4035 section 3.2.2). */
  readonly isDnssecOk: boolean;
  readonly isCheckingDisabled: boolean;
  readonly refusal: number | undefined;
}

export interface DnsReply {
  readonly rcode: number;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
  readonly isAuthoritative: boolean;
  readonly isRecursionAvailable: boolean;
}

/** Undefined for what must not be answered: too short, or itself a response. Never throws. */
export function parseQuery(bytes: Buffer): DnsQuery | undefined {
  if (bytes.length < headerBytes || bytes.length > 65_535) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return undefined;
  const id = bytes.readUInt16BE(0);
  const isRecursionDesired = (flags & RECURSION_DESIRED) !== 0;
  const isCheckingDisabled = (flags & CHECKING_DISABLED) !== 0;
  const refuse = (refusal: number): DnsQuery => ({
    id,
    question: undefined,
    questionBytes: undefined,
    isRecursionDesired,
    ednsBytes: undefined,
    isDnssecOk: false,
    isCheckingDisabled,
    refusal,
  });
  if (((flags >> 11) & 0xf) !== 0) return refuse(rcode.notImplemented);
  const packet = tryDecode(bytes);
  const decoded = packet?.questions?.[0];
  const asked = readQuestion(bytes);
  if (packet === undefined || decoded === undefined || packet.questions?.length !== 1 || asked === undefined)
    return refuse(rcode.formatError);
  const question = { ...decoded, name: asked.name };
  const [edns, ...moreEdns] = (packet.additionals ?? []).filter(
    (record): record is OptAnswer => record.type === 'OPT',
  );
  if (moreEdns.length > 0) return refuse(rcode.formatError); // RFC 6891 section 6.1.1
  const ednsBytes = edns === undefined ? undefined : Math.max(udpBytesDefault, edns.udpPayloadSize);
  const isTransfer = ['AXFR', 'IXFR'].includes(question.type);
  const isRefused = isTransfer || question.class !== 'IN';
  const isNewer = edns !== undefined && edns.ednsVersion > 0;
  const refusal = isNewer ? rcode.badVersion : isRefused ? rcode.refused : undefined;
  const isDnssecOk = edns?.flag_do === true;
  const asIs = { isRecursionDesired, isDnssecOk, isCheckingDisabled };
  return { id, question, questionBytes: asked.bytes, ...asIs, ednsBytes, refusal };
}

const headerBytes = 12;
const isResponse = 0x8000;
const questionCountOffset = 4;
const answerCountOffset = 6;
const additionalCountOffset = 10;
const labelBytesMax = 63;
/** Type, class, time to live and length, behind a record's name. */
const recordBytes = 10;
/** The first two bits of a pointer to a name before it (RFC 1035 section 4.1.4). */
const pointerBits = 0xc0;
const pointerMax = 0x3fff;

/**
 * The first question, whose name is whole in it: there is nothing before that it could point to. A dot within a label, and bytes that are
 * no text, are no part of any name that there is.
 */
function readQuestion(message: Buffer): { readonly name: string; readonly bytes: Buffer } | undefined {
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > labelBytesMax) return undefined;
    labels.push(message.toString('utf8', at + 1, at + 1 + length).replaceAll('.', '\\.'));
    at += 1 + length;
  }
  const bytes = message.subarray(headerBytes, at + 5); // and the root, type and class
  return bytes.length === at + 5 - headerBytes ? { name: labels.join('.'), bytes } : undefined;
}

/** The reply as bytes; over UDP one that is too long has what fits, says so, and the client comes by TCP. */
export function renderReply(query: DnsQuery, reply: DnsReply, transport: 'udp' | 'tcp'): Buffer {
  const bytesMax = bytesMaxOf(query, transport);
  const whole = encodeReply(query, reply, 0);
  if (whole.length <= bytesMax) return whole;
  const lean = encodeReply(query, { ...reply, additionals: [] }, 0);
  if (lean.length <= bytesMax) return lean;
  const none = { ...reply, answers: [], authorities: [], additionals: [] };
  const room = bytesMax - encodeReply(query, none, 0).length;
  const { count } = answersWithin(lean, headerBytes + (query.questionBytes?.length ?? 0), room);
  return encodeReply(query, { ...none, answers: reply.answers.slice(0, count) }, TRUNCATED_RESPONSE);
}

/** The most bytes that a client takes. */
function bytesMaxOf(query: DnsQuery, transport: 'udp' | 'tcp'): number {
  return transport === 'tcp' ? 65_535 : Math.min(query.ednsBytes ?? udpBytesDefault, udpBytesMax);
}

/** What another resolver said, without an OPT of its own, as a reply to this query. Cut as renderReply() cuts. */
export function renderForwarded(query: DnsQuery, said: Buffer, transport: 'udp' | 'tcp'): Buffer {
  if (query.questionBytes === undefined)
    return renderReply(query, emptyReply(rcode.serverFailure), transport);
  const opt = query.ednsBytes === undefined ? Buffer.alloc(0) : encodeOpt(query.isDnssecOk);
  const whole = Buffer.concat([said, opt]);
  const bytesMax = bytesMaxOf(query, transport);
  const kept = whole.length <= bytesMax;
  const from = headerBytes + query.questionBytes.length;
  const cut = answersWithin(said, from, bytesMax - from - opt.length);
  const reply = kept ? whole : Buffer.concat([said.subarray(0, from + cut.bytes), opt]);
  if (!kept) {
    reply.fill(0, answerCountOffset, headerBytes);
    reply.writeUInt16BE(cut.count, answerCountOffset);
  }
  reply.writeUInt16BE(query.id, 0);
  reply.writeUInt16BE(forwardedFlags(query, said) | (kept ? 0 : TRUNCATED_RESPONSE), 2);
  query.questionBytes.copy(reply, headerBytes);
  if (opt.length > 0)
    reply.writeUInt16BE(reply.readUInt16BE(additionalCountOffset) + 1, additionalCountOffset);
  return reply;
}

/** How many of a message's answers, from the first one on, have room. A name points to an earlier one only, so they are whole without the rest. */
function answersWithin(
  message: Buffer,
  from: number,
  room: number,
): { readonly count: number; readonly bytes: number } {
  const total = message.readUInt16BE(answerCountOffset);
  let [count, at] = [0, from];
  while (count < total) {
    const next = endOfRecord(message, at);
    if (next === undefined || next - from > room) break;
    [count, at] = [count + 1, next];
  }
  return { count, bytes: at - from };
}

function endOfRecord(message: Buffer, start: number): number | undefined {
  const fixed = endOfName(message, start);
  if (fixed === undefined || fixed + recordBytes > message.length) return undefined;
  const end = fixed + recordBytes + message.readUInt16BE(fixed + recordBytes - 2);
  return end > message.length ? undefined : end;
}

function endOfName(message: Buffer, start: number): number | undefined {
  let at = start;
  for (let length = message[at]; length !== undefined; length = message[at]) {
    if (length === 0) return at + 1;
    if (length >= pointerBits) return at + 2;
    at += 1 + length;
  }
  return undefined;
}

/** Of what was said: its code, and whether it was verified, for those who ask. Nothing that is forwarded is from our authority. */
function forwardedFlags(query: DnsQuery, said: Buffer): number {
  return (
    isResponse |
    RECURSION_AVAILABLE |
    (query.isRecursionDesired ? RECURSION_DESIRED : 0) |
    (query.isCheckingDisabled ? CHECKING_DISABLED : 0) |
    (said.readUInt16BE(2) & (0xf | (query.isDnssecOk ? AUTHENTIC_DATA : 0)))
  );
}

/** The question of a query, as we ask it of another resolver: in our own words, without what else the client put beside it. */
export function renderOuterQuestion(query: DnsQuery): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt16BE(RECURSION_DESIRED | (query.isCheckingDisabled ? CHECKING_DISABLED : 0), 2);
  head.writeUInt16BE(1, questionCountOffset);
  head.writeUInt16BE(1, additionalCountOffset);
  return Buffer.concat([head, query.questionBytes ?? Buffer.alloc(0), encodeOpt(query.isDnssecOk)]);
}

/** The root's name, type OPT, bytes that we take, no extended code, version 0, flags, no options (RFC 6891 section 6.1.2). */
function encodeOpt(isDnssecOk: boolean): Buffer {
  return Buffer.of(0, 0, 41, udpBytesMax >> 8, udpBytesMax & 0xff, 0, 0, isDnssecOk ? 0x80 : 0, 0, 0, 0);
}

/** A reply without records. */
export function emptyReply(code: number): DnsReply {
  return {
    rcode: code,
    answers: [],
    authorities: [],
    additionals: [],
    isAuthoritative: false,
    isRecursionAvailable: false,
  };
}

function encodeReply(query: DnsQuery, reply: DnsReply, extraFlags: number): Buffer {
  const opt = query.ednsBytes === undefined ? [] : [{ ...ednsRecord, extendedRcode: reply.rcode >> 4 }];
  const head = Buffer.alloc(headerBytes);
  const flags =
    isResponse |
    (reply.rcode & 0xf) |
    extraFlags |
    (query.isRecursionDesired ? RECURSION_DESIRED : 0) |
    (reply.isRecursionAvailable ? RECURSION_AVAILABLE : 0) |
    (reply.isAuthoritative ? AUTHORITATIVE_ANSWER : 0);
  const question = query.questionBytes ?? Buffer.alloc(0);
  const sections = [reply.answers, reply.authorities, [...reply.additionals, ...opt]];
  const counts = [question.length === 0 ? 0 : 1, ...sections.map(({ length }) => length)];
  for (const [index, value] of [query.id, flags, ...counts].entries()) head.writeUInt16BE(value, index * 2);
  const parts = [head, question];
  let at = headerBytes + question.length;
  const owners = new Map<string, number>();
  if (question.length > 0) owners.set(ownerOf(question, 0).text, headerBytes);
  for (const record of sections.flat()) {
    const bytes = encodeRecord(record, at, owners);
    parts.push(bytes);
    at += bytes.length;
  }
  return Buffer.concat(parts);
}

/** A record's name is a pointer to where it was said before. */
function encodeRecord(record: Answer, at: number, owners: Map<string, number>): Buffer {
  const bytes = encode({ type: 'response', answers: [record] }).subarray(headerBytes);
  const { text, end } = ownerOf(bytes, 0);
  const known = owners.get(text);
  if (known === undefined && end > 1 && at <= pointerMax) owners.set(text, at);
  if (known === undefined) return bytes;
  const pointer = Buffer.alloc(2);
  pointer.writeUInt16BE((pointerBits << 8) | known);
  return Buffer.concat([pointer, bytes.subarray(end)]);
}

function ownerOf(bytes: Buffer, start: number): { readonly text: string; readonly end: number } {
  const end = endOfName(bytes, start) ?? start;
  return { text: bytes.toString('latin1', start, end), end };
}

const ednsRecord: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: udpBytesMax,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

function tryDecode(bytes: Buffer): DecodedPacket | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined; // Whatever dns-packet objects to, the client gets FORMERR.
  }
}
