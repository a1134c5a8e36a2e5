/**
 * An agent's own door for the command line: HTTP on DATA/agent.sock, which only root can open.
 *
 *   GET    /images                     → ImageRecord[]
 *   POST   /images?name=REF            body: an archive → ImageRecord[]
 *   DELETE /images?reference=REF       → RemovedImage
 *   POST   /images/prune               → PrunedImages
 *   GET    /archive?reference=REF&…    → an archive; what ends it early is the trailer `failure`
 *   POST   /pull?reference=REF         → lines of PullNews (pull/pull-stream.ts)
 *   GET    /status                     → AgentStatus
 *
 * Failures are { code, message } with status 400.
 */
import { chmodSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

import { systemClock, type Clock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { errorOf, failureOf, type Failure } from '#base/failure.ts';
import { http } from '#base/http/http.ts';
import type { ImageRecord, ImageStore, Runtime } from '#agent/runtime/runtime.ts';
import { clearSocketPath } from './program/socket-path.ts';
import { pullStreamType, readPull, sendPull, type PullNews } from './pull/pull-stream.ts';

const imports = 4; // At once; each holds one layer's buffers.
const answerBytesMax = 16 * 1_048_576;
/** A stopped agent keeps its socket, and answers nothing. An import takes as long as its archive. */
const answerMsMax = 30_000;

export interface AgentStatus {
  readonly node: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly pods: number;
  readonly rssBytes: number;
  /** Why this agent, as it started, could not have the demo image. */
  readonly demoImageProblem?: string;
  /** Why the node touches none of its pods: the server is another cluster's. */
  readonly clusterProblem?: string;
}

export interface RemovedImage {
  /** Of the image, which keep its layers until they are removed. */
  readonly containers: number;
}

export interface PrunedImages {
  readonly removed: readonly ImageRecord[];
  /** What could not be removed, and why. */
  readonly failures: readonly string[];
}

export interface ControlPorts {
  readonly images: ImageStore;
  /** How many containers, running or ended, are made of an image, or mount it. */
  readonly containersOf: (imageId: string) => number;
  /** Names of images that stay: they are in no registry. */
  readonly pinned: readonly string[];
  readonly status: () => AgentStatus;
}

/** Containers, running or ended, that are made of an image, or mount it. */
export function countContainers(runtime: Pick<Runtime, 'images' | 'observeAll'>, imageId: string): number {
  const containers = runtime.observeAll().flatMap((pod) => pod.containers);
  return containers.filter((container) => {
    const mounted = (container.mountedImages ?? []).map((each) => each.imageId);
    return [container.imageId, ...mounted].some((id) => runtime.images.resolve(id)?.id === imageId);
  }).length;
}

export async function startControl(socketPath: string, ports: ControlPorts): Promise<AsyncDisposable> {
  clearSocketPath(socketPath);
  const server = http.createServer((request, response) => void answer(request, response, ports));
  server.maxConnections = imports * 4;
  server.requestTimeout = 0; // An import takes as long as its archive.
  server.listen(socketPath);
  await once(server, 'listening');
  chmodSync(socketPath, 0o600);
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  ports: ControlPorts,
): Promise<void> {
  const abort = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished)
      abort.abort(new PodwrightError('E_CONNECTION', 'the command line went away'));
  });
  try {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://agent');
    if (request.method === 'GET' && pathname === '/archive') {
      await sendArchive(response, { ports, references: searchParams.getAll('reference') }, abort.signal);
      return;
    }
    if (request.method === 'POST' && pathname === '/pull') {
      const reference = searchParams.get('reference') ?? '';
      await sendPull(response, { images: ports.images, reference, clock: systemClock }, abort.signal);
      return;
    }
    const body = await dispatch(request, ports, abort.signal);
    if (body === undefined) response.writeHead(204).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  } catch (error) {
    // The command line reads the answer only when it has sent all of an archive, so what is left of a refused one is taken in.
    request.unpipe().resume();
    await finished(request, { writable: false }).catch(() => undefined);
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify(failureOf(error)));
  }
}

async function dispatch(
  request: IncomingMessage,
  ports: ControlPorts,
  signal: AbortSignal,
): Promise<unknown> {
  const url = new URL(request.url ?? '/', 'http://agent');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /images':
      return ports.images.list();
    case 'POST /images':
      return ports.images.importArchive(
        request.pipe(new PassThrough()),
        { name: url.searchParams.get('name') ?? undefined },
        signal,
      );
    case 'DELETE /images':
      return removeImage(ports, url.searchParams.get('reference') ?? '');
    case 'POST /images/prune':
      return pruneImages(ports);
    case 'GET /status':
      return ports.status();
    default:
      throw new PodwrightError('E_NOT_FOUND', `${request.method} ${url.pathname}: no such call`);
  }
}

const failureTrailer = 'failure';

/** @throws what is wrong before there is anything of it */
async function sendArchive(
  response: ServerResponse,
  { ports, references }: { readonly ports: ControlPorts; readonly references: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const { images } = ports;
  if (images.exportArchive === undefined)
    throw new PodwrightError('E_UNSUPPORTED', "export images: this node's are in another runtime; ask that");
  const missing = references.find((reference) => images.resolve(reference) === undefined);
  if (missing !== undefined)
    throw new PodwrightError(
      'E_NOT_FOUND',
      `export image ${missing}: no such image; podwright image ls lists them`,
    );
  response.writeHead(200, { 'content-type': 'application/x-tar', trailer: failureTrailer });
  response.flushHeaders(); // Who asks waits for them only so long, and an archive begins when all of it has been read.
  try {
    for await (const chunk of images.exportArchive(references, signal)) {
      if (!response.write(chunk)) await once(response, 'drain', { signal });
    }
  } catch (error) {
    if (signal.aborted) return;
    response.addTrailers({ [failureTrailer]: encodeURIComponent(describeError(error)) });
  }
  response.end();
}

async function removeImage({ images, containersOf }: ControlPorts, reference: string): Promise<RemovedImage> {
  const found = images.resolve(reference);
  if (found === undefined) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      `remove image ${reference}: no such image; podwright image ls lists them`,
    );
  }
  const containers = containersOf(found.id);
  await images.remove(reference);
  // One that has other names is still there.
  return { containers: images.resolve(found.id) === undefined ? containers : 0 };
}

/** All that no container is made of, or mounts. */
async function pruneImages({ images, containersOf, pinned }: ControlPorts): Promise<PrunedImages> {
  const unused = images.list().filter(({ id, names }) => {
    const isPinned = names.some((name) => pinned.includes(name));
    return !isPinned && containersOf(id) === 0;
  });
  const removed: ImageRecord[] = [];
  const failures: string[] = [];
  for (const image of unused) {
    try {
      await images.remove(image.id);
      removed.push(image);
    } catch (error) {
      failures.push(`${image.names[0] ?? image.id}: ${describeError(error)}`);
    }
  }
  return { removed, failures };
}

interface AskOptions {
  readonly method: string;
  readonly path: string;
  readonly body?: Readable;
}

/** Asks an agent. @throws E_CONNECTION when it does not run, E_TIMEOUT when it is silent, and what the agent answered. */
async function ask(
  socketPath: string,
  { method, path, body, clock }: AskOptions & { readonly clock: Clock },
): Promise<unknown> {
  const request = http.request({ socketPath, method, path });
  const answered = once(request, 'response');
  using late = new DisposableStack();

  const seconds = answerMsMax / 1000;
  const silent = new PodwrightError(
    'E_TIMEOUT',
    `ask the agent at ${socketPath}: no answer in ${seconds} s; is it stopped?`,
  );
  if (body === undefined) late.use(clock.after(answerMsMax, () => request.destroy(silent)));
  if (body === undefined) request.end();
  else body.pipe(request);
  let response: IncomingMessage;
  try {
    [response] = await answered;
  } catch (cause) {
    if (cause === silent) throw silent;
    throw new PodwrightError(
      'E_CONNECTION',
      `ask the agent at ${socketPath}: ${errnoOf(cause) ?? 'no answer'}; is it running?`,
      { cause },
    );
  }
  late.dispose();
  if (response.headers['content-type'] === 'application/x-tar') return readArchive(response);
  if (response.headers['content-type'] === pullStreamType) return readPull(response);
  const text = await readAll(response);
  if (response.statusCode === 204) return undefined;
  const value: unknown = JSON.parse(text);
  if (response.statusCode === 200) return value;
  throw errorOf(value as Failure); // Our own agent's answer, as above.
}

/** @throws E_CONNECTION where the agent went away, E_INTERNAL with what it said that ended the archive */
async function* readArchive(response: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (cause) {
    throw new PodwrightError('E_CONNECTION', `read an archive: ${errnoOf(cause) ?? 'the agent went away'}`, {
      cause,
    });
  }
  const failure = response.trailers[failureTrailer];
  if (failure !== undefined) throw new PodwrightError('E_INTERNAL', decodeURIComponent(failure));
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > answerBytesMax)
      throw new PodwrightError('E_LIMIT', `read the agent's answer: more than ${answerBytesMax} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

export interface ControlClient {
  images(): Promise<readonly ImageRecord[]>;
  importArchive(archive: Readable, name: string | undefined): Promise<readonly ImageRecord[]>;
  removeImage(reference: string): Promise<RemovedImage>;
  pruneImages(): Promise<PrunedImages>;
  /** By references or ids. What is read of it has to be read to its end, or returned from. */
  exportArchive(references: readonly string[]): Promise<AsyncIterable<Buffer>>;
  /** Ended by returning from what is read. */
  pull(reference: string): Promise<AsyncIterable<PullNews>>;
  status(): Promise<AgentStatus>;
}

export function connectControl(socketPath: string, clock: Clock = systemClock): ControlClient {
  const query = (values: Readonly<Record<string, string>>): string => new URLSearchParams(values).toString();
  const call = (options: AskOptions): Promise<unknown> => ask(socketPath, { ...options, clock });
  return {
    images: async () => (await call({ method: 'GET', path: '/images' })) as readonly ImageRecord[],
    importArchive: async (body, name) => {
      const path = `/images?${query(name === undefined ? {} : { name })}`;
      return (await call({ method: 'POST', path, body })) as readonly ImageRecord[];
    },
    removeImage: async (reference) =>
      (await call({ method: 'DELETE', path: `/images?${query({ reference })}` })) as RemovedImage,
    pruneImages: async () => (await call({ method: 'POST', path: '/images/prune' })) as PrunedImages,
    exportArchive: async (references) => {
      const asked = new URLSearchParams(references.map((reference) => ['reference', reference])).toString();
      return (await call({ method: 'GET', path: `/archive?${asked}` })) as AsyncIterable<Buffer>;
    },
    pull: async (reference) =>
      (await call({ method: 'POST', path: `/pull?${query({ reference })}` })) as AsyncIterable<PullNews>,
    status: async () => (await call({ method: 'GET', path: '/status' })) as AgentStatus,
  };
}
