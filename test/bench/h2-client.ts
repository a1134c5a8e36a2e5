/** A plain HTTP/2 client, as thin as node:http2 allows, so that it costs little beside the server that it measures. */
import {
  connect,
  constants,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { once } from 'node:events';

export interface Access {
  readonly server: string;
  readonly caPem?: string | undefined;
  readonly clientCertPem?: string | undefined;
  readonly clientKeyPem?: string | undefined;
  readonly token?: string | undefined;
  /** Of every request, besides. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface H2Client extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  /** The body of the answer. @throws {Refusal} for a status of 400 and more */
  request(method: string, path: string, body?: Buffer | string): Promise<Buffer>;
  /** Calls back with each chunk until it is disposed. Resolves when the answer has begun. */
  stream(path: string, onChunk: (chunk: Buffer) => void): Promise<Disposable>;
}

/** An answer of status 400 or more. */
export class Refusal extends Error {
  readonly status: number;
  /** What its header Retry-After asks for; undefined without. */
  readonly retryAfterMs: number | undefined;

  constructor(asked: string, head: IncomingHttpHeaders & IncomingHttpStatusHeader, body: string) {
    const status = head[':status'] ?? 0;
    super(`${asked}: ${status} ${body.slice(0, 300)}`);
    this.status = status;
    const seconds = Number(head['retry-after'] ?? Number.NaN);
    this.retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  }
}

const windowBytes = 4_194_304;

export async function openClient(access: Access): Promise<H2Client> {
  const session = connect(access.server, {
    ...(access.caPem === undefined ? { rejectUnauthorized: false } : { ca: access.caPem }),
    ...(access.clientCertPem === undefined ? {} : { cert: access.clientCertPem, key: access.clientKeyPem }),
    settings: { initialWindowSize: windowBytes, enablePush: false },
  });
  session.on('error', () => undefined); // Each stream gets it.
  await once(session, 'connect');
  session.setLocalWindowSize(16 * windowBytes);
  const common = {
    accept: 'application/json',
    'content-type': 'application/json',
    ...access.headers,
    ...(access.token === undefined ? {} : { authorization: `Bearer ${access.token}` }),
  };
  return {
    session,
    request: (method, path, body) => {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      const headers = { ...common, ':method': method, ':path': path };
      const stream = session.request(headers, { endStream: body === undefined });
      let head: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
      const chunks: Buffer[] = [];
      stream.once('response', (received) => (head = received));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.once('end', () => {
        const answer = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
        if ((head[':status'] ?? 0) < 400) resolve(answer);
        else reject(new Refusal(`${method} ${path}`, head, answer.toString()));
      });
      stream.once('error', reject);
      if (body !== undefined) stream.end(body);
      return promise;
    },
    stream: async (path, onChunk) => {
      const stream = session.request({ ...common, ':method': 'GET', ':path': path });
      stream.on('data', onChunk);
      stream.on('error', () => undefined); // It ends when it is disposed, or with the session.
      const [head] = await once(stream, 'response');
      if (head[':status'] !== 200) throw new Error(`watch ${path}: ${head[':status']}`);
      return { [Symbol.dispose]: () => stream.close(constants.NGHTTP2_CANCEL) };
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(session, 'close');
      session.destroy();
      await closed;
    },
  };
}
