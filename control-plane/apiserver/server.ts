import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Kind } from '#api/schema/kinds.ts';
import { createKindCatalogue, type KindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { Clock } from '#base/clock.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { createTurns } from '#base/turns.ts';
import type { Transport } from '#client/transport.ts';
import { openEmbeddedStore, type EmbeddedStoreOptions } from '#control-plane/store/embedded.ts';
import { openEtcdStore, type EtcdStoreOptions } from '#control-plane/store/etcd/etcd-store.ts';
import { PlainStore } from '#control-plane/store/sealed/plain-store.ts';
import { SealedStore } from '#control-plane/store/sealed/sealed-store.ts';
import type { Store } from '#control-plane/store/store.ts';
import { Encryption, unsealed, type EncryptionOptions } from './encryption/encryption.ts';
import { EncryptionMetrics } from './encryption/encryption-metrics.ts';
import { Audit, type AuditOptions } from './chain/audit/audit.ts';
import type { ReadMetric } from './serve/read-metric.ts';
import type { AdmissionPlugin } from './chain/admission/admission.ts';
import { defaultPlugins, withFixedPlugins } from './chain/admission/plugins.ts';
import { keepFacts } from './chain/keep-facts.ts';
import { createHookCaller } from './chain/admission/webhooks/hook-caller.ts';
import { openAuthorizer, type AuthorizationOptions } from './chain/authz/authorizers.ts';
import {
  createFlowControl,
  type FlowControlOptions,
  type RunningFlowControl,
} from './chain/flow-control/create-flow-control.ts';
import { RecentLists } from './verbs/recent-lists.ts';
import { ListTurns } from './chain/list-turns.ts';
import { InFlight } from './chain/in-flight.ts';
import { NodeStreams } from './nodes/node-streams.ts';
import type { AuthenticationOptions } from './chain/authn/authentication-options.ts';
import type { FrontProxyOptions } from './chain/authn/front-proxy.ts';
import { openAuthentication, type ServerAuthentication } from './chain/authn/server-authentication.ts';
import type { LegacyTokenInput } from './chain/authn/tokens.ts';
import { keepBootstrapTokens } from './chain/authn/bootstrap-tokens.ts';
import { keepAuthenticationObjects, markTokenUsed } from './authentication-objects.ts';
import { keepAddressObjects } from './services/address-objects.ts';
import { addressKey } from './services/claims.ts';
import { convertObjects } from './custom/convert-objects.ts';
import { askConverter } from './custom/ask-converter.ts';
import { DefinitionBook } from './custom/definition-book.ts';
import { keepDefinitions } from './custom/keep-definitions.ts';
import { Aggregation } from './aggregation/aggregation.ts';
import { keepAggregation } from './aggregation/keep-aggregation.ts';
import { createRemoteConnections } from './aggregation/remote-connections.ts';
import { ensureClusterInfo } from './cluster-info.ts';
import { bootstrap, keepKubernetesService } from './bootstrap.ts';
import { keepIdentity } from './identity-lease.ts';
import { handle } from './chain/handle.ts';
import { serveStoreAsEtcd, type EtcdListen } from './etcd-listen.ts';
import { createInProcessTransport } from './serve/in-process.ts';
import { RequestTurns } from './serve/request-turns.ts';
import type { MetricSource } from './serve/metrics.ts';
import { metricsOf } from './server-metrics.ts';
import type { MayDial } from './nodes/dialable.ts';
import { createNodeDialer, type NodeDialer } from './nodes/node-dialer.ts';
import { ensureClusterPki, type ClusterPki } from './pki/cluster-pki.ts';
import { renderKubeconfig } from './pki/kubeconfig.ts';
import { servingHosts } from './pki/serving-hosts.ts';
import type { KeyPair } from './pki/certificate.ts';
import {
  closeAll,
  listen,
  portOf,
  showAll,
  type Listener,
  type RunningServer,
  type ServingCertificates,
} from './listener.ts';
import { Registry } from './objects/registry.ts';
import type { User } from './serve/request.ts';
import type { ServerContext } from './server-context.ts';
import { ServiceAllocators } from './services/allocators.ts';
import { keepServiceRanges } from './services/service-ranges.ts';

export interface ApiServerOptions {
  /** Holds the store (`store/`), where it is not in etcd, and the certificates (`pki/`). */
  readonly dataDir: string;
  readonly listeners: readonly Listener[];
  /** The address at which nodes and pods reach the server; the kubernetes Service points there. */
  readonly advertiseAddress: string;
  /** The port there; by default that of the first listener with a port. */
  readonly advertisePort?: number;
  /** Networks of Service addresses: one, or one of each family, the default first. Default 10.96.0.0/16. */
  readonly serviceCidrs?: readonly string[];
  /** More DNS names and addresses for the serving certificate. */
  readonly extraHosts?: readonly string[];
  /** The etcd that holds the store, which other servers may share; by default the store is in `dataDir`. */
  readonly etcd?: Pick<EtcdStoreOptions, 'endpoints' | 'tls'>;
  /** Who makes the store's writes durable, where it is not in etcd. Default: a thread that keeps them in `dataDir`. */
  readonly openDisk?: EmbeddedStoreOptions['openDisk'];
  /** Serves the store as etcd, where it is not in one. */
  readonly etcdListen?: EtcdListen;
  /** Who is asked what a request may do. Default Node, RBAC. */
  readonly authorization?: AuthorizationOptions;
  /** Who has a say in writes, in order, beside those that are always there. Default `defaultPlugins()`. */
  readonly admissionPlugins?: readonly AdmissionPlugin[];
  /** By what it knows who asks. */
  readonly authentication?: AuthenticationOptions;
  /** How many requests are worked on at once, and whose turn it is. */
  readonly flowControl?: FlowControlOptions;
  /** Which values are sealed in the store, and how. Default: none. */
  readonly encryption?: EncryptionOptions;
  /** What is recorded of requests, and where. Default: nothing. */
  readonly audit?: AuditOptions;
  /** Whether it says itself what nodes and pods use (metrics.k8s.io), where no other server does. Default no. */
  readonly hasMetricsApi?: boolean;
  /** What other parts of the process tell at its /metrics. */
  readonly otherMetrics?: readonly ReadMetric[];
  /** What it serves, kinds of clients' own apart. Default `builtInVersions`. */
  readonly versions?: KindCatalogue['versions'];
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

/** An authority that `renewCertificates` may renew. */
export interface RenewedCa {
  /** As it is now. */
  readonly pem: string;
  /** Calls the listener after each renewal, until disposed. */
  onChange(listener: () => void): Disposable;
}

export interface ApiServer extends AsyncDisposable {
  /** The ports listened on, in the order of the listeners. */
  readonly ports: readonly number[];
  readonly caCertPem: string;
  /** The same, with its renewals. */
  readonly rootCa: RenewedCa;
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
  /** Signs what a CertificateSigningRequest asks for, with the key of the cluster's authority. @returns PEM */
  readonly signRequest: ClusterPki['signRequest'];
  /** A token without end for a service account, to lie in a Secret of that name. */
  signSecretToken(input: LegacyTokenInput): Promise<string>;
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

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Opens the store, makes or reads the certificates, listens.
 * @throws E_BUSY when the data directory or a port is in use
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dataDir, clock, advertiseAddress, logger = silentLogger } = options;
  await using undo = new AsyncDisposableStack();

  const allocators = new ServiceAllocators(options.serviceCidrs ?? ['10.96.0.0/16']);
  const { engine, store, encryption, ...sealed } = await openStores(options, undo);
  const hosts = servingHosts(advertiseAddress, allocators.firstAddress(), options.extraHosts);
  const pki = await ensureClusterPki({ directory: join(dataDir, 'pki'), hosts, now: () => clock.now() });
  const etcd =
    options.etcdListen && undo.use(await serveStoreAsEtcd(options.etcdListen, { store: engine, pki, clock }));
  const closing = new AbortController();
  const registry = new Registry(store, () => clock.now());
  const known = undo.use(
    await openAuthentication(options.authentication ?? {}, {
      ...{ registry, clock, logger, ownCaPem: () => pki.caCertPem, ownKeyPem: pki.serviceAccountKeyPem },
      markUsed: (secret, day) => markTokenUsed(context, secret, day),
      bootstrapTokens: undo.use(await keepBootstrapTokens({ registry, clock, logger })).book,
    }),
  );
  const { authentication, tokens, tokenPolicy } = known;
  const admission = withFixedPlugins(options.admissionPlugins ?? defaultPlugins());
  const { facts, metrics: ofFacts } = await keepFacts({ registry, clock, logger }, undo, admission);
  const authorizer = undo.use(openAuthorizer({ ...facts, clock, logger }, options.authorization));
  const inFlight = new InFlight();
  const flow = undo.use(await createFlowControl(options.flowControl, { registry, clock, logger }));
  const audit = await openAudit(options, undo);
  const kinds = createKindCatalogue(options.versions);
  const aggregation = undo.use(aggregationOf(pki, registry, { kinds, mayDial: options.mayDial }));
  await aggregation.follow({ registry, clock, logger });
  const context: Mutable<ServerContext> = {
    kinds,
    aggregation,
    isStoreShared: options.etcd !== undefined || etcd !== undefined,
    ...{ registry, clock, logger, allocators },
    quotaTurns: createTurns(),
    ...{ authentication, tokens, tokenPolicy },
    ...{ ...facts, authorizer },
    hookCaller: undo.use(createHookCaller({ registry, mayDial: options.mayDial })),
    ...{ admission, inFlight, audit, encryption, flowControl: flow.control },
    ...{ turns: new RequestTurns(), listTurns: new ListTurns(), recentLists: new RecentLists(clock) },
    metrics: metricsOf(store, { inFlight, flow, audit, known, authorizer, ofFacts, aggregation, ...sealed }),
    nodes: undo.use(nodeDialer(pki, options)),
    streams: new NodeStreams({ clock, closing: closing.signal }),
    isBootstrapped: false,
    closing: closing.signal,
    advertise: { host: advertiseAddress, port: options.advertisePort ?? portOf(options.listeners) },
  };
  registry.custom.convert = convertObjects(askConverter(context.hookCaller));
  undo.use(await keepDefinitions(context, new DefinitionBook(context.kinds)));
  const servers: RunningServer[] = [];
  undo.defer(() => closeAll(servers, closing, clock));
  const shown = (): ServingCertificates => shownBy(pki, known);
  for (const listener of options.listeners) servers.push(await listen(context, shown(), listener));
  const port = servers[0]?.port ?? 0;
  // With port 0 asked for, only now is it known where the server is.
  if (context.advertise.port === 0) context.advertise = { host: advertiseAddress, port };
  await bootstrap(context, pki.caCertPem, options);
  context.isBootstrapped = await keepObjects(context, undo, {
    ...{ store, known, flow },
    frontProxy: options.authentication?.frontProxy,
    ownProxyCaPem: () => pki.frontProxy.caCertPem,
    show: () => showAll(servers, shown()),
  });
  void context.metrics.load();
  return runningServer(context, {
    ...{ store, pki, servers, known, etcdUrls: etcd?.urls ?? [] },
    owned: undo.move(),
  });
}

/** What a server keeps in the store while it runs, apart from what is made once. */
async function keepObjects(
  context: ServerContext,
  undo: AsyncDisposableStack,
  given: {
    readonly store: Store;
    readonly known: ServerAuthentication;
    readonly flow: RunningFlowControl;
    readonly frontProxy: FrontProxyOptions | undefined;
    readonly ownProxyCaPem: () => string;
    /** Shows certificates as they are now. */
    readonly show: () => void;
  },
): Promise<true> {
  const { store, known, flow, frontProxy, ownProxyCaPem, show } = given;
  undo.use(await keepIdentity(context));
  undo.use(await keepServiceRanges(context, context.allocators));
  const kept = undo.use(await keepAuthenticationObjects(context, { known, frontProxy, ownProxyCaPem }));
  known.onTrustChange = () => {
    show();
    kept.changed();
  };
  undo.use(await flow.keep(context));
  undo.use(keepKubernetesService(context));
  undo.use(keepAggregation(context));
  undo.use(keepAddressObjects(store, { claimKeyOf: addressKey, logger: context.logger }));
  return true;
}

/** The engine, and the store as the server sees it, where values are sealed. @throws {E_USAGE} for a configuration that is wrong */
async function openStores(
  options: ApiServerOptions,
  undo: AsyncDisposableStack,
): Promise<{
  readonly engine: Store;
  readonly store: Store;
  readonly encryption: Encryption | undefined;
  readonly sources: readonly MetricSource[];
  readonly others: readonly ReadMetric[];
}> {
  const { clock, logger = silentLogger } = options;
  const metrics = new EncryptionMetrics();
  const encryption =
    options.encryption && undo.use(new Encryption(options.encryption, { clock, logger, metrics }));
  await encryption?.start();
  const engine = undo.use(await openStore(options));
  const others = options.otherMetrics ?? [];
  if (encryption === undefined) {
    return { engine, store: new PlainStore(engine, unsealed), encryption, sources: [], others };
  }
  const told = { sources: [metrics.source], others };
  return { engine, store: new SealedStore(engine, encryption), encryption, ...told };
}

async function openAudit(
  { audit: options, clock, logger = silentLogger }: ApiServerOptions,
  undo: AsyncDisposableStack,
): Promise<Audit | undefined> {
  const audit = options && undo.use(new Audit(options, { clock, logger }));
  await audit?.begin();
  return audit;
}

function openStore(options: ApiServerOptions): Promise<Store> {
  const { dataDir, etcd, openDisk, encryption, clock, logger = silentLogger } = options;
  if (etcd !== undefined) return openEtcdStore({ ...etcd, clock, logger });
  return openEmbeddedStore({
    directory: join(dataDir, 'store'),
    markFile: join(dataDir, 'store.mark'),
    erasesDeleted: encryption !== undefined, // Of what was plain once.
    mustExist: existsSync(join(dataDir, 'pki', 'sa.key')), // The last that a first start makes there.
    openDisk,
    clock,
    logger,
  });
}

function aggregationOf(
  pki: ClusterPki,
  registry: Registry,
  { kinds, mayDial }: { readonly kinds: KindCatalogue; readonly mayDial: MayDial | undefined },
): Aggregation {
  const connections = createRemoteConnections({ registry, client: () => pki.frontProxy.client, mayDial });
  return new Aggregation(connections, kinds);
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
    readonly known: ServerAuthentication;
    readonly owned: AsyncDisposableStack;
  },
): ApiServer {
  const { store, pki, servers, known, etcdUrls, owned } = parts;
  const close = (): Promise<void> => owned.disposeAsync();
  const authority = renewedAuthority(context, pki);
  const issueKubeconfig = async (user: User, server: string): Promise<string> => {
    const client = await pki.issueClient(user.name, user.groups);
    return renderKubeconfig({ server, caCertPem: pki.caCertPem, user: user.name, client });
  };
  return {
    ports: servers.map((server) => server.port),
    get caCertPem() {
      return pki.caCertPem;
    },
    rootCa: authority,
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
    signRequest: (order) => pki.signRequest(order),
    signSecretToken: (input) => context.tokens.signLegacy(input),
    isNodeServingUsable: (pair, hosts) => pki.isUsable(pair, hosts),
    renewCertificates: async () => {
      const renewed = await pki.renew();
      if (renewed.length > 0) known.onTrustChange?.();
      await authority.tell();
      return renewed;
    },
    issueKubeconfig,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The cluster's authority, and who is told when there is another: whoever asked, and cluster-info. */
function renewedAuthority(
  context: ServerContext,
  pki: ClusterPki,
): RenewedCa & { readonly tell: () => Promise<void> } {
  const listeners = new Set<() => void>();
  let [told, written] = [pki.caCertPem, pki.caCertPem];
  return {
    get pem() {
      return pki.caCertPem;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    tell: async () => {
      const { caCertPem } = pki;
      if (told !== caCertPem) {
        told = caCertPem;
        for (const listener of listeners) listener();
      }
      // What could not be written is written by the next look at the certificates.
      if (written !== caCertPem) await ensureClusterInfo(context, caCertPem);
      written = caCertPem;
    },
  };
}

function shownBy({ serving }: ClusterPki, known: ServerAuthentication): ServingCertificates {
  return { serving, caCertPem: `${known.clientCaPem()}${known.frontProxyCaPem() ?? ''}` };
}
