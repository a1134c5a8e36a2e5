import { chmodSync, lstatSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError, type ErrorCode } from '#base/errors.ts';
import { loadContract, type LoadedContract } from '#proto/load.ts';
import type { ServedStore } from '#control-plane/store/served-store.ts';
import type { Caller, ServeContext } from './calls.ts';
import { kvHandlers } from './kv.ts';
import { keepExpiring, leaseHandlers } from './lease.ts';
import { clusterHandlers, maintenanceHandlers } from './maintenance.ts';
import { requestBytesMax } from './txn-check.ts';
import { watchHandler } from './watch.ts';

/** PEM texts. Who calls shows a certificate that `ca` signed. */
export interface EtcdServerTls {
  readonly ca: string | Uint8Array;
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** An organization that the caller's certificate must name; undefined: any that `ca` signed will do. */
  readonly organization?: string;
}

/** A socket in the file system, which only its owner may use, or a port by TLS. */
export type EtcdListener = { readonly path: string } | { readonly host: string; readonly port: number };

export interface EtcdServerOptions {
  readonly store: ServedStore;
  readonly listeners: readonly EtcdListener[];
  /** Needed for ports. */
  readonly tls?: EtcdServerTls;
  readonly clock: Clock;
}

export interface EtcdServer extends AsyncDisposable {
  /** In the order of the listeners, as etcdctl's `--endpoints` takes them. */
  readonly urls: readonly string[];
}

/** Of a connection: a watch is one, and so is each request under way. */
export const streamsMax = 1000;
/** A client that vanished without a word is found out by a ping, and its watches end. */
const keepaliveMs = 60_000;
const keepaliveTimeoutMs = 20_000;
/** A request is at most as large as its keys and values may be, and what is around them. */
const messageBytesMax = requestBytesMax + 524_288;
const closeGraceMs = 500;

/**
 * Serves an engine as one member of etcd v3. Loads gRPC.
 * @throws E_BUSY for a port or path that is in use; E_PERMISSION; E_USAGE for a port without `tls`, and for what is no socket or certificate
 */
export async function startEtcdServer(options: EtcdServerOptions): Promise<EtcdServer> {
  const { store, clock, listeners } = options;
  await using undo = new AsyncDisposableStack();

  const contract = await loadContract('etcd-v3');
  const closing = new AbortController();
  const clientUrls: string[] = [];
  const context = { store, clock, closing: closing.signal, clientUrls };
  undo.use(keepExpiring({ ...context, mayCall: () => true }));
  for (const listener of listeners) {
    // Who may call differs: a socket's mode says it, or a certificate.
    const isPort = 'port' in listener;
    const mayCall = isPort ? callerCheck(options.tls) : (): boolean => true;
    const server = createServer(contract, { ...context, mayCall });
    undo.defer(() => stopServer(server, clock));
    clientUrls.push(
      isPort
        ? await bindPort(contract, server, listener, options.tls)
        : await bindPath(contract, server, listener.path),
    );
    if (!isPort) undo.defer(() => rmSync(listener.path, { force: true }));
  }
  undo.defer(() => closing.abort());
  const owned = undo.move();
  return { urls: clientUrls, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function createServer({ grpc, services }: LoadedContract<'etcd-v3'>, context: ServeContext): Server {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': streamsMax,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
  });
  server.addService(services['etcdserverpb.KV'], kvHandlers(context));
  server.addService(services['etcdserverpb.Watch'], { Watch: watchHandler(context) });
  server.addService(services['etcdserverpb.Lease'], leaseHandlers(context));
  server.addService(services['etcdserverpb.Maintenance'], maintenanceHandlers(context));
  server.addService(services['etcdserverpb.Cluster'], clusterHandlers(context));
  return server;
}

/** All nodes have certificates of the cluster's authority: who is let at all of the store is of the administrators' organization. */
function callerCheck(tls: EtcdServerTls | undefined): (call: Caller) => boolean {
  const organization = tls?.organization;
  if (organization === undefined) return () => true;
  return (call) => {
    const { O } = call.getAuthContext().sslPeerCertificate?.subject ?? {};
    return [O].flat().includes(organization);
  };
}

async function bindPort(
  { grpc }: LoadedContract<'etcd-v3'>,
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  tls: EtcdServerTls | undefined,
): Promise<string> {
  const address = host.includes(':') ? `[${host}]` : host;
  if (tls === undefined) {
    throw new PodwrightError('E_USAGE', `serve etcd on ${address}:${port}: a port is served by TLS only`);
  }
  const [ca, cert, key] = [tls.ca, tls.cert, tls.key].map((pem) => Buffer.from(pem));
  const pair = { private_key: key ?? Buffer.alloc(0), cert_chain: cert ?? Buffer.alloc(0) };
  const credentials = grpc.ServerCredentials.createSsl(ca ?? null, [pair], true);
  const bound = await bind(server, `${address}:${port}`, credentials);
  return `https://${address}:${bound}`;
}

/** Made where nobody else comes, and only then moved to its name: at no moment is it open to others. Takes over what an earlier life left. */
async function bindPath({ grpc }: LoadedContract<'etcd-v3'>, server: Server, path: string): Promise<string> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
    throw new PodwrightError('E_USAGE', `serve etcd on ${path}: that is no socket`);
  }
  if (await isAnswered(path)) {
    throw new PodwrightError('E_BUSY', `serve etcd on ${path}: another process serves there`);
  }
  let directory: string;
  try {
    directory = mkdtempSync(join(dirname(path), '.e'));
  } catch (cause) {
    throw new PodwrightError('E_PERMISSION', `serve etcd on ${path}: ${describeError(cause)}`, { cause });
  }
  using _directory = { [Symbol.dispose]: () => rmdirSync(directory) };

  const draft = join(directory, 's');
  await bind(server, `unix:${draft}`, grpc.ServerCredentials.createInsecure());
  chmodSync(draft, 0o600);
  renameSync(draft, path);
  return `unix://${path}`;
}

/** Whether somebody listens on the socket. */
async function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}

async function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(address, credentials, (cause, port) => {
    if (cause === null) {
      resolve(port);
      return;
    }
    const code = bindErrorCode(cause);
    reject(new PodwrightError(code, `serve etcd on ${address}: ${cause.message}`, { cause }));
  });
  return promise;
}

function bindErrorCode({ message }: Error): ErrorCode {
  if (message.includes('EADDRINUSE')) return 'E_BUSY';
  return /PEM|key values mismatch|ASN1/i.test(message) ? 'E_USAGE' : 'E_PERMISSION';
}

/** Streams were told already; what is under way is answered, or cut. */
async function stopServer(server: Server, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.tryShutdown(() => resolve());
  using _cut = clock.after(closeGraceMs, () => server.forceShutdown());

  await promise;
}
