/** A daemon's calls over a Unix socket: one line of JSON there, one back. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { cniCodeOf, cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { asObject, field, parseJsonObject } from '#api/cni/json-field.ts';
import type { CniAttachment } from '#api/cni/network-config.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { peerUserOf } from '#native/sys/peer.ts';
import type { Attachment, DhcpDaemon } from './daemon.ts';
import { parseLease, parseLeaseRequest } from './holding.ts';

/** A list of valid attachments is the longest. */
const lineBytesMax = 4 * 1024 * 1024;
const connectionsMax = 256;
/** From the first byte of a call to its last. */
const lineMsMax = 5_000;

/** A server that is yet to listen; it answers root, and who runs it. */
export function serveDaemon(daemon: DhcpDaemon): Server {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    void answer(socket, daemon).catch(() => socket.destroy());
  });
  server.maxConnections = connectionsMax;
  return server;
}

async function answer(socket: Socket, daemon: DhcpDaemon): Promise<void> {
  const user = peerUserOf(socket);
  if (user !== 0 && user !== process.geteuid?.()) {
    socket.destroy();
    return;
  }
  socket.setTimeout(lineMsMax, () => socket.destroy());
  const line = await readLine(socket);
  socket.setTimeout(0);
  const gone = new AbortController();
  socket.once('close', () => gone.abort(new PodwrightError('E_CONNECTION', 'the caller went away')));
  try {
    socket.end(`${JSON.stringify(await run(daemon, parseJsonObject(line, 'call'), gone.signal))}\n`);
  } catch (error) {
    socket.end(`${JSON.stringify({ error: { code: cniCodeOf(error), message: describeError(error) } })}\n`);
  }
}

async function run(daemon: DhcpDaemon, call: JsonObject, signal: AbortSignal): Promise<JsonObject> {
  switch (call['call']) {
    case 'acquire':
      return { lease: await daemon.acquire(parseLeaseRequest(asObject(call['request'], 'request')), signal) };
    case 'release':
      await daemon.release(parseAttachment(call), signal);
      return {};
    case 'leaseOf':
      return { lease: await daemon.leaseOf(parseAttachment(call), signal) };
    case 'retain': {
      const valid = field.objects(call, 'valid').map((item) => ({
        containerID: field.string(item, 'containerID') ?? '',
        ifname: field.string(item, 'ifname') ?? '',
      }));
      await daemon.retain(field.string(call, 'network') ?? '', valid, signal);
      return {};
    }
    case 'ping':
      await daemon.ping(signal);
      return {};
    default:
      throw cniError(cniErrorCode.decodingFailure, `dhcp daemon: no call ${JSON.stringify(call['call'])}`);
  }
}

function parseAttachment(call: JsonObject): Attachment {
  const text = (name: string): string => field.string(call, name) ?? '';
  return { network: text('network'), containerId: text('containerId'), ifname: text('ifname') };
}

/** connect(2) to a Unix socket that nobody has. */
const nobodyListens: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED']);

/** The daemon that listens there. Each call is a connection. @throws code 11 and `detail.isMissing` where nobody does, and what it says */
export function connectToDaemon(path: string): DhcpDaemon {
  const call = (document: JsonObject, signal: AbortSignal): Promise<JsonObject> =>
    ask(path, document, signal);
  return {
    acquire: async (request, signal) => {
      const { lease } = await call({ call: 'acquire', request }, signal);
      return parseLease(asObject(lease, 'lease'));
    },
    release: async (attachment, signal) => void (await call({ call: 'release', ...attachment }, signal)),
    leaseOf: async (attachment, signal) => {
      const { lease } = await call({ call: 'leaseOf', ...attachment }, signal);
      return lease === undefined ? undefined : parseLease(asObject(lease, 'lease'));
    },
    retain: async (network, valid: readonly CniAttachment[], signal) =>
      void (await call({ call: 'retain', network, valid }, signal)),
    ping: async (signal) => void (await call({ call: 'ping' }, signal)),
  };
}

async function ask(path: string, document: JsonObject, signal: AbortSignal): Promise<JsonObject> {
  signal.throwIfAborted();
  const socket = connect(path);
  const onAbort = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await once(socket, 'connect');
    socket.write(`${JSON.stringify(document)}\n`);
    const reply = parseJsonObject(await readLine(socket), 'answer of the DHCP daemon');
    const error = field.object(reply, 'error');
    if (error === undefined) return reply;
    throw cniError(
      field.number(error, 'code') ?? cniErrorCode.internal,
      field.string(error, 'message') ?? 'dhcp',
    );
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined) throw cause;
    throw new PodwrightError(
      'E_BUSY',
      `dhcp: ask the daemon at ${path}: ${errno}; is podwright-cni-dhcp.service running?`,
      { detail: { cniCode: cniErrorCode.tryAgainLater, isMissing: nobodyListens.has(errno) }, cause },
    );
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

function readLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  socket.once('error', reject);
  socket.once('close', () => reject(new PodwrightError('E_CONNECTION', 'dhcp: the other side went away')));
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    const end = chunk.indexOf('\n');
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
    if (end >= 0) resolve(Buffer.concat(chunks).toString('utf8'));
    else if (bytes > lineBytesMax)
      reject(new PodwrightError('E_LIMIT', `dhcp: a line of more than ${lineBytesMax} bytes`));
  });
  return promise;
}
