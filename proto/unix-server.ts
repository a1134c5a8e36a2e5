/** The frame of every gRPC server of ours on a Unix socket. Services are its tables, by contract. */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import type * as Grpc from '@grpc/grpc-js';
import type {
  sendUnaryData,
  Server,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Method, Outgoing } from './contract.ts';
import { statusOf } from './status.ts';
import { listenAtPath } from './unix-socket.ts';

/** What a handler is told of its call. */
export interface ServedCall {
  /** Aborts when the client goes, or its deadline passes. */
  readonly signal: AbortSignal;
}

/** Answers one method: with a message, or with as many as its iterable gives. What it throws the client is told: proto/status.ts. */
export type Handler<OneMethod> =
  OneMethod extends Method<infer Request, infer Response, infer Streams>
    ? Streams extends 'response'
      ? (request: Request, call: ServedCall) => AsyncIterable<Outgoing<Response>>
      : Streams extends 'none'
        ? (request: Request, call: ServedCall) => Promise<Outgoing<Response>> | Outgoing<Response>
        : never
    : never;

/** Those of a service; who calls another hears UNIMPLEMENTED. */
export type Handlers<Service> = { readonly [Name in keyof Service]?: Handler<Service[Name]> };

export interface ServedService {
  readonly methods: Readonly<Record<string, Method<unknown, unknown>>>;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** A service with its handlers, for `serveUnix`. */
export function serviceOf<Service extends object>(
  service: Service,
  handlers: Handlers<Service>,
): ServedService {
  // Of a loaded contract every member is a method.
  return { methods: service as ServedService['methods'], handlers };
}

export interface UnixServerOptions {
  readonly path: string;
  /** Permission bits of the socket. Default 0600: its owner's alone. */
  readonly mode?: number;
  readonly services: readonly ServedService[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Bytes of one message of a client. Default 4 MiB, as gRPC has it. */
  readonly messageBytesMax?: number;
  /** Why whoever connected may not (of native/sys/peer.ts: the user), or undefined. Asked once a connection. */
  readonly refusePeer?: (socket: Socket) => string | undefined;
}

const defaultMessageBytesMax = 4 * 1024 * 1024;
/** Connections at once; one more is closed. */
export const connectionsMax = 256;
/** Calls at once of a connection; one more waits at the client. */
export const callsMax = 1000;
/** A client that vanished without a word is found out by a ping. */
const keepaliveMs = 60_000;
const keepaliveTimeoutMs = 20_000;
/** What is under way when the server ends is answered, or cut. */
const closeGraceMs = 500;

/**
 * Serves until disposed of. `grpc`: of loadContract.
 * @throws as listenAtPath
 */
export function serveUnix(
  { grpc }: { readonly grpc: typeof Grpc },
  options: UnixServerOptions,
): Promise<AsyncDisposable> {
  const served = { grpc, services: options.services };
  return openDoor(options, createGate(options, served));
}

export interface LoadedServices {
  readonly grpc: typeof Grpc;
  readonly services: readonly ServedService[];
}

/**
 * The same, where perhaps nobody ever asks: gRPC is loaded with what is served when the first client connects, who waits meanwhile. Where
 * `load` throws, the log says so, the connection is closed, and the next one tries again.
 */
export function serveUnixOnDemand(
  load: () => Promise<LoadedServices>,
  options: Omit<UnixServerOptions, 'services'>,
): Promise<AsyncDisposable> {
  let gate: Promise<Gate> | undefined;
  return openDoor(options, {
    enter: (socket) => {
      gate ??= load().then((served) => createGate(options, served));
      gate.then(
        ({ enter }) => enter(socket),
        (error: unknown) => {
          gate = undefined;
          options.log.error({ socket: options.path, error: describeError(error) }, 'nothing is served');
          socket.destroy();
        },
      );
    },
    close: async () => {
      const opened = await gate?.catch(() => undefined);
      await opened?.close();
    },
  });
}

/** Where connections become those of a gRPC server. */
interface Gate {
  enter(socket: Socket): void;
  close(): Promise<void>;
}

function createGate(
  { messageBytesMax, clock }: Omit<UnixServerOptions, 'services'>,
  { grpc, services }: LoadedServices,
): Gate {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': messageBytesMax ?? defaultMessageBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': callsMax,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
  });
  for (const service of services) addService(server, service);
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  return {
    enter: (socket) => injector.injectConnection(socket),
    close: () => stopServer(server, clock),
  };
}

async function openDoor(options: Omit<UnixServerOptions, 'services'>, gate: Gate): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const door = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const refused = options.refusePeer?.(socket);
    if (refused !== undefined) {
      options.log.warn({ socket: options.path, reason: refused }, 'a connection is refused');
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    gate.enter(socket);
  });
  door.maxConnections = connectionsMax;
  const taken = await listenAtPath(door, options.path, options);
  return {
    [Symbol.asyncDispose]: async () => {
      await taken[Symbol.asyncDispose]();
      const closed = closeDoor(door);
      await gate.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function closeDoor(door: NetServer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  door.close(() => resolve());
  return promise;
}

async function stopServer(server: Server, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.tryShutdown(() => resolve());
  using _cut = clock.after(closeGraceMs, () => {
    server.forceShutdown();
    resolve();
  });

  await promise;
}

type UnaryHandler = (request: unknown, call: ServedCall) => unknown;
type StreamHandler = (request: unknown, call: ServedCall) => AsyncIterable<unknown>;

function addService(server: Server, { methods, handlers }: ServedService): void {
  const implementation: Record<string, UntypedServiceImplementation[string]> = {};
  for (const [name, method] of Object.entries(methods)) {
    const handler = handlers[name];
    if (handler === undefined) continue;
    // By the types of `serviceOf`.
    implementation[name] = method.responseStream
      ? streamed(handler as StreamHandler)
      : unary(handler as UnaryHandler);
  }
  server.addService(methods, implementation);
}

function unary(handler: UnaryHandler): UntypedServiceImplementation[string] {
  return (call: ServerUnaryCall<unknown, unknown>, reply: sendUnaryData<unknown>) => {
    const answer = async (): Promise<unknown> => handler(call.request, { signal: signalOf(call) });
    answer().then(
      (response) => reply(null, response),
      (error: unknown) => reply(statusOf(error)),
    );
  };
}

function streamed(handler: StreamHandler): UntypedServiceImplementation[string] {
  return (call: ServerWritableStream<unknown, unknown>) => {
    call.on('error', () => undefined); // Of a client that is gone.
    const signal = signalOf(call);
    const send = async (): Promise<void> => {
      for await (const message of handler(call.request, { signal })) {
        if (signal.aborted) return;
        if (!call.write(message)) await drained(call, signal);
      }
    };
    send().then(
      () => call.end(),
      (error: unknown) => void call.emit('error', { ...statusOf(error), message: describeError(error) }),
    );
  };
}

/** Resolves when more may be written, or nobody reads any more. */
function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  call.once('drain', resolve);
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

interface Cancellable {
  readonly cancelled: boolean;
  on(event: 'cancelled', listener: () => void): unknown;
}

function signalOf(call: Cancellable): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new DOMException('the client is gone', 'AbortError'));
  if (call.cancelled) abort();
  call.on('cancelled', abort);
  return controller.signal;
}
