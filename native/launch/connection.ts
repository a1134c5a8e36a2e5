/** A connection to a supervisor: requests with their replies, attached streams, exits. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { systemClock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { createFrameDecoder } from './frame-decoder.ts';
import type { FrameDecoder } from './frame-decoder.ts';
import { decodeEvent, encodeRequest, versionOffset, wireVersion } from './protocol.ts';
import type { EventMessage, Reply, RequestMessage } from './protocol.ts';
import type { ProcessExit, RunningProcess } from './launch.ts';

/** Who gets the messages of one process's streams. */
export interface StreamReceiver {
  onOutput(stream: 0 | 1, data: Buffer): void;
  onOutputEnd(stream: 0 | 1): void;
  onStdinCredit(bytes: number): void;
  /** Nothing more will come: the supervisor let go (the reader was too slow), or the connection ended. */
  onEnd(error: PodwrightError): void;
}

type Tagged = Extract<RequestMessage, { readonly tag: number }>;
/** A request without its number. */
export type UntaggedRequest = Tagged extends infer T
  ? T extends { readonly tag: number }
    ? Omit<T, 'tag'>
    : never
  : never;
type Untagged = Exclude<RequestMessage, Tagged>;
type Answer = Extract<EventMessage, { readonly kind: 'reply' | 'running' }>;

export interface Connection extends Disposable {
  readonly hello: Extract<EventMessage, { readonly kind: 'hello' }>;
  /** `accept` runs in the same turn as the reply is read, before any later message: the place to receive streams. */
  request<T>(message: UntaggedRequest, accept: (reply: Reply) => T): Promise<T>;
  list(): Promise<readonly RunningProcess[]>;
  /** A message that has no answer. False: the connection's buffer is full (it was queued all the same). */
  send(message: Untagged): boolean;
  receive(handle: number, receiver: StreamReceiver): void;
  forget(handle: number): void;
  onExit(listener: (exit: ProcessExit | undefined) => void): Disposable;
}

const SIGKILL = 9;

/** A supervisor says hello at once; one that does not is stopped or stuck. */
const helloTimeoutMs = 5000;

/** Requests that wait for their reply, at most. */
const requestsMax = 4096;
/** How long one waits: the kubelet's own time for its runtime (runtimeRequestTimeout), of which mounts on slow disks are a part. */
export const requestMs = 120_000;

/** Connects and waits for the supervisor's first word; undefined where nobody listens. @throws E_CONNECTION */
export async function openConnection(path: string): Promise<Connection | undefined> {
  const socket = connect(path);
  socket.setTimeout(helloTimeoutMs, () => socket.destroy(new Error(`no hello within ${helloTimeoutMs} ms`)));
  const greeted = await greet(socket, path, decodeChunk);
  if (greeted.kind === 'connected') return greeted.connection;
  const { failure } = greeted;
  const errno = errnoOf(failure);
  // ECONNRESET: it ended with the connection still in its queue.
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED' || errno === 'ECONNRESET') return undefined;
  const why = failure === undefined ? 'closed before it said hello' : describeError(failure);
  throw new PodwrightError('E_CONNECTION', `connect to supervisor ${path}: ${why}`, { cause: failure });
}

/**
 * The connection to a supervisor that is starting, on the socket that is its stderr until it is ready: its first word is a hello,
 * or says in words why there is none. As long as the start takes; the socket is taken over.
 */
export async function awaitConnection(
  socket: Socket,
  path: string,
): Promise<{ readonly connection: Connection } | { readonly said: string }> {
  let said = '';
  const greeted = await greet(socket, path, (decoder, chunk) => {
    if (said.length < saidCharactersMax) said += chunk.toString('latin1');
    // A hello has the version at this place, a text a character.
    return isHello(said) ? decodeChunk(decoder, chunk, socket) : [];
  });
  return greeted.kind === 'connected' ? greeted : { said };
}

/** More than an error of the supervisor has: a path and a few words. */
const saidCharactersMax = 8192;

function isHello(said: string): boolean {
  return said.length <= versionOffset || said.charCodeAt(versionOffset) === wireVersion;
}

type Greeted =
  | { readonly kind: 'connected'; readonly connection: Connection }
  | { readonly kind: 'closed'; readonly failure: unknown };

/** Resolves with the first hello, or with the end of the socket. */
function greet(socket: Socket, path: string, decode: typeof decodeChunk): Promise<Greeted> {
  const decoder = createFrameDecoder();
  const { promise, resolve } = Promise.withResolvers<Greeted>();
  let live: LiveConnection | undefined;
  let failure: unknown;
  socket.on('error', (error) => void (failure = error));
  socket.on('close', () => {
    if (live !== undefined) return live.onClose(failure);
    resolve({ kind: 'closed', failure });
  });
  socket.on('data', (chunk: Buffer) => {
    const messages =
      live === undefined ? decode(decoder, chunk, socket) : decodeChunk(decoder, chunk, socket);
    for (const message of messages) {
      if (live !== undefined) {
        live.onMessage(message);
      } else if (message.kind === 'hello') {
        socket.setTimeout(0);
        live = new LiveConnection(socket, path, message);
        resolve({ kind: 'connected', connection: live });
      }
    }
  });
  return promise;
}

/** Ends the connection where the bytes do not hold together; an error of a listener is not caught here. */
function decodeChunk(decoder: FrameDecoder, chunk: Buffer, socket: Socket): readonly EventMessage[] {
  try {
    return decoder.push(chunk).map((frame) => decodeEvent(frame));
  } catch (error) {
    socket.destroy(error instanceof Error ? error : new Error(String(error)));
    return [];
  }
}

interface Waiting {
  readonly settle: (answer: Answer) => void;
  readonly reject: (error: PodwrightError) => void;
}

/** A connection, and what feeds it: the reader of its socket. */
class LiveConnection implements Connection {
  readonly hello: Connection['hello'];
  readonly #socket: Socket;
  readonly #path: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #receivers = new Map<number, StreamReceiver>();
  readonly #listeners = new Set<(exit: ProcessExit | undefined) => void>();
  #nextTag = 1;
  #end: PodwrightError | undefined;

  constructor(socket: Socket, path: string, hello: Connection['hello']) {
    this.#socket = socket;
    this.#path = path;
    this.hello = hello;
  }

  request<T>(message: UntaggedRequest, accept: (reply: Reply) => T): Promise<T> {
    return this.#ask(message, (answer) => accept(expectReply(answer)));
  }

  list(): ReturnType<Connection['list']> {
    return this.#ask({ kind: 'list' }, (answer) => (answer.kind === 'running' ? answer.processes : []));
  }

  send(message: Parameters<Connection['send']>[0]): boolean {
    return this.#end === undefined && this.#socket.write(encodeRequest(message));
  }

  receive(handle: number, receiver: StreamReceiver): void {
    this.#receivers.set(handle, receiver);
  }

  forget(handle: number): void {
    this.#receivers.delete(handle);
  }

  onExit(listener: (exit: ProcessExit | undefined) => void): Disposable {
    if (this.#end !== undefined) throw this.#end;
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#finish(new PodwrightError('E_CLOSED', `use supervisor ${this.#path}: disposed`));
    this.#socket.destroy();
  }

  onMessage(message: EventMessage): void {
    dispatch(message, { waiting: this.#waiting, receivers: this.#receivers, listeners: this.#listeners });
  }

  onClose(cause: unknown): void {
    const text = `use supervisor ${this.#path}: the connection ended`;
    this.#finish(new PodwrightError('E_CONNECTION', text, { cause }));
    const told = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of told) listener(undefined);
  }

  #ask<T>(message: UntaggedRequest, accept: (answer: Answer) => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#waiting.size >= requestsMax) {
      const text = `ask supervisor ${this.#path}: ${requestsMax} requests wait`;
      return Promise.reject(new PodwrightError('E_LIMIT', text));
    }
    const tag = this.#nextTag;
    this.#nextTag = (tag % 0xffff_ffff) + 1;
    const frame = encodeRequest({ ...message, tag }, this.hello.frameBytesMax);
    const settle = (answer: Answer): void => {
      try {
        resolve(accept(answer));
      } catch (error) {
        reject(error);
      }
    };
    const giveUp = (): void => {
      const late = { settle: (answer: Answer) => this.#undo(message, answer), reject: () => undefined };
      this.#waiting.set(tag, late);
      const text = `ask supervisor ${this.#path} for ${message.kind}: no answer in ${requestMs} ms`;
      reject(new PodwrightError('E_TIMEOUT', text));
    };
    this.#waiting.set(tag, withDeadline({ settle, reject }, giveUp));
    this.#socket.write(frame);
    return promise;
  }

  #undo(message: UntaggedRequest, answer: Answer): void {
    const kill = undoOf(message, answer);
    if (kill !== undefined) this.#ask(kill, () => undefined).catch(() => undefined); // Already ended, or the supervisor is.
  }

  #finish(error: PodwrightError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    for (const receiver of this.#receivers.values()) receiver.onEnd(error);
    this.#waiting.clear();
    this.#receivers.clear();
  }
}

function withDeadline({ settle, reject }: Waiting, giveUp: () => void): Waiting {
  const timer = systemClock.after(requestMs, giveUp);
  return {
    settle: (answer) => {
      timer[Symbol.dispose]();
      settle(answer);
    },
    reject: (error) => {
      timer[Symbol.dispose]();
      reject(error);
    },
  };
}

/** What was given up and has begun after all is ended: nobody knows of it. */
function undoOf(message: UntaggedRequest, answer: Answer): UntaggedRequest | undefined {
  if (message.kind !== 'launch' || answer.kind !== 'reply' || answer.reply.errno !== undefined)
    return undefined;
  return { kind: 'kill', id: message.launch.id, signal: SIGKILL, all: true };
}

function expectReply(answer: Answer): Reply {
  if (answer.kind === 'reply') return answer.reply;
  throw new PodwrightError('E_INVALID', 'ask supervisor: a list came for a reply');
}

function dispatch(
  message: EventMessage,
  to: {
    readonly waiting: Map<number, Waiting>;
    readonly receivers: Map<number, StreamReceiver>;
    readonly listeners: ReadonlySet<(exit: ProcessExit | undefined) => void>;
  },
): void {
  switch (message.kind) {
    case 'reply':
    case 'running': {
      const request = to.waiting.get(message.tag);
      to.waiting.delete(message.tag);
      return request?.settle(message);
    }
    case 'exit':
      for (const listener of to.listeners) listener(message.exit);
      return undefined;
    case 'output':
      return to.receivers.get(message.handle)?.onOutput(message.stream, message.data);
    case 'outputEnd':
      return to.receivers.get(message.handle)?.onOutputEnd(message.stream);
    case 'stdinCredit':
      return to.receivers.get(message.handle)?.onStdinCredit(message.bytes);
    case 'detached': {
      const error = new PodwrightError('E_LIMIT', 'read output: the reader is too slow and was detached');
      to.receivers.get(message.handle)?.onEnd(error);
      to.receivers.delete(message.handle);
      return undefined;
    }
    case 'hello':
      return undefined;
  }
}
