import { existsSync } from 'node:fs';
import { networkInterfaces, hostname } from 'node:os';
import { join } from 'node:path';
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Kind } from '#api/schema/kinds.ts';
import { createKindCatalogue, type KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { Clock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { createTurns } from '#base/turns.ts';
import type { Transport } from '#client/transport.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { openEtcdStore, type EtcdStoreOptions } from '#control-plane/store/etcd/etcd-store.ts';
import type { Store } from '#control-plane/store/store.ts';
import { allPlugins } from './chain/admission/plugins.ts';
import { emptyBooks, keepBooks } from './chain/authz/access-books.ts';
import { createAuthorizer } from './chain/authz/authorizers.ts';
import type { AuthorizationMode } from './chain/authz/modes.ts';
import { InFlight } from './chain/in-flight.ts';
import { NodeStreams } from './nodes/node-streams.ts';
import { TokenAuthority } from './chain/authn/tokens.ts';
import { keepAddressObjects } from './services/address-objects.ts';
import { addressKey } from './services/claims.ts';
import { bootstrap, keepKubernetesService } from './bootstrap.ts';
import { handle } from './chain/handle.ts';
import { serveStoreAsEtcd, type EtcdListen } from './etcd-listen.ts';
import { createHttpServer, servingContext } from './serve/http-server.ts';
import { createInProcessTransport } from './serve/in-process.ts';
import { RequestTurns } from './serve/request-turns.ts';
import { RequestMetrics } from './serve/metrics.ts';
import type { MayDial } from './nodes/dialable.ts';
import { createNodeDialer, type NodeDialer } from './nodes/node-dialer.ts';
import { handleUpgrade } from './nodes/upgrade.ts';
import { ensureClusterPki, type ClusterPki } from './pki/cluster-pki.ts';
import { renderKubeconfig } from './pki/kubeconfig.ts';
import type { KeyPair } from './pki/certificate.ts';
import { Registry } from './objects/registry.ts';
import type { User } from './serve/request.ts';
import type { ServerContext } from './server-context.ts';
import { ServiceAllocators } from './services/allocators.ts';

/** Where to listen: an address, or a socket that was opened by whoever started this process. */
export type Listener = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface ApiServerOptions {
  /** Holds the store (`store/`), where it is not in etcd, and the certificates (`pki/`). */
  readonly dataDir: string;
  readonly listeners: readonly Listener[];
  /** The address at which nodes and pods reach the server; the kubernetes Service points there. */
  readonly advertiseAddress: string;
  /** The port there; by default that of the first listener with a port. */
  readonly advertisePort?: number;
  /** IPv4 network of Service addresses. Default 10.96.0.0/16. */
  readonly serviceCidr?: string;
  /** More DNS names and addresses for the serving certificate. */
  readonly extraHosts?: readonly string[];
  /** The etcd that holds the store, which other servers may share; by default the store is in `dataDir`. */
  readonly etcd?: Pick<EtcdStoreOptions, 'endpoints' | 'tls'>;
  /** Serves the store as etcd, where it is not in one. */
  readonly etcdListen?: EtcdListen;
  /** Who is asked what a request may do, in order. Default Node, RBAC. */
  readonly authorizationModes?: readonly AuthorizationMode[];
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Which addresses of nodes, pods and Services requests are passed on to. Default `isDialable`. */
  readonly mayDial?: MayDial;
}

/** What a node needs to join: its kubeconfig, and the certificate that its own server shows. */
export interface NodeCredentials {
  readonly kubeconfig: string;
  /** As `system:kube-proxy`, for what a node's proxy, DNS and routes read of others. */
  readonly proxyKubeconfig: string;
  readonly serving: KeyPair;
  /** Verifies the API server, and the client certificates of whoever asks the node. */
  readonly caCertPem: string;
}

export interface ApiServer extends AsyncDisposable {
  /** The ports listened on, in the order of the listeners. */
  readonly ports: readonly number[];
  readonly caCertPem: string;
  readonly store: Store;
  /** What is served now; kinds may come and go. */
  readonly kinds: KindCatalogue;
  /** Whether there may be objects of the kind in the namespace: what is kept elsewhere may be anywhere. */
  mayHold(kind: Pick<Kind, 'group' | 'version' | 'resource'>, namespace: string): Promise<boolean>;
  /** Where the store is served as etcd. */
  readonly etcdUrls: readonly string[];
  /** Requests of this process, as that user, through the same chain of handlers as any other client's. */
  transport(user?: User): Transport;
  /** A kubeconfig of kubernetes-admin for a server URL. */
  adminKubeconfig(serverUrl: string): string;
  /** Credentials of user `system:node:NAME`; `hosts` are the node's own addresses and names. */
  issueNodeCredentials(
    name: string,
    options: { readonly serverUrl: string; readonly hosts: readonly string[] },
  ): Promise<NodeCredentials>;
  /** A kubeconfig for any user, by a new client certificate. */
  issueKubeconfig(user: User, serverUrl: string): Promise<string>;
  /** Whether a node's serving certificate is of this cluster, for those hosts, and needs no renewal yet. */
  isNodeServingUsable(pair: KeyPair, hosts: readonly string[]): boolean;
  /**
   * Makes anew what of the server's own certificates is about to expire, and shows it from the next handshake on; connections that
   * are open go on. @returns the names of those made anew, as in `pki/`
   */
  renewCertificates(): Promise<readonly string[]>;
  /** Ends watches, answers what is under way, closes the store. */
  close(): Promise<void>;
}

const localAdmin: User = { name: 'system:apiserver', groups: ['system:masters'] };
const closeGraceMs = 500;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Opens the store, makes or reads the certificates, listens.
 * @throws E_BUSY when the data directory or a port is in use
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dataDir, clock, advertiseAddress, serviceCidr = '10.96.0.0/16', logger = silentLogger } = options;
  await using undo = new AsyncDisposableStack();

  const allocators = new ServiceAllocators(serviceCidr);
  const store = undo.use(await openStore(options));
  const hosts = [
    ...new Set([...servingHosts(advertiseAddress, allocators.firstAddress()), ...(options.extraHosts ?? [])]),
  ];
  const pki = await ensureClusterPki({ directory: join(dataDir, 'pki'), hosts, now: () => clock.now() });
  const etcd =
    options.etcdListen && undo.use(await serveStoreAsEtcd(options.etcdListen, { store, pki, clock }));
  const closing = new AbortController();
  const registry = new Registry(store, () => clock.now());
  const books = emptyBooks();
  undo.use(await keepBooks({ registry, clock, logger }, books));
  const inFlight = new InFlight();
  const context: Mutable<ServerContext> = {
    kinds: createKindCatalogue(),
    registry,
    isStoreShared: options.etcd !== undefined || etcd !== undefined,
    clock,
    logger,
    allocators,
    quotaTurns: createTurns(),
    tokens: new TokenAuthority(pki.serviceAccountKeyPem, () => clock.now()),
    authorizer: createAuthorizer(books, options.authorizationModes),
    books,
    admission: allPlugins,
    inFlight,
    metrics: new RequestMetrics({ revision: () => store.revision, inFlight: () => inFlight.taken() }),
    turns: new RequestTurns(),
    nodes: undo.use(nodeDialer(pki, options)),
    streams: new NodeStreams({ clock, closing: closing.signal }),
    isBootstrapped: false,
    closing: closing.signal,
    advertise: { host: advertiseAddress, port: options.advertisePort ?? portOf(options.listeners) },
  };
  const servers: RunningServer[] = [];
  undo.defer(() => closeAll(servers, closing, clock));
  for (const listener of options.listeners) servers.push(await listen(context, pki, listener));
  const port = servers[0]?.port ?? 0;
  // With port 0 asked for, only now is it known where the server is.
  if (context.advertise.port === 0) context.advertise = { host: advertiseAddress, port };
  await bootstrap(context, pki.caCertPem);
  context.isBootstrapped = true;
  undo.use(keepKubernetesService(context));
  undo.use(keepAddressObjects(store, { claimKeyOf: addressKey, logger }));
  void context.metrics.load();
  return runningServer(context, {
    ...{ store, pki, servers, etcdUrls: etcd?.urls ?? [] },
    owned: undo.move(),
  });
}

function openStore({ dataDir, etcd, clock, logger = silentLogger }: ApiServerOptions): Promise<Store> {
  if (etcd !== undefined) return openEtcdStore({ ...etcd, clock, logger });
  return openEmbeddedStore({
    directory: join(dataDir, 'store'),
    markFile: join(dataDir, 'store.mark'),
    mustExist: existsSync(join(dataDir, 'pki', 'sa.key')), // The last that a first start makes there.
    clock,
    logger,
  });
}

function nodeDialer(pki: ClusterPki, { mayDial }: ApiServerOptions): NodeDialer {
  return createNodeDialer({
    credentials: () => ({ caCertPem: pki.caCertPem, client: pki.kubeletClient }),
    ...(mayDial === undefined ? {} : { mayDial }),
  });
}

function runningServer(
  context: ServerContext,
  parts: {
    readonly store: Store;
    readonly pki: ClusterPki;
    readonly etcdUrls: readonly string[];
    readonly servers: readonly RunningServer[];
    readonly owned: AsyncDisposableStack;
  },
): ApiServer {
  const { store, pki, servers, etcdUrls, owned } = parts;
  const close = (): Promise<void> => owned.disposeAsync();
  const issueKubeconfig = async (user: User, server: string): Promise<string> => {
    const client = await pki.issueClient(user.name, user.groups);
    return renderKubeconfig({ server, caCertPem: pki.caCertPem, user: user.name, client });
  };
  return {
    ports: servers.map((server) => server.port),
    get caCertPem() {
      return pki.caCertPem;
    },
    store,
    etcdUrls,
    kinds: context.kinds,
    mayHold: async ({ group, version, resource }, namespace) => {
      const kind = context.kinds.find(group, version, resource);
      return kind === undefined || context.registry.hasAny(kind, namespace);
    },
    transport: (user = localAdmin) =>
      createInProcessTransport((request) => handle(context, request), { user, turns: context.turns }),
    adminKubeconfig: (server) =>
      renderKubeconfig({
        server,
        caCertPem: pki.caCertPem,
        user: 'kubernetes-admin',
        client: pki.admin,
      }),
    issueNodeCredentials: async (name, { serverUrl, hosts }) => {
      const user = { name: `system:node:${name}`, groups: ['system:nodes'] };
      const serving = await pki.issueServing(user.name, user.groups, [...new Set([name, ...hosts])]);
      return {
        kubeconfig: await issueKubeconfig(user, serverUrl),
        proxyKubeconfig: await issueKubeconfig({ name: 'system:kube-proxy', groups: [] }, serverUrl),
        serving,
        caCertPem: pki.caCertPem,
      };
    },
    isNodeServingUsable: (pair, hosts) => pki.isUsable(pair, hosts),
    renewCertificates: async () => {
      const renewed = await pki.renew();
      if (renewed.length > 0) for (const { server } of servers) server.setSecureContext(servingContext(pki));
      return renewed;
    },
    issueKubeconfig,
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface RunningServer {
  readonly server: Http2SecureServer;
  readonly port: number;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  readonly sockets: ReadonlySet<Socket>;
}

async function listen(context: ServerContext, pki: ClusterPki, listener: Listener): Promise<RunningServer> {
  const server = createHttpServer({
    serving: pki.serving,
    caCertPem: pki.caCertPem,
    logger: context.logger,
    turns: context.turns,
    handle: (request) => handle(context, request),
    upgrade: (request, upgrade) => handleUpgrade(context, request, upgrade),
  });
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error) => reject(listenError(listener, error)));
  server.listen({ ...listener }, resolve);
  await promise;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { server, port, sessions, sockets };
}

function listenError(listener: Listener, cause: Error): PodwrightError {
  const where = 'fd' in listener ? `descriptor ${listener.fd}` : `${listener.host}:${listener.port}`;
  const errno = errnoOf(cause) ?? '';
  const code = errno === 'EADDRINUSE' ? 'E_BUSY' : errno === 'EACCES' ? 'E_PERMISSION' : 'E_KERNEL';
  const why = errno === 'EADDRINUSE' ? 'the port is in use' : errno;
  return new PodwrightError(code, `listen on ${where}: ${why}`, { cause, detail: { errno } });
}

/** Watches end cleanly, then connections close; what does not end in time is cut. */
async function closeAll(
  servers: readonly RunningServer[],
  closing: AbortController,
  clock: Clock,
): Promise<void> {
  closing.abort();
  await Promise.all(
    servers.map(async ({ server, sessions, sockets }) => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const session of sessions) session.close();
      using _cut = clock.after(closeGraceMs, () => {
        for (const socket of sockets) socket.destroy();
      });

      await closed;
    }),
  );
}

function portOf(listeners: readonly Listener[]): number {
  return listeners.flatMap((listener) => ('port' in listener ? [listener.port] : []))[0] ?? 0;
}

/** Every name and address by which a client may have reached this host. */
function servingHosts(advertiseAddress: string, firstServiceAddress: string): readonly string[] {
  const local = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ family, address }) => (family === 'IPv4' ? [address] : [])),
  );
  return [
    '127.0.0.1',
    '::1',
    'localhost',
    hostname(),
    advertiseAddress,
    firstServiceAddress,
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    ...local,
  ];
}
