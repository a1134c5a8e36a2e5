import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

import { systemClock, type Clock } from '#base/clock.ts';
import { removeDrafts } from '#base/durable-file.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { ensureKubeDns } from '#agent/dns/kube-dns.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createInformers } from '#client/informers.ts';
import { runWithLease } from '#client/lease.ts';
import { readModes } from '#control-plane/apiserver/chain/authz/modes.ts';
import {
  startApiServer,
  type ApiServer,
  type ApiServerOptions,
  type Listener,
} from '#control-plane/apiserver/server.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { adminKubeconfigProblems } from './admin-kubeconfig.ts';
import { diskFullError } from './program/data-dir.ts';
import { readEtcdListen } from './etcd-listen.ts';
import { keepCertificates, writeNodeCredentials, writePrivate } from './credentials/keep-certificates.ts';
import { giveMemoryBack } from './program/give-memory-back.ts';
import { createLogger } from './program/log.ts';
import { claimDirectory } from './ownership/claim-directory.ts';
import { refuseOptions, serverOptionProblems } from './program/program-options.ts';
import { startPodRoutes } from './pod-routes.ts';
import { announceReady } from './program/ready.ts';
import { stopSignal } from './program/stop-signal.ts';
import type { ServerCommandOptions } from './program/command-options.ts';
import { version } from './version.ts';

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
  const nodes = options.node.map(parseNode);
  stack.use(claimDirectory(dataDir, { role: 'server', mode: 0o700, option: '--data' }));
  const server = stack.use(
    await startApiServer({
      dataDir,
      listeners,
      advertiseAddress: options.advertiseAddress,
      advertisePort: advertisedPort(listeners),
      serviceCidr: options.serviceCidr,
      authorizationModes: readModes(options.authorizationMode),
      ...readEtcdOptions(options),
      ...readEtcdListen(options, { dataDir, file: readOption, hostPort: parseHostPort }),
      clock: systemClock,
      logger,
    }),
  );
  removeDrafts(dataDir); // The store's lock says that nobody else writes here.
  const url = `https://${options.advertiseAddress}:${advertisedPort(listeners)}`;
  const adminPath = adminKubeconfigPath(options, dataDir, logger);
  const writeAdmin = (): Promise<void> =>
    writePrivate(adminPath, server.adminKubeconfig(options.adminServer ?? url));
  await writeAdmin();
  const nodesDirectory = join(dataDir, 'nodes');
  for (const { name, ip } of nodes)
    await writeNodeCredentials(server, join(nodesDirectory, name), { name, hosts: [ip], serverUrl: url });
  stack.use(keepCertificates({ server, nodesDirectory, writeAdmin, clock: systemClock, logger }));
  const loops = { options, logger, clock: systemClock };
  const isShared = [options.etcdServers, options.etcdListen].some((given = []) => given.length > 0);
  stack.use(isShared ? startLoopsInTurn(server, loops) : startLoops(server, loops));
  stack.use(giveMemoryBack({ clock: systemClock, logger }));
  if (options.podRoutes === true) {
    stack.use(await startPodRoutes(clientOf(server, 'system:podwright:pod-routes'), systemClock, logger));
  }
  await ensureKubeDns(clientOf(server, 'system:podwright:dns'), options.clusterDns);
  logger.info({ url, ports: server.ports }, 'serving');
  await announceReady(process.env);
  logger.info({ signal: await stop }, 'stopping');
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

/** `node-1=10.0.0.11`. @throws E_USAGE */
function parseNode(text: string): { readonly name: string; readonly ip: string } {
  const [name = '', ip = ''] = text.split('=');
  if (name === '' || ip === '') throw new PodwrightError('E_USAGE', `add node ${text}: write NAME=IP`);
  return { name, ip };
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

function clientOf(server: ApiServer, user: string): ApiClient {
  const transport = server.transport({ name: user, groups: ['system:masters'] });
  return createApiClient({ transport, userAgent: `podwright/${version()}` });
}

interface LoopOptions {
  readonly options: ServerCommandOptions;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Scheduler and controllers where several servers share a store: on one of them, and on another when that one falls silent. */
function startLoopsInTurn(server: ApiServer, loops: LoopOptions): AsyncDisposable {
  const { clock, logger } = loops;
  const stop = new AbortController();
  const identity = `${hostname()}_${randomUUID()}`;
  const election = {
    client: clientOf(server, 'system:kube-controller-manager'),
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

/** Scheduler and controllers, as clients of the server in the same process, with one cache between them. */
function startLoops(server: ApiServer, { options, logger, clock }: LoopOptions): AsyncDisposableStack {
  const stack = new AsyncDisposableStack();
  const client = clientOf(server, 'system:kube-controller-manager');
  const informers = stack.use(createInformers({ client, clock, logger }));
  stack.use(
    startControllers({
      informers,
      clock,
      logger,
      clusterCidr: options.clusterCidr,
      nodePrefixLength: options.nodeCidrMaskSize,
      rootCaPem: server.caCertPem,
      mayHold: server.mayHold,
    }),
  );
  stack.use(startScheduler({ informers, clock, logger }));
  return stack;
}
