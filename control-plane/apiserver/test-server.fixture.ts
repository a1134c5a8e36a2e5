import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { startApiServer, type ApiServer, type ApiServerOptions } from './server.ts';
import type { User } from './serve/request.ts';

/** What came back: parsed when it is JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The JSON body, for tests to reach into; undefined for other bodies. */
  readonly json: Json;
}

/** A JSON value of which a test knows the shape. */
export interface Json {
  readonly [field: string]: Json;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server of a test's own, and short ways to talk to it. */
export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  readonly directory: string;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Creates the object by its kind's plural path, and fails unless that works. */
  make(path: string, object: unknown): Promise<Json>;
  /** The lines of a watch, as they come. */
  watch(path: string, signal: AbortSignal): AsyncGenerator<Json, void>;
}

const decoder = new TextDecoder();

export async function startTestServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-apiserver-'));
  const server = await startApiServer({
    dataDir: directory,
    listeners: [{ host: '127.0.0.1', port: 0 }],
    advertiseAddress: '192.0.2.1', // Of documentation (RFC 5737): nobody goes there.
    clock: systemClock,
    ...options,
  }).catch((error: unknown) => {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  });
  const user: User = { name: 'tester', groups: ['system:masters'] };
  const transport = server.transport(user);
  const call = async (
    method: string,
    path: string,
    { body, headers = {} }: CallOptions = {},
  ): Promise<Answer> => {
    const bytes =
      body === undefined
        ? undefined
        : typeof body === 'string'
          ? Buffer.from(body)
          : body instanceof Uint8Array
            ? body
            : Buffer.from(JSON.stringify(body));
    const typed = bytes !== undefined && headers['content-type'] === undefined && method !== 'PATCH';
    const sent = typed ? { 'content-type': 'application/json', ...headers } : headers;
    const response = await transport.request({
      method,
      path,
      headers: sent,
      ...(bytes === undefined ? {} : { body: bytes }),
    });
    const text = decoder.decode(await wholeBody(response.body));
    const isJson = response.headers['content-type']?.startsWith('application/json') === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  };
  return {
    server,
    directory,
    call,
    make: async (path, object) => {
      const answer = await call('POST', path, { body: object });
      if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${answer.text}`);
      return answer.json;
    },
    watch: async function* (path, signal) {
      const response = await transport.request({ method: 'GET', path, headers: {}, signal, stream: true });
      let rest = '';
      if (response.body instanceof Uint8Array) throw new Error(decoder.decode(response.body));
      for await (const chunk of response.body) {
        const lines = (rest + decoder.decode(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function wholeBody(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A pod that says the least. */
export function podNamed(name: string, more: object = {}): object {
  return { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i' }] }, ...more };
}

/** A Deployment that says the least. */
export function deploymentNamed(name: string, spec: object = {}): object {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  return { metadata: { name }, spec: { selector: { matchLabels: { a: 'b' } }, template, ...spec } };
}
