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
  const edns = packet.additionals?.find((record): record is OptAnswer => record.type === 'OPT');
  const ednsBytes = edns === undefined ? undefined : Math.max(udpBytesDefault, edns.udpPayloadSize);
  const isTransfer = ['AXFR', 'IXFR'].includes(question.type);
  const refusal = isTransfer || question.class !== 'IN' ? rcode.refused : undefined;
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

/** The reply as bytes; over UDP one that is too long becomes an empty one that says so, and the client comes by TCP. */
export function renderReply(query: DnsQuery, reply: DnsReply, transport: 'udp' | 'tcp'): Buffer {
  const bytesMax = bytesMaxOf(query, transport);
  const whole = encodeReply(query, reply, 0);
  if (whole.length <= bytesMax) return whole;
  const lean = encodeReply(query, { ...reply, additionals: [] }, 0);
  if (lean.length <= bytesMax) return lean;
  return encodeReply(query, { ...reply, answers: [], authorities: [], additionals: [] }, TRUNCATED_RESPONSE);
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
  const kept = whole.length <= bytesMaxOf(query, transport);
  const reply = kept
    ? whole
    : Buffer.concat([said.subarray(0, headerBytes + query.questionBytes.length), opt]);
  if (!kept) reply.fill(0, answerCountOffset, headerBytes);
  reply.writeUInt16BE(query.id, 0);
  reply.writeUInt16BE(forwardedFlags(query, said) | (kept ? 0 : TRUNCATED_RESPONSE), 2);
  query.questionBytes.copy(reply, headerBytes);
  if (opt.length > 0)
    reply.writeUInt16BE(reply.readUInt16BE(additionalCountOffset) + 1, additionalCountOffset);
  return reply;
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
  const opt = query.ednsBytes === undefined ? [] : [ednsRecord];
  const encoded = encode({
    type: 'response',
    id: query.id,
    flags:
      reply.rcode |
      extraFlags |
      (query.isRecursionDesired ? RECURSION_DESIRED : 0) |
      (reply.isRecursionAvailable ? RECURSION_AVAILABLE : 0) |
      (reply.isAuthoritative ? AUTHORITATIVE_ANSWER : 0),
    questions: [],
    answers: [...reply.answers],
    authorities: [...reply.authorities],
    additionals: [...reply.additionals, ...opt],
  });
  if (query.questionBytes === undefined) return encoded;
  encoded.writeUInt16BE(1, questionCountOffset);
  // No name in what follows points to another: all can be moved.
  return Buffer.concat([
    encoded.subarray(0, headerBytes),
    query.questionBytes,
    encoded.subarray(headerBytes),
  ]);
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
