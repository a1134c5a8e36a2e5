import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { removeDrafts } from '#base/durable-file.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { ensureKubeDns } from '#agent/dns/kube-dns.ts';
import { runWithLease } from '#client/lease.ts';
import { startApiServer, type ApiServer, type ApiServerOptions } from '#control-plane/apiserver/server.ts';
import type { Listener } from '#control-plane/apiserver/listener.ts';
import { ensureLocalClass } from '#control-plane/controllers/persistent-volume/local-class.ts';
import {
  readSchedulerConfiguration,
  type SchedulerSettings,
} from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import { createOwnClients, type OwnClients } from '#control-plane/controllers/own-clients.ts';
import { readAdmission } from './admission/admission-options.ts';
import { readAuthorization } from './authorization/authorization-options.ts';
import { adminKubeconfigProblems } from './admin-kubeconfig.ts';
import { readEncryption } from './encryption/encryption-flags.ts';
import { readAudit } from './audit/read-audit.ts';
import { diskFullError } from './program/data-dir.ts';
import { readEtcdListen } from './etcd-listen.ts';
import { keepCertificates, writeNodeCredentials, writePrivate } from './credentials/keep-certificates.ts';
import { giveMemoryBack } from './program/give-memory-back.ts';
import { createLogger } from './program/log.ts';
import { claimDirectory } from './ownership/claim-directory.ts';
import { authenticationSettings } from './program/authentication-settings.ts';
import { refuseOptions } from './options/option-problems.ts';
import { serverOptionProblems } from './options/program-options.ts';
import { startServerAddress } from './program/network/server-address.ts';
import { startPodRoutes } from './pod-routes.ts';
import { readFlowControl } from './options/flow-control-options.ts';
import { versionsServed } from './options/runtime-config.ts';
import { announceReady } from './program/ready.ts';
import { createManagerState, type ManagerState } from './program/manager-port.ts';
import { startLoops, type LoopOptions } from './program/start-loops.ts';
import { pluginFilesOf } from './scheduler/scheduler-options.ts';
import { schedulerPaths } from './scheduler/scheduler-port.ts';
import { stopSignal } from './program/stop-signal.ts';
import type { ServerCommandOptions } from './options/command-options.ts';

/** The control plane in one process, until a signal ends it. */
export async function runServer(options: ServerCommandOptions): Promise<void> {
  try {
    await serve(options);
  } catch (error) {
    throw diskFullError(resolve(options.data), error);
  }
}

async function serve(options: ServerCommandOptions): Promise<void> {
  const stop = stopSignal();
  const logger = createLogger(process.env, { process: 'server' });
  await using stack = new AsyncDisposableStack();

  refuseOptions('server', serverOptionProblems(options));
  const dataDir = resolve(options.data);
  const listeners = parseListeners(options);
  const manager = managerOf(options, listeners);
  const nodes = options.node.map(parseNode);
  const admission = readAdmission(options);
  for (const plugin of admission.idle)
    logger.warn({ plugin }, 'the plugin is off: its configuration has no effect');
  const { settings, notices } = readSchedulerConfiguration(options.schedulerConfig);
  for (const notice of notices) logger.warn({ field: notice }, 'KubeSchedulerConfiguration');
  const schedulerMetrics = new SchedulerMetrics();
  stack.use(claimDirectory(dataDir, { role: 'server', mode: 0o700, option: '--data' }));
  const server = stack.use(
    await startApiServer({
      dataDir,
      listeners: [...listeners, ...portListeners(options, { manager, metrics: schedulerMetrics, settings })],
      advertiseAddress: options.advertiseAddress,
      advertisePort: advertisedPort(listeners),
      extraHosts: options.virtualAddress ?? [],
      serviceCidrs: options.serviceCidr,
      authentication: authenticationSettings(options),
      authorization: readAuthorization(options),
      admissionPlugins: admission.plugins,
      flowControl: readFlowControl(options),
      ...readEtcdOptions(options),
      ...readAudit(options, readOption),
      ...readEncryption(options),
      hasMetricsApi: true,
      versions: versionsServed(options),
      otherMetrics: schedulerMetrics.metrics,
      ...readEtcdListen(options, { dataDir, file: readOption, hostPort: parseHostPort }),
      clock: systemClock,
      logger,
    }),
  );
  removeDrafts(dataDir); // The store's lock says that nobody else writes here.
  // By that which they have in common a client finds whichever server is there.
  const [reachedAt = options.advertiseAddress] = options.virtualAddress ?? [];
  const url = `https://${urlHost(reachedAt)}:${advertisedPort(listeners)}`;
  const adminPath = adminKubeconfigPath(options, dataDir, logger);
  const writeAdmin = (): Promise<void> =>
    writePrivate(adminPath, server.adminKubeconfig(options.adminServer ?? url));
  await writeAdmin();
  const nodesDirectory = join(dataDir, 'nodes');
  for (const { name, ips } of nodes)
    await writeNodeCredentials(server, join(nodesDirectory, name), { name, hosts: ips, serverUrl: url });
  stack.use(keepCertificates({ server, nodesDirectory, writeAdmin, clock: systemClock, logger }));
  const clients = createOwnClients(server, (transport) => manager.requests.of(transport));
  const loops = {
    options,
    scheduling: settings,
    ...{ pluginFiles: pluginFilesOf(options), schedulerMetrics },
    clients,
    manager,
    logger,
    clock: systemClock,
  };
  const isShared = [options.etcdServers, options.etcdListen].some((given = []) => given.length > 0);
  stack.use(isShared ? startLoopsInTurn(server, loops) : startLoops(server, loops));
  stack.use(giveMemoryBack({ clock: systemClock, logger }));
  stack.use(await startOwnParts(options, clients, { port: advertisedPort(listeners), logger }));
  logger.info({ url, ports: server.ports }, 'serving');
  await announceReady(process.env);
  logger.info({ signal: await stop }, 'stopping');
}

/** What of a cluster the server sees to by itself, beside its controllers. */
async function startOwnParts(
  options: ServerCommandOptions,
  clients: OwnClients,
  { port, logger }: { readonly port: number; readonly logger: Logger },
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();

  if (options.podRoutes === true)
    stack.use(await startPodRoutes(clients.own('pod-routes'), systemClock, logger));
  if (options.localStorageClass !== 'none')
    await ensureLocalClass(clients.own('local-volumes'), options.localStorageClass);
  await ensureKubeDns(clients.own('kube-dns'), options.clusterDns);
  const client = clients.own('virtual-address');
  stack.use(await startServerAddress(options, { port, client, clock: systemClock, logger }));
  return stack.move();
}

/** Who asks the server at its own address, as the loops do. */
function managerOf({ advertiseAddress }: ServerCommandOptions, listeners: readonly Listener[]): ManagerState {
  return createManagerState(`${urlHost(advertiseAddress)}:${advertisedPort(listeners)}`, systemClock);
}

/** Where a kube-controller-manager and a kube-scheduler are looked for. */
function portListeners(
  options: ServerCommandOptions,
  {
    manager,
    ...scheduler
  }: {
    readonly manager: ManagerState;
    readonly metrics: SchedulerMetrics;
    readonly settings: SchedulerSettings;
  },
): readonly Listener[] {
  const { controllerManagerPort = 0, schedulerPort = 0, advertiseAddress: host } = options;
  const isLeading = (): boolean => manager.running.length > 0;
  const ports = [
    { port: controllerManagerPort, paths: manager.paths },
    { port: schedulerPort, paths: schedulerPaths({ ...scheduler, isLeading }) },
  ];
  return ports.flatMap(({ port, paths }) => (port === 0 ? [] : [{ host, port, paths }]));
}

/** An address as a URL has it. */
function urlHost(address: string): string {
  return familyOfIp(address) === 6 ? `[${address}]` : address;
}

/** `10.0.0.1:6443`, `[::1]:6443`. @throws E_USAGE */
export function parseListener(text: string): Listener {
  return parseHostPort(text);
}

function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new PodwrightError('E_USAGE', `listen on ${text}: write HOST:PORT`);
  return { host: match[1] ?? match[2] ?? '', port };
}

/** The etcd that was asked for, with the files read. @throws E_USAGE for a file that cannot be read */
function readEtcdOptions(options: ServerCommandOptions): Pick<ApiServerOptions, 'etcd'> {
  const { etcdServers: endpoints = [], etcdCafile, etcdCertfile, etcdKeyfile } = options;
  if (endpoints.length === 0) return {};
  const tls = {
    ...(etcdCafile === undefined ? {} : { ca: readOption('--etcd-cafile', etcdCafile) }),
    ...(etcdCertfile === undefined ? {} : { cert: readOption('--etcd-certfile', etcdCertfile) }),
    ...(etcdKeyfile === undefined ? {} : { key: readOption('--etcd-keyfile', etcdKeyfile) }),
  };
  return { etcd: { endpoints, tls } };
}

function readOption(option: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new PodwrightError('E_USAGE', `start the server: ${option} ${path}`, { cause });
  }
}

function parseListeners({ listen, listenFd }: ServerCommandOptions): readonly Listener[] {
  const listeners = [...(listenFd === undefined ? [] : [{ fd: listenFd }]), ...listen.map(parseListener)];
  if (listeners.length > 0) return listeners;
  throw new PodwrightError('E_USAGE', 'start the server: give --listen HOST:PORT or --listen-fd FD');
}

function advertisedPort(listeners: readonly Listener[]): number {
  return listeners.flatMap((listener) => ('port' in listener ? [listener.port] : []))[0] ?? 6443;
}

/** `node-1=10.0.0.11`, `node-1=10.0.0.11,fd00::11`. @throws E_USAGE */
function parseNode(text: string): { readonly name: string; readonly ips: readonly string[] } {
  const [name = '', ips = ''] = text.split('=');
  if (name === '' || ips === '') throw new PodwrightError('E_USAGE', `add node ${text}: write NAME=IP`);
  return { name, ips: ips.split(',') };
}

/** Where it may be written. A server that is started again, with a file that has changed since, goes on. */
function adminKubeconfigPath(
  { adminKubeconfig }: ServerCommandOptions,
  dataDir: string,
  logger: Logger,
): string {
  const own = join(dataDir, 'kubeconfig');
  const [problem] = adminKubeconfigProblems(adminKubeconfig);
  if (problem === undefined) return resolve(adminKubeconfig ?? own);
  logger.warn({ problem, written: own }, 'the kubeconfig is in the data directory');
  return own;
}

/** Scheduler and controllers where several servers share a store: on one of them, and on another when that one falls silent. */
function startLoopsInTurn(server: ApiServer, loops: LoopOptions): AsyncDisposable {
  const { clock, logger } = loops;
  const stop = new AbortController();
  const identity = `${hostname()}_${randomUUID()}`;
  const election = {
    client: loops.clients.controllerManager,
    where: { namespace: 'kube-system', name: 'kube-controller-manager' }, // As the program of that name calls its own.
    identity,
    clock,
    onError: (error: unknown) => {
      logger.warn(
        { error: describeError(error) },
        'whose turn it is to run the controllers will be asked again',
      );
    },
  };
  const lead = async (term: AbortSignal): Promise<void> => {
    logger.info({ identity }, 'scheduler and controllers run here');
    await using _loops = startLoops(server, loops);

    if (!term.aborted) await once(term, 'abort');
    logger.info({ identity }, 'scheduler and controllers end here');
  };
  const leading = runWithLease(election, lead, stop.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await leading;
    },
  };
}
