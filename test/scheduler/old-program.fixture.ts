/** Programs of Kubernetes 1.20 from the archive of docs/conformance.md, as clients of a server of ours. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describeError } from '#base/errors.ts';
import type { Transport, TransportResponse } from '#client/transport.ts';

const directory = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'podwright/kubernetes-1.20.2',
);

/** Of a program that finds the server there, whoever it is. */
export function writeKubeconfig(path: string, server: string): void {
  const named = (more: object): readonly object[] => [{ name: 'c', ...more }];
  const text = JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
    clusters: named({ cluster: { server } }),
    users: named({ user: {} }),
    contexts: named({ context: { cluster: 'c', user: 'c' } }),
  });
  writeFileSync(path, text, { mode: 0o600 });
}

/** Why a program of the archive cannot be run here; undefined if it can. */
export function oldProgramLacks(name: string): string | undefined {
  return existsSync(join(directory, name)) ? undefined : `no ${name} in ${directory}`;
}

/** Runs until disposed; what it says goes to `log`. */
export function startOldProgram(name: string, args: readonly string[], log: string): AsyncDisposable {
  const file = openSync(log, 'a');
  const child = spawn(join(directory, name), args, { stdio: ['ignore', file, file] });
  closeSync(file);
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  return {
    [Symbol.asyncDispose]: async () => {
      process.off('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      kill();
      await ended;
    },
  };
}

/** Versions that 1.20 asks for and 1.36 has no more, as the versions that are the same but for their name. */
const renamed: readonly (readonly [old: string, current: string])[] = [
  ['policy/v1beta1', 'policy/v1'],
  ['batch/v1beta1', 'batch/v1'],
];

/**
 * An address of this machine's loopback where a client of 1.20 that speaks JSON finds the server: whoever asks there is who the transport
 * is. Groups' versions of its time are shown as those of today.
 */
export async function serveOldVersions(
  transport: Transport,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    void pass(transport, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end(describeError(error));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const ofConnection = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'accept-encoding',
]);

async function pass(transport: Transport, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece);
  const url = request.url ?? '/';
  const version = renamed.find(([old]) => url.startsWith(`/apis/${old}/`));
  const text = Buffer.concat(pieces).toString();
  const answer = await transport.request({
    method: request.method ?? 'GET',
    path: version === undefined ? url : url.replace(version[0], version[1]),
    headers: Object.fromEntries(
      Object.entries(request.headers).flatMap(([name, value]) =>
        value === undefined || ofConnection.has(name) ? [] : [[name, value]],
      ),
    ),
    ...(pieces.length === 0 ? {} : { body: Buffer.from(today(text, version)) }),
    signal: gone.signal,
    stream: true,
  });
  response.writeHead(answer.status, headersOf(answer));
  response.flushHeaders();
  if (answer.body instanceof Uint8Array) {
    response.end(version === undefined ? answer.body : then(Buffer.from(answer.body).toString(), version));
    return;
  }
  if (version === undefined) for await (const piece of answer.body) response.write(piece);
  else for await (const line of linesOf(answer.body)) response.write(then(line, version));
  response.end();
}

function headersOf({ headers }: TransportResponse): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !ofConnection.has(name) && !name.startsWith(':')),
  );
}

type Renamed = (typeof renamed)[number] | undefined;

function today(text: string, version: Renamed): string {
  return version === undefined
    ? text
    : text.replaceAll(`"apiVersion":"${version[0]}"`, `"apiVersion":"${version[1]}"`);
}

function then(text: string, version: Renamed): string {
  return version === undefined
    ? text
    : text.replaceAll(`"apiVersion":"${version[1]}"`, `"apiVersion":"${version[0]}"`);
}

/** Whole lines, as a version may be told in two pieces; what follows the last line comes at the end. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const end = rest.lastIndexOf('\n') + 1;
    if (end > 0) yield rest.slice(0, end);
    rest = rest.slice(end);
  }
  if (rest !== '') yield rest;
}
