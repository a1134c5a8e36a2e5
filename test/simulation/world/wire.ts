import { PodwrightError } from '#base/errors.ts';
import type { Transport, TransportRequest, TransportResponse } from '#client/transport.ts';
import type { Target } from '#test/simulation/faults/plan.ts';
import { never, type Program } from './program.ts';
import type { Trouble } from './trouble.ts';
import type { VirtualTime } from './virtual-time.ts';

/** A life of the API server, as the wire sees it. */
export interface ServedLife {
  readonly program: Program;
  request(request: TransportRequest): Promise<TransportResponse>;
}

/** Changes a request on its way, or answers it: what a mistake in the program would do. */
export type Bend = (
  request: TransportRequest,
  send: (request: TransportRequest) => Promise<TransportResponse>,
) => Promise<TransportResponse>;

export interface WireOptions {
  readonly target: Target | 'users';
  readonly program: Program;
  readonly time: VirtualTime;
  readonly random: () => number;
  readonly trouble: Trouble;
  /** The server that answers now; undefined: none. */
  readonly server: () => ServedLife | undefined;
  readonly say: (line: string) => void;
  /** A request was done whose client does not know it. */
  readonly onAmbiguous: (target: string) => void;
  /** The server said that a write is done, as of that revision. */
  readonly onAcknowledged: (revision: number) => void;
  /** A watch is told of these. @returns the last of them, or what it was */
  readonly onTold: (revisions: readonly number[], after: number) => number;
  readonly bend?: Bend | undefined;
}

const wireMsMax = 3;

/** A connection between two programs of the world, with all that a network does to it. */
export function createWire(options: WireOptions): Transport {
  const { program, bend } = options;
  const send = (request: TransportRequest): Promise<TransportResponse> => sendOne(options, request);
  return {
    request: async (request) => {
      if (!program.pass()) return never();
      const answer = await (bend === undefined ? send(request) : bend(request, send)).catch(
        (error: unknown) => {
          if (!program.isAlive) return never<TransportResponse>();
          throw error;
        },
      );
      return program.isAlive ? answer : never();
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function sendOne(options: WireOptions, request: TransportRequest): Promise<TransportResponse> {
  const { target, program, time, random, trouble, say } = options;
  const isWatch = request.stream === true;
  const line = `${target} ${request.method} ${request.path}`;
  const wrong = target === 'users' ? undefined : trouble.next(target);
  // Nothing else waits for a heartbeat.
  if (target !== 'users' && wrong !== undefined && !request.path.includes('/leases/'))
    trouble.note(target, time.nowMs);
  const late = (): number => wireMs(options, 'answer') + Math.floor(random() * wireMsMax);
  await time.sleep(late());
  if (!program.isAlive) return never();
  request.signal?.throwIfAborted();
  const server = options.server();
  if (server === undefined || wrong === 'lost') {
    say(`${line} → ${wrong ?? 'nobody'}`);
    throw new PodwrightError('E_CONNECTION', `${request.method} ${request.path}: no answer`);
  }
  const refused = wrong === undefined ? undefined : refusalOf(wrong, request, random);
  if (refused !== undefined) {
    say(`${line} → ${refused.status} ${wrong}`);
    return refused;
  }
  const hangUp = isWatch ? new AbortController() : undefined;
  const response = await ask(
    options,
    server,
    hangUp === undefined ? request : endedBy(request, hangUp.signal),
  );
  // Not what makes an object of a name that the server chooses: nobody sends that again, as it would be another.
  if (wrong === 'twice' && !isWatch && request.method !== 'GET' && !isNamedByServer(request)) {
    say(`${line} → ${response.status} twice`);
    await time.sleep(Math.floor(random() * 200));
    await ask(options, server, request).catch(() => undefined);
  }
  if (hangUp !== undefined && !(response.body instanceof Uint8Array)) {
    say(`${line} → watch`);
    return { ...response, body: delayed(options, { server, request, body: response.body, hangUp }) };
  }
  const body = response.body instanceof Uint8Array ? response.body : await wholeOf(response.body);
  if (request.method !== 'GET' && response.status < 300) acknowledge(options, body);
  if (wrong === 'unanswered') {
    options.onAmbiguous(target);
    say(`${line} → ${response.status} unanswered`);
    throw new PodwrightError('E_CONNECTION', `${request.method} ${request.path}: connection reset`);
  }
  await time.sleep(late());
  say(`${line} → ${response.status}`);
  return { ...response, body };
}

function endedBy(request: TransportRequest, signal: AbortSignal): TransportRequest {
  return {
    ...request,
    signal: request.signal === undefined ? signal : AbortSignal.any([request.signal, signal]),
  };
}

function wireMs({ target, trouble }: WireOptions, of: 'answer' | 'event'): number {
  return target === 'users' ? 0 : trouble.lateMs(target, of);
}

/** Asks that life of the server; if it ends first, the connection does. */
function ask(
  options: WireOptions,
  server: ServedLife,
  request: TransportRequest,
): Promise<TransportResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>();
  const reset = (): void => {
    if (request.method !== 'GET') options.onAmbiguous(options.target);
    reject(new PodwrightError('E_CONNECTION', `${request.method} ${request.path}: connection reset`));
  };
  if (!server.program.pass()) {
    reset();
    return promise;
  }
  const crash = server.program.onCrash(reset);
  server.request(request).then(
    (response) => {
      crash[Symbol.dispose]();
      resolve(response);
    },
    (error: unknown) => {
      crash[Symbol.dispose]();
      reject(error);
    },
  );
  return promise;
}

function refusalOf(
  wrong: string,
  request: TransportRequest,
  random: () => number,
): TransportResponse | undefined {
  if (wrong === 'conflict')
    return request.method === 'PUT' || request.method === 'PATCH'
      ? statusResponse(
          409,
          'Conflict',
          'the object has been modified; please apply your changes to the latest version and try again',
        )
      : undefined;
  if (wrong !== 'refused') return undefined;
  const dice = random();
  if (dice < 0.4) return statusResponse(429, 'TooManyRequests', 'the server has received too many requests');
  if (dice < 0.7)
    return statusResponse(
      500,
      'InternalError',
      'an error on the server has prevented the request from succeeding',
    );
  return statusResponse(503, 'ServiceUnavailable', 'the server is currently unable to handle the request');
}

function statusResponse(code: number, reason: string, message: string): TransportResponse {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  return {
    status: code,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(status)),
  };
}

const headBytes = 600;
const revisionMark = '"resourceVersion":"';

function acknowledge({ onAcknowledged }: WireOptions, body: Uint8Array): void {
  const head = Buffer.from(body.buffer, body.byteOffset, Math.min(headBytes, body.byteLength)).toString(
    'latin1',
  );
  const revision = /"resourceVersion":"(\d+)"/.exec(head)?.[1];
  if (revision !== undefined) onAcknowledged(Number(revision));
}

async function wholeOf(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

interface Watched {
  readonly server: ServedLife;
  readonly request: TransportRequest;
  readonly body: AsyncIterable<Uint8Array>;
  readonly hangUp: AbortController;
}

/** The pieces of a watch, in their order, each as late as the network makes it. */
async function* delayed(
  options: WireOptions,
  { server, request, body, hangUp }: Watched,
): AsyncGenerator<Uint8Array, void> {
  const { program, time, target, trouble } = options;
  const ready: { readonly bytes: Uint8Array; readonly dueMs: number }[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  let dueMs = 0;
  // What is there at first comes in the order of names.
  const isInOrder = /[?&]resourceVersion=[1-9]/.test(request.path) && !request.path.includes('sendInitial');
  let toldOf = 0;
  const end = (error: unknown): void => {
    ended ??= { error };
    wake.resolve();
  };
  const reset = (): void =>
    end(new PodwrightError('E_CONNECTION', `watch ${request.path}: connection reset`));
  using _crash = server.program.onCrash(reset);
  using _end = program.onCrash(() => hangUp.abort());
  using _cut = target === 'users' ? undefined : trouble.onCut(target, reset);
  const iterator = body[Symbol.asyncIterator]();
  const pump = async (): Promise<void> => {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return end(undefined);
      if (isInOrder) toldOf = options.onTold(revisionsIn(next.value), toldOf);
      dueMs = Math.max(
        dueMs,
        time.nowMs + wireMs(options, 'event') + Math.floor(options.random() * wireMsMax),
      );
      ready.push({ bytes: next.value, dueMs });
      wake.resolve();
    }
  };
  pump().catch(end);
  try {
    for (;;) {
      const first = ready.shift();
      if (first !== undefined) {
        if (first.dueMs > time.nowMs) await time.sleep(first.dueMs - time.nowMs);
        if (!program.isAlive) await never();
        request.signal?.throwIfAborted();
        yield first.bytes;
        continue;
      }
      if (ended !== undefined) {
        if (ended.error !== undefined) throw ended.error;
        return;
      }
      await wake.promise;
      wake = Promise.withResolvers<void>();
      if (!program.isAlive) await never();
    }
  } finally {
    hangUp.abort();
  }
}

/** Of the events of a watch, each a line, that of its object. */
function revisionsIn(lines: Uint8Array): readonly number[] {
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString('latin1');
  const found: number[] = [];
  for (let from = 0; from < text.length;) {
    const end = text.indexOf('\n', from);
    const at = text.indexOf(revisionMark, from);
    const lineEnd = end < 0 ? text.length : end;
    if (at >= 0 && at < lineEnd)
      found.push(Number.parseInt(text.slice(at + revisionMark.length, at + 24 + revisionMark.length), 10));
    from = lineEnd + 1;
  }
  return found;
}

function isNamedByServer({ method, body }: TransportRequest): boolean {
  return method === 'POST' && body !== undefined && Buffer.from(body).includes('"generateName"');
}
