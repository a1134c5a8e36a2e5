import { createSocket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { PodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import { familyOfIp, withoutZone } from '#base/ip.ts';
import { questionOf } from './records.ts';

/** Resolvers that other names are asked of, as they were asked of us. */
export interface Upstream {
  /** Who is asked now, as UpstreamOptions names them; nobody: none. */
  servers(): readonly string[];
  /**
   * The whole reply, by TCP where it is too long for UDP, with the query's own id.
   * @throws E_TIMEOUT, E_LIMIT, E_CONNECTION if none of the resolvers answered
   */
  ask(query: Buffer, signal: AbortSignal): Promise<Buffer>;
}

const dnsPort = 53;

/** How long one resolver has. */
const timeoutMs = 2_000;

/** Queries under way at once: more are refused at once, rather than late. */
const inFlightMax = 1_000;

/** How long one that did not answer is asked after the others. */
const restMs = 10_000;

export interface UpstreamOptions {
  /** Addresses, or `ADDRESS:PORT` and `[ADDRESS]:PORT`, in order of preference, as they are when they are asked for. */
  readonly servers: () => readonly string[];
  readonly clock: Clock;
  /** Told of each question that a server was asked, and whether it answered. */
  readonly onAsked?: (server: string, hasAnswered: boolean) => void;
}

export function createUpstream({ servers, clock, onAsked = () => undefined }: UpstreamOptions): Upstream {
  let inFlight = 0;
  const silent = new SilentServers(clock);
  return {
    servers,
    async ask(query, signal) {
      if (inFlight >= inFlightMax)
        throw new PodwrightError('E_LIMIT', `forward DNS query: ${inFlightMax} under way`);
      inFlight++;
      try {
        return await askInTurn({ servers: silent.last(servers()), silent, clock, query, onAsked, signal });
      } finally {
        inFlight--;
      }
    },
  };
}

/** Who did not answer lately: else each question would first wait for a server that is down. */
class SilentServers {
  readonly #untilMs = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(server: string): void {
    this.#untilMs.set(server, this.#clock.monotonic() + restMs);
  }

  forget(server: string): void {
    this.#untilMs.delete(server);
  }

  /** The servers in their order, the silent ones behind the others. */
  last(servers: readonly string[]): readonly string[] {
    const nowMs = this.#clock.monotonic();
    for (const [server, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(server);
    const isSilent = (server: string): boolean => this.#untilMs.has(server);
    return [...servers.filter((server) => !isSilent(server)), ...servers.filter(isSilent)];
  }
}

interface Request {
  readonly servers: readonly string[];
  readonly silent: SilentServers;
  readonly clock: Clock;
  readonly query: Buffer;
  readonly onAsked: (server: string, hasAnswered: boolean) => void;
  readonly signal: AbortSignal;
}

async function askInTurn({ servers, silent, clock, query, onAsked, signal }: Request): Promise<Buffer> {
  const failures: unknown[] = [];
  for (const server of servers) {
    signal.throwIfAborted();
    // An id of our own, drawn at random: the client's may be guessable.
    const id = randomInt(0x1_0000);
    const sent = withId(query, id);
    try {
      const reply = await askOne(parseServer(server), sent, clock);
      silent.forget(server);
      onAsked(server, true);
      return withId(reply, query.readUInt16BE(0));
    } catch (error) {
      silent.note(server);
      onAsked(server, false);
      failures.push(error);
    }
  }
  throw new PodwrightError('E_TIMEOUT', `forward DNS query to ${servers.join(', ')}: no answer`, {
    cause: new AggregateError(failures),
  });
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** `10.0.0.1`, `10.0.0.1:5353`, `fd00::1`, `[fd00::1]:5353`; a port that is none is 53. */
export function parseServer(text: string): ServerAddress {
  const [, bracketed, bare, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  return { host: bracketed ?? bare ?? text, port: port === undefined ? dnsPort : Number(port) };
}

async function askOne(server: ServerAddress, query: Buffer, clock: Clock): Promise<Buffer> {
  const reply = await askUdp(server, query, clock);
  return isTruncated(reply) ? askTcp(server, query, clock) : reply;
}

function askUdp({ host, port }: ServerAddress, query: Buffer, clock: Clock): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // A socket of its own, so a port of its own: a forged answer has to guess it.
  const socket = createSocket(familyOfIp(withoutZone(host)) === 6 ? 'udp6' : 'udp4');
  const timer = clock.after(timeoutMs, () =>
    reject(new PodwrightError('E_TIMEOUT', `ask ${host}: no answer`)),
  );
  socket.on('message', (reply, from) => {
    if (from.address === host && from.port === port && isReplyTo(reply, query)) resolve(reply);
  });
  socket.on('error', (cause) => reject(new PodwrightError('E_CONNECTION', `ask ${host}`, { cause })));
  socket.send(query, port, host);
  return promise.finally(() => {
    timer[Symbol.dispose]();
    socket.close();
  });
}

function askTcp({ host, port }: ServerAddress, query: Buffer, clock: Clock): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect({ host, port });
  const timer = clock.after(timeoutMs, () =>
    reject(new PodwrightError('E_TIMEOUT', `ask ${host}: no answer`)),
  );
  let received = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const reply = received.subarray(2, 2 + received.readUInt16BE(0));
    if (isReplyTo(reply, query)) resolve(reply);
    else reject(new PodwrightError('E_INVALID', `ask ${host}: answer to another question`));
  });
  socket.on('error', (cause) => reject(new PodwrightError('E_CONNECTION', `ask ${host}`, { cause })));
  socket.on('close', () => reject(new PodwrightError('E_CONNECTION', `ask ${host}: closed`)));
  socket.write(frame(query));
  return promise.finally(() => {
    timer[Symbol.dispose]();
    socket.destroy();
  });
}

/** A message with its length before it, as TCP carries it (RFC 1035 section 4.2.2). */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Same id, a response, and to the question as it was asked: what else comes is forged, or late. */
function isReplyTo(reply: Buffer, query: Buffer): boolean {
  if (reply.length < 12 || reply.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  const asked = questionOf(query);
  return ((reply[2] ?? 0) & 0x80) !== 0 && asked !== undefined && questionOf(reply)?.equals(asked) === true;
}

function isTruncated(reply: Buffer): boolean {
  return ((reply[2] ?? 0) & 0x02) !== 0;
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}
