import { createSocket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { PodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import { familyOfIp, withoutZone } from '#base/ip.ts';

/** Resolvers that other names are asked of, as they were asked of us. */
export interface Upstream {
  /** Whether there is anybody to ask now. */
  isThere(): boolean;
  /** The reply with the query's own id. @throws E_TIMEOUT, E_LIMIT, E_CONNECTION if none of the resolvers answered */
  ask(query: Buffer, transport: 'udp' | 'tcp', signal: AbortSignal): Promise<Buffer>;
}

/** How long one resolver has. */
const timeoutMs = 2_000;

/** Queries under way at once: more are refused at once, rather than late. */
const inFlightMax = 1_000;

/** How long one that did not answer is asked after the others. */
const restMs = 10_000;

/** `servers` are addresses, in order of preference, as they are when they are asked for. */
export function createUpstream(servers: () => readonly string[], clock: Clock): Upstream {
  let inFlight = 0;
  const silent = new SilentServers(clock);
  return {
    isThere: () => servers().length > 0,
    async ask(query, transport, signal) {
      if (inFlight >= inFlightMax)
        throw new PodwrightError('E_LIMIT', `forward DNS query: ${inFlightMax} under way`);
      inFlight++;
      try {
        return await askInTurn({ servers: silent.last(servers()), silent, clock, query, transport, signal });
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
  readonly transport: 'udp' | 'tcp';
  readonly signal: AbortSignal;
}

async function askInTurn({ servers, silent, clock, query, transport, signal }: Request): Promise<Buffer> {
  const failures: unknown[] = [];
  for (const server of servers) {
    signal.throwIfAborted();
    // An id of our own, drawn at random: the client's may be guessable.
    const id = randomInt(0x1_0000);
    const sent = withId(query, id);
    try {
      const reply = await (transport === 'udp' ? askUdp : askTcp)(server, sent, clock);
      silent.forget(server);
      return withId(reply, query.readUInt16BE(0));
    } catch (error) {
      silent.note(server);
      failures.push(error);
    }
  }
  throw new PodwrightError('E_TIMEOUT', `forward DNS query to ${servers.join(', ')}: no answer`, {
    cause: new AggregateError(failures),
  });
}

function askUdp(server: string, query: Buffer, clock: Clock): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // A socket of its own, so a port of its own: a forged answer has to guess it.
  const socket = createSocket(familyOfIp(withoutZone(server)) === 6 ? 'udp6' : 'udp4');
  const timer = clock.after(timeoutMs, () =>
    reject(new PodwrightError('E_TIMEOUT', `ask ${server}: no answer`)),
  );
  socket.on('message', (reply, from) => {
    if (from.address === server && from.port === 53 && isReplyTo(reply, query)) resolve(reply);
  });
  socket.on('error', (cause) => reject(new PodwrightError('E_CONNECTION', `ask ${server}`, { cause })));
  socket.send(query, 53, server);
  return promise.finally(() => {
    timer[Symbol.dispose]();
    socket.close();
  });
}

function askTcp(server: string, query: Buffer, clock: Clock): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect({ host: server, port: 53 });
  const timer = clock.after(timeoutMs, () =>
    reject(new PodwrightError('E_TIMEOUT', `ask ${server}: no answer`)),
  );
  let received = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const reply = received.subarray(2, 2 + received.readUInt16BE(0));
    if (isReplyTo(reply, query)) resolve(reply);
    else reject(new PodwrightError('E_INVALID', `ask ${server}: answer to another question`));
  });
  socket.on('error', (cause) => reject(new PodwrightError('E_CONNECTION', `ask ${server}`, { cause })));
  socket.on('close', () => reject(new PodwrightError('E_CONNECTION', `ask ${server}: closed`)));
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

/** Same id, a response, and the question as it was asked. */
function isReplyTo(reply: Buffer, query: Buffer): boolean {
  if (reply.length < 12 || reply.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  return ((reply[2] ?? 0) & 0x80) !== 0;
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}
