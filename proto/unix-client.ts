/** The frame of every gRPC client of ours on a Unix socket. */
import type * as Grpc from '@grpc/grpc-js';
import type { Client, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { PodwrightError } from '#base/errors.ts';
import type { Method, Outgoing } from './contract.ts';
import { goWords } from './go-words.ts';
import { callError } from './status.ts';

export interface UnixClientOptions {
  /** `unix:///run/x.sock`, or the path alone; `unix:///@x` is a name without a file (unix(7), abstract). */
  readonly endpoint: string;
  /** Of a call that says no other. */
  readonly timeoutMs: number;
  /** Bytes of one message of the server. Default 16 MiB, as of kubelets. */
  readonly messageBytesMax?: number;
}

/** Nothing is connected before the first call; what breaks is connected again. */
export interface UnixClient extends Disposable {
  /**
   * One question, one answer. `timeoutMs` Infinity: none.
   * @throws what the server said, by proto/status.ts: `detail.status`, `detail.details`; E_LIMIT with too many under way; the signal's reason
   */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Outgoing<Request>,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<Response>;
  /**
   * What the server sends, as fast as it is taken, until the server ends it, the signal aborts (both end the iteration, the latter by
   * its reason) or the loop is left. @throws as `call`
   */
  stream<Request, Response>(
    method: Method<Request, Response, 'response'>,
    request: Outgoing<Request>,
    signal: AbortSignal,
  ): AsyncIterable<Response>;
}

const defaultMessageBytesMax = 16 * 1024 * 1024;
/** Calls and streams under way at once. */
export const callsMax = 1000;

/** `grpc`: of loadContract. */
export function createUnixClient(
  { grpc }: { readonly grpc: typeof Grpc },
  options: UnixClientOptions,
): UnixClient {
  const client: Client = new grpc.Client(grpcAddress(options.endpoint), grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': options.messageBytesMax ?? defaultMessageBytesMax,
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    // Without a name of its own a server sees the path, percent-encoded, which Go's refuse.
    'grpc.default_authority': 'localhost',
  });
  const underWay = { count: 0 };
  return {
    call: (method, request, { timeoutMs = options.timeoutMs, signal } = {}) =>
      ask(client, { method, request, timeoutMs, signal, underWay }),
    stream: (method, request, signal) => read(client, { method, request, signal, underWay }),
    [Symbol.dispose]: () => client.close(),
  };
}

interface UnderWay {
  count: number;
}

function enter(path: string, underWay: UnderWay): Disposable {
  if (underWay.count >= callsMax) {
    throw new PodwrightError('E_LIMIT', `call ${path}: ${callsMax} calls are under way`);
  }
  underWay.count++;
  return { [Symbol.dispose]: () => void underWay.count-- };
}

async function ask<Request, Response>(
  client: Client,
  question: {
    readonly method: Method<Request, Response>;
    readonly request: Outgoing<Request>;
    readonly timeoutMs: number;
    readonly signal: AbortSignal | undefined;
    readonly underWay: UnderWay;
  },
): Promise<Response> {
  const { method, request, timeoutMs, signal } = question;
  const { path, requestSerialize, responseDeserialize } = method;
  signal?.throwIfAborted();
  using _entered = enter(path, question.underWay);

  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const onAnswer = (error: ServiceError | null, response?: Response): void => {
    if (error === null && response !== undefined) resolve(response);
    else if (signal?.aborted === true) reject(signal.reason);
    else reject(callError(path, error?.code ?? 2, goWords(error?.details ?? '')));
  };
  const deadline = { deadline: timeoutMs === Infinity ? Infinity : Date.now() + timeoutMs };
  const call = client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    deadline,
    onAnswer,
  );
  const onAbort = (): void => call.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

async function* read<Request, Response>(
  client: Client,
  question: {
    readonly method: Method<Request, Response, 'response'>;
    readonly request: Outgoing<Request>;
    readonly signal: AbortSignal;
    readonly underWay: UnderWay;
  },
): AsyncIterable<Response> {
  const { method, request, signal } = question;
  const { path, requestSerialize, responseDeserialize } = method;
  signal.throwIfAborted();
  using _entered = enter(path, question.underWay);

  const call: ClientReadableStream<Response> = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
  );
  const onAbort = (): void => call.cancel();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const message of call) yield message as Response;
  } catch (error) {
    signal.throwIfAborted();
    const { code = 2, details = String(error) } = error as Partial<ServiceError>;
    throw callError(path, code, goWords(details));
  } finally {
    signal.removeEventListener('abort', onAbort);
    call.on('error', () => undefined); // Of its own cancelling.
    call.cancel();
  }
}

/** `unix:///a` and `unix:/a` are the same to gRPC. */
function grpcAddress(endpoint: string): string {
  const path = endpoint.replace(/^unix:(\/\/)?/, '');
  return path.startsWith('/@') ? `unix-abstract:${path.slice(2)}` : `unix:${path}`;
}
