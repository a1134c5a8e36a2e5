import type { WebSocket } from 'ws';
import { PodwrightError } from '#base/errors.ts';
import { objectsOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { Status } from '#api/generated/objects.ts';
import { objectPath, pods } from '#api/schema/kind-ref.ts';
import { apiError } from '#client/api-error.ts';
import type { ObjectRef } from '#client/client.ts';
import type { HttpTransportOptions } from '#client/http-transport.ts';
import { impersonationHeaders, type Impersonation } from '#client/requests/impersonation.ts';

export interface ExecOptions {
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly string[];
  readonly container?: string | undefined;
  /** Whether `write` is going to be used. Default no. */
  readonly stdin?: boolean | undefined;
  /** A terminal: stdout and stderr come as one. */
  readonly tty?: boolean | undefined;
  readonly onStdout?: ((bytes: Uint8Array) => void) | undefined;
  readonly onStderr?: ((bytes: Uint8Array) => void) | undefined;
  /** Ends the connection; the program is told by its closed streams. */
  readonly signal?: AbortSignal | undefined;
}

export interface ExecSession {
  write(bytes: Uint8Array | string): void;
  /** Ends the program's stdin; the rest goes on (protocol v5). */
  closeStdin(): void;
  resize(columns: number, rows: number): void;
  /** How the program ended. Rejects with E_API when it could not be run, E_CONNECTION when the connection broke. */
  readonly ended: Promise<{ readonly exitCode: number }>;
}

interface ExecReach extends HttpTransportOptions {
  readonly userAgent: string;
  readonly impersonate: Impersonation | undefined;
}

// Channels of v5.channel.k8s.io (KEP-4006); 255 closes the one that follows.
const protocol = 'v5.channel.k8s.io';
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const handshakeMsMax = 30_000;
const messageBytesMax = 32 * 1_048_576;
const answerBytesMax = 65_536;

/** Runs a command in a container, over a WebSocket of its own. Resolves when it is connected. @throws {E_API} {E_CONNECTION} */
export async function openExec(
  reach: ExecReach,
  where: ObjectRef,
  options: ExecOptions,
): Promise<ExecSession> {
  const { WebSocket } = await import('ws'); // Which few clients ever need.
  options.signal?.throwIfAborted();
  const url = new URL(reach.server);
  const base = url.pathname === '/' ? '' : url.pathname.replace(/\/$/, '');
  const socket = new WebSocket(`wss://${url.host}${base}${execPath(where, options)}`, protocol, {
    headers: headersOf(reach),
    ...tlsOf(reach),
    handshakeTimeout: handshakeMsMax,
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
  });
  const what = `exec in ${where.name}`;
  const ended = Promise.withResolvers<{ readonly exitCode: number }>();
  ended.promise.catch(() => undefined); // Whoever waits for it is told; nobody has to.
  const onAbort = (): void => {
    ended.reject(options.signal?.reason);
    socket.terminate();
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  socket.on('message', (data) => {
    const message = bytesOf(data);
    const bytes = message.subarray(1);
    if (message[0] === channel.stdout) options.onStdout?.(bytes);
    else if (message[0] === channel.stderr) options.onStderr?.(bytes);
    else if (message[0] === channel.error) settle(what, bytes.toString('utf8'), ended);
  });
  socket.once('close', () => {
    options.signal?.removeEventListener('abort', onAbort);
    ended.reject(new PodwrightError('E_CONNECTION', `${what}: connection closed`)); // Without effect after an end that was told.
  });
  await opened(socket, what);
  return {
    write: (given) => {
      const bytes = typeof given === 'string' ? Buffer.from(given) : given;
      socket.send(Buffer.concat([Buffer.of(channel.stdin), bytes]));
    },
    closeStdin: () => socket.send(Buffer.of(channel.close, channel.stdin)),
    resize: (columns, rows) =>
      socket.send(
        Buffer.concat([
          Buffer.of(channel.resize),
          Buffer.from(JSON.stringify({ Width: columns, Height: rows })),
        ]),
      ),
    ended: ended.promise,
  };
}

function execPath(where: ObjectRef, options: ExecOptions): string {
  const query = new URLSearchParams();
  for (const word of options.command) query.append('command', word);
  if (options.container !== undefined) query.set('container', options.container);
  query.set('stdin', String(options.stdin === true));
  query.set('stdout', 'true');
  query.set('stderr', String(options.tty !== true));
  query.set('tty', String(options.tty === true));
  return `${objectPath(pods, { ...where, subresource: 'exec' })}?${query}`;
}

function headersOf({ token, userAgent, impersonate }: ExecReach): Record<string, string | string[]> {
  const bearer = typeof token === 'function' ? token() : token;
  const as = Object.entries(impersonationHeaders(impersonate));
  return {
    'user-agent': userAgent,
    ...(bearer === undefined || bearer === '' ? {} : { authorization: `Bearer ${bearer}` }),
    ...Object.fromEntries(as.map(([name, value]) => [name, typeof value === 'string' ? value : [...value]])),
  };
}

function tlsOf(reach: ExecReach): object {
  const { caPem, clientCertPem, clientKeyPem, serverName, insecureSkipTlsVerify } = reach;
  return {
    ...(caPem === undefined ? {} : { ca: caPem }),
    ...(clientCertPem === undefined ? {} : { cert: clientCertPem, key: clientKeyPem }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: insecureSkipTlsVerify !== true,
  };
}

async function opened(socket: WebSocket, what: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('open', resolve);
  socket.on('error', (error) => reject(new PodwrightError('E_CONNECTION', what, { cause: error })));
  socket.once('unexpected-response', (_request, response) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    response.on('data', (piece: Buffer) => {
      if ((bytes += piece.length) <= answerBytesMax) pieces.push(piece);
    });
    response.once('close', () => {
      reject(apiError(what, statusIn(Buffer.concat(pieces).toString('utf8')), response.statusCode ?? 500));
      socket.terminate();
    });
  });
  await promise;
}

function statusIn(text: string): Status {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return { message: text.trim().slice(0, 500) };
  }
}

/** What the server says of the end: success, or a Status whose cause ExitCode has the number. */
function settle(
  what: string,
  text: string,
  ended: PromiseWithResolvers<{ readonly exitCode: number }>,
): void {
  const status = statusIn(text);
  if (status.status === 'Success') {
    ended.resolve({ exitCode: 0 });
    return;
  }
  const cause = objectsOf(status.details?.causes).find(({ reason }) => reason === 'ExitCode');
  if (cause === undefined) ended.reject(apiError(what, status));
  else ended.resolve({ exitCode: Number(stringOf(cause['message'])) });
}

function bytesOf(data: Buffer | ArrayBuffer | readonly Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return data instanceof ArrayBuffer ? Buffer.from(data) : Buffer.concat(data);
}
