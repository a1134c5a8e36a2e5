/** What is streamed by CRI: a URL for each, to which the client connects by SPDY (v4.channel.k8s.io), as kubectl does to a kubelet. */
import type { IncomingMessage } from 'node:http';
import { Duplex, PassThrough, Writable } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { http } from '#base/http/http.ts';
import { SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import { isObject } from '#api/wire/json.ts';
import type { ExecSession } from '#agent/runtime/runtime.ts';
import type { ProcessStreams } from '#native/launch/launch.ts';

/** From the request to the upgrade. */
const connectMs = 30_000;
/** Bytes of what a runtime says of an end, or instead of an upgrade. */
const statusBytesMax = 65_536;

export interface StreamWish {
  readonly url: string;
  readonly stdin: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** @throws E_CONNECTION with what the runtime answered, E_UNSUPPORTED */
async function connect(url: string, protocol: string, clock: Clock): Promise<SpdySession> {
  if (!URL.canParse(url) || new URL(url).protocol !== 'http:')
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `stream from ${url}: the runtime's streams must be plain http on this host`,
    );
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const request = http.request(url, {
    method: 'POST',
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol },
  });
  using _late = clock.after(connectMs, () =>
    request.destroy(new Error(`no answer within ${connectMs / 1000} s`)),
  );

  request.once('upgrade', (_response: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (head.length > 0) socket.unshift(head);
    resolve(socket);
  });
  request.once('response', (response) => {
    readAll(response).then(
      (text) =>
        reject(
          new PodwrightError('E_CONNECTION', `stream: the runtime answers ${response.statusCode}: ${text}`),
        ),
      reject,
    );
  });
  request.once('error', (cause) =>
    reject(
      new PodwrightError('E_CONNECTION', `stream from ${new URL(url).host}: ${describeError(cause)}`, {
        cause,
      }),
    ),
  );
  request.end();
  const transport = await promise;
  const session = new SpdySession({
    transport,
    clock,
    isServer: false,
    onStream: (stream) => stream.destroy(),
  });
  session.closed.catch(() => undefined); // Told by the streams.
  return session;
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let room = statusBytesMax;
  for await (const chunk of stream) {
    chunks.push(chunk.subarray(0, room));
    room -= Math.min(room, chunk.length);
  }
  return Buffer.concat(chunks).toString('utf8').trim();
}

interface CommandStreams {
  readonly streams: ProcessStreams;
  /** What the runtime said of the end. */
  readonly status: Promise<string>;
}

/** Of exec and attach. @throws E_CONNECTION */
async function openCommand(wish: StreamWish, clock: Clock): Promise<CommandStreams> {
  await using undo = new AsyncDisposableStack();
  const session = undo.use(await connect(wish.url, 'v4.channel.k8s.io', clock));
  const open = (streamtype: string): Promise<SpdyStream> => session.open({ streamtype });
  const error = await open('error');
  const stdin = wish.stdin ? await open('stdin') : undefined;
  const stdout = await open('stdout');
  const stderr = wish.stderr && !wish.tty ? await open('stderr') : undefined;
  const resize = wish.tty ? await open('resize') : undefined;
  undo.move();
  stdin?.resume();
  resize?.on('error', () => undefined); // What it was for has ended.
  return {
    status: readAll(error),
    streams: {
      stdin: stdin === undefined ? undefined : inputOf(stdin),
      stdout,
      stderr,
      resize: (Width, Height) => {
        if (resize?.writable === true) resize.write(`${JSON.stringify({ Width, Height })}\n`);
      },
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    },
  };
}

/** Only what goes out: a side that only listens would hold the stream open. */
function inputOf(stream: SpdyStream): Writable {
  const input = new Writable({
    write: (chunk: Buffer, _encoding, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
    destroy: (error, done) => {
      stream.destroy();
      done(error);
    },
  });
  stream.on('error', (error) => input.destroy(error));
  input.on('error', () => undefined); // Whoever writes is told.
  return input;
}

/** @throws E_CONNECTION */
export async function attachStream(wish: StreamWish, clock: Clock): Promise<ProcessStreams> {
  const { streams, status } = await openCommand(wish, clock);
  status.catch(() => undefined); // The end of its output says it.
  return streams;
}

const exitOfKilled = 137;

/** @throws E_CONNECTION */
export async function execStream(wish: StreamWish, clock: Clock): Promise<ExecSession> {
  const { streams, status } = await openCommand(wish, clock);
  const killed = Promise.withResolvers<number>();
  const exitCode = Promise.race([status.then(exitCodeOf), killed.promise]);
  exitCode.catch(() => undefined); // Told to who waits for it.
  return {
    streams,
    exitCode,
    // CRI has no way to end a command: its streams end, and with them most commands.
    kill: async () => {
      killed.resolve(exitOfKilled);
      await streams[Symbol.asyncDispose]();
    },
  };
}

/** Of the metav1.Status that the error stream ends with. @throws E_CONNECTION where the command did not run to an end */
export function exitCodeOf(text: string): number {
  const status = parsed(text);
  if (status?.['status'] === 'Success') return 0;
  const details = isObject(status?.['details']) ? status['details'] : {};
  const causes: readonly unknown[] = Array.isArray(details['causes']) ? details['causes'] : [];
  const cause = causes.find((each) => isObject(each) && each['reason'] === 'ExitCode');
  const code = isObject(cause) ? Number(cause['message']) : Number.NaN;
  if (Number.isInteger(code) && code >= 0 && code <= 255) return code;
  const said = typeof status?.['message'] === 'string' ? status['message'] : text;
  throw new PodwrightError(
    'E_CONNECTION',
    `run command: ${said === '' ? 'the stream ended before it did' : said}`,
  );
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // Said in words.
  }
}

/** One connection to a port of a sandbox. What the runtime says against it, destroys it with that. @throws E_CONNECTION */
export async function portStream(url: string, port: number, clock: Clock): Promise<Duplex> {
  await using undo = new AsyncDisposableStack();
  const session = undo.use(await connect(url, 'portforward.k8s.io', clock));
  const headers = { port: String(port), requestid: '0' };
  const error = await session.open({ ...headers, streamtype: 'error' });
  const data = await session.open({ ...headers, streamtype: 'data' });
  error.end();
  undo.move();
  const said = readAll(error).catch(() => ''); // The data stream's end says it.
  const connection = connectionOf(data, said, clock);
  connection.once('close', () => void session[Symbol.asyncDispose]().catch(() => undefined));
  return connection;
}

/** How long why there was nothing is waited for. */
const refusalMs = 1_000;

/** Where nothing came, why is said beside it, and perhaps later. */
function connectionOf(data: SpdyStream, said: Promise<string>, clock: Clock): Duplex {
  let hasCome = false;
  const connection = new Duplex({
    read: () => void data.resume(),
    write: (chunk: Buffer, _encoding, done) => void data.write(chunk, done),
    final: (done) => void data.end(done),
    destroy: (error, done) => {
      data.destroy();
      done(error);
    },
  });
  data.on('data', (chunk: Buffer) => {
    hasCome = true;
    if (!connection.push(chunk)) data.pause();
  });
  const end = async (): Promise<void> => {
    const late = Promise.withResolvers<string>();
    using _late = hasCome ? undefined : clock.after(refusalMs, () => late.resolve(''));

    const text = hasCome ? '' : await Promise.race([said, late.promise]);
    if (text === '') connection.push(null);
    else connection.destroy(new PodwrightError('E_CONNECTION', text));
  };
  const ended = Promise.withResolvers<void>();
  for (const event of ['end', 'close']) data.once(event, () => ended.resolve());
  ended.promise
    .then(end)
    .catch((error: unknown) => connection.destroy(error instanceof Error ? error : undefined));
  return connection;
}

/** A command that runs to its end in one call, which is given up by `kill`: the runtime then kills it. */
export function collectedSession(
  run: (signal: AbortSignal) => Promise<{
    readonly stdout: Uint8Array;
    readonly stderr: Uint8Array;
    readonly exit_code: number;
  }>,
  signal: AbortSignal,
): ExecSession {
  const abort = new AbortController();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const whole = async (): Promise<number> => {
    try {
      const result = await run(AbortSignal.any([signal, abort.signal]));
      stdout.end(result.stdout);
      stderr.end(result.stderr);
      return result.exit_code;
    } catch (error) {
      stdout.end();
      stderr.end();
      if (abort.signal.aborted) return exitOfKilled;
      throw error;
    }
  };
  const exitCode = whole();
  exitCode.catch(() => undefined); // Told to who waits for it.
  const end = async (): Promise<void> => abort.abort(new DOMException('killed', 'AbortError'));
  const streams: ProcessStreams = {
    ...{ stdin: undefined, stdout, stderr, resize: () => undefined },
    [Symbol.asyncDispose]: end,
  };
  return { streams, exitCode, kill: end };
}

/** A failure of a call, in the words that the runtime said, as the kubelet shows them. */
export function saidBy(error: unknown): string {
  const said = isPodwrightError(error) ? error.detail['details'] : undefined;
  return typeof said === 'string' && said !== '' ? said : describeError(error);
}
