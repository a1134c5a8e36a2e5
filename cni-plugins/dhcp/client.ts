/** A client's conversations with servers (RFC 2131 section 4.4), over a link that may have no address. */
import type { Clock } from '#base/clock.ts';
import {
  broadcastAddress,
  broadcastMac,
  clientPort,
  decodeFrame,
  encodeFrame,
  serverPort,
  type Datagram,
} from './frame.ts';
import { leaseOf, type Lease } from './lease.ts';
import {
  addressBytes,
  decodeDhcp,
  dhcpOption,
  encodeDhcp,
  type DhcpMessage,
  type DhcpType,
} from './message.ts';

/** Frames of one link; disposing it closes it. */
export interface DhcpLink extends Disposable {
  readonly mac: string;
  send(frame: Uint8Array): void;
  /** The next frame that carries IPv4, if one is waiting. */
  receiveNow(): Uint8Array | undefined;
}

/** Who asks, and what for. */
export interface DhcpIdentity {
  /** Tells the containers of a link of one hardware address apart. */
  readonly clientId: string;
  /** Options that are asked for. */
  readonly parameters: readonly number[];
  /** Options that are told. */
  readonly options: readonly (readonly [code: number, value: Uint8Array])[];
}

export interface ClientParts {
  readonly link: DhcpLink;
  readonly identity: DhcpIdentity;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** The first wait for an answer, and the longest; each is twice the one before. Servers that ask whether an address is taken need one. */
const [waitMsMin, waitMsMax] = [2_000, 8_000];
/** A server that refuses what it has just offered is not asked at once again. */
const refusedMs = 1_000;
const requestsMax = 3;
/** How often it is looked for a frame: while there is a conversation, which is some milliseconds of a lease's hours. */
const [lookMsMin, lookMsMax] = [2, 25];
/** Frames at a look: a link may be flooded. */
const framesMax = 256;
/** RFC 2132 section 9.14: type 0 is no hardware address. An option has 255 bytes. */
const clientIdBytesMax = 254;

const nobody = '0.0.0.0';

/** A lease, of the first server that offers one; `wanted`: an address that is asked for. Until the signal. @throws its reason */
export async function obtainLease(
  parts: ClientParts,
  wanted: string | undefined,
  signal: AbortSignal,
): Promise<Lease> {
  const startedAtMs = parts.clock.monotonic();
  for (let waitMs = waitMsMin; ; waitMs = Math.min(waitMs * 2, waitMsMax)) {
    const transaction = Math.floor(parts.random() * 2 ** 32);
    const seconds = Math.floor((parts.clock.monotonic() - startedAtMs) / 1000);
    const ask = { transaction, seconds, waitMs: waitMs * (0.9 + parts.random() * 0.2) };
    const hint = wanted === undefined ? [] : [requested(wanted)];
    const offer = await converse(
      parts,
      { ...ask, type: 'DISCOVER', options: hint, accepts: ['OFFER'] },
      signal,
    );
    const server = offer?.message.options.get(dhcpOption.serverIdentifier);
    if (offer === undefined || server === undefined) continue;
    const options = [requested(offer.message.yourAddress), [dhcpOption.serverIdentifier, server] as const];
    for (let requests = 0; requests < requestsMax; requests++) {
      const answer = await converse(
        parts,
        { ...ask, type: 'REQUEST', options, accepts: ['ACK', 'NAK'] },
        signal,
      );
      if (answer === undefined) continue;
      const lease = answer.message.type === 'ACK' ? leaseOf(answer.message, answer.sourceMac) : undefined;
      if (lease !== undefined) return lease;
      await parts.clock.sleep(refusedMs, signal);
      break;
    }
  }
}

/**
 * Asks once for more time, of the server or, to `all`, of whoever hears it. Undefined: nobody answered; 'refused': the address is no
 * longer ours.
 */
export async function renewLease(
  parts: ClientParts,
  { lease, all }: { readonly lease: Lease; readonly all: boolean },
  signal: AbortSignal,
): Promise<Lease | 'refused' | undefined> {
  const own = ownAddress(lease);
  const to = all
    ? { mac: broadcastMac, address: broadcastAddress }
    : { mac: lease.serverMac, address: lease.server };
  const transaction = Math.floor(parts.random() * 2 ** 32);
  const answer = await converse(
    parts,
    {
      type: 'REQUEST',
      transaction,
      seconds: 0,
      waitMs: waitMsMin,
      own,
      to,
      options: [],
      accepts: ['ACK', 'NAK'],
    },
    signal,
  );
  if (answer === undefined) return undefined;
  if (answer.message.type === 'NAK') return 'refused';
  return leaseOf(answer.message, answer.sourceMac);
}

/** Says once that the address is free; a server that does not hear it waits until the lease ends. */
export function releaseLease({ link, identity, random }: ClientParts, lease: Lease): void {
  const question: Question = {
    type: 'RELEASE',
    transaction: Math.floor(random() * 2 ** 32),
    seconds: 0,
    own: ownAddress(lease),
    to: { mac: lease.serverMac, address: lease.server },
    options: [[dhcpOption.serverIdentifier, addressBytes(lease.server)]],
  };
  link.send(frameOf(link.mac, identity, question));
}

export const ownAddress = (lease: Lease): string => lease.address.split('/')[0] ?? '';

const requested = (address: string): readonly [number, Uint8Array] => [
  dhcpOption.requestedAddress,
  addressBytes(address),
];

interface Question {
  readonly type: DhcpType;
  readonly transaction: number;
  readonly seconds: number;
  /** The address that the client has. */
  readonly own?: string;
  /** Everybody without. */
  readonly to?: { readonly mac: string; readonly address: string };
  readonly options: readonly (readonly [code: number, value: Uint8Array])[];
}

interface Answer {
  readonly message: DhcpMessage;
  readonly sourceMac: string;
}

/** Sends one message and waits for an answer to it. */
async function converse(
  { link, identity, clock }: ClientParts,
  question: Question & { readonly waitMs: number; readonly accepts: readonly DhcpType[] },
  signal: AbortSignal,
): Promise<Answer | undefined> {
  signal.throwIfAborted();
  link.send(frameOf(link.mac, identity, question));
  const endMs = clock.monotonic() + question.waitMs;
  for (let lookMs = lookMsMin; clock.monotonic() < endMs; lookMs = Math.min(lookMs * 2, lookMsMax)) {
    for (let count = 0; count < framesMax; count++) {
      const frame = link.receiveNow();
      if (frame === undefined) break;
      const answer = answerIn(frame, link.mac, question);
      if (answer !== undefined) return answer;
    }
    await clock.sleep(lookMs, signal);
  }
  return undefined;
}

function answerIn(
  frame: Uint8Array,
  mac: string,
  { transaction, accepts }: { readonly transaction: number; readonly accepts: readonly DhcpType[] },
): Answer | undefined {
  const datagram = decodeFrame(frame);
  if (datagram?.targetPort !== clientPort) return undefined;
  const message = decodeDhcp(datagram.payload);
  if (message?.from !== 'server' || message.transaction !== transaction || message.mac !== mac)
    return undefined;
  return accepts.includes(message.type) ? { message, sourceMac: datagram.sourceMac } : undefined;
}

function frameOf(mac: string, identity: DhcpIdentity, question: Question): Buffer {
  const { own, to, type } = question;
  const asks = type === 'DISCOVER' || type === 'REQUEST';
  const clientId = Buffer.concat([
    Buffer.of(0),
    Buffer.from(identity.clientId).subarray(0, clientIdBytesMax),
  ]);
  const message: DhcpMessage = {
    from: 'client',
    type,
    transaction: question.transaction,
    seconds: question.seconds,
    isBroadcast: own === undefined,
    clientAddress: own ?? nobody,
    yourAddress: nobody,
    mac,
    options: new Map([
      [dhcpOption.clientIdentifier, clientId],
      ...(asks
        ? [[dhcpOption.parameterList, Uint8Array.from(identity.parameters)] as const, ...identity.options]
        : []),
      ...question.options,
    ]),
  };
  const datagram: Datagram = {
    sourceMac: mac,
    targetMac: to?.mac ?? broadcastMac,
    source: own ?? nobody,
    target: to?.address ?? broadcastAddress,
    sourcePort: clientPort,
    targetPort: serverPort,
    payload: encodeDhcp(message),
  };
  return encodeFrame(datagram);
}
