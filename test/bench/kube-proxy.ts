/** Upstream's kube-proxy, by iptables, in this process's network namespace, told of Services by a server that knows nothing else. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { Endpoints, EndpointSlice, Service } from '#api/generated/objects.ts';
import { systemClock } from '#base/clock.ts';
import { freePort } from '#test/cluster/cluster.ts';
import { findProgram } from './measure.ts';

const program = join(homedir(), '.cache/podwright/kubernetes-1.20.2/kube-proxy');
export const kubeProxyName = 'kube-proxy 1.20.2 (iptables)';

/** Why the peer cannot be run here; undefined if it can. */
export function missingKubeProxy(): string | undefined {
  if (!existsSync(program)) return `no ${program}`;
  return findProgram('iptables-restore') === undefined ? 'iptables not installed' : undefined;
}

export interface ServiceOfProxy {
  readonly service: Service;
  readonly slice: EndpointSlice;
}

export interface KubeProxy extends AsyncDisposable {
  /** What it says that the first writing of all rules took. */
  readonly loadMs: number;
  /** Tells of endpoints; milliseconds until rules are written again. */
  change(slice: EndpointSlice): Promise<number>;
}

/** Of the largest there are a million rules. */
const startMsMax = 1_200_000;
const lookMs = 5;

/** Resolves when its rules are there. Disposed, it and all rules of iptables of the namespace are gone. */
export async function startKubeProxy(
  directory: string,
  given: readonly ServiceOfProxy[],
): Promise<KubeProxy> {
  await using stack = new AsyncDisposableStack();

  const api = stack.use(await startTinyApi(given));
  const metricsPort = await freePort();
  const log = openSync(join(directory, 'kube-proxy.log'), 'a');
  const child = spawn(program, flags(api.port, metricsPort, await freePort()), {
    stdio: ['ignore', log, log],
  });
  stack.defer(() => ended(child));
  const synced = (): Promise<Synced> => askSynced(metricsPort);
  const until = async (count: number): Promise<Synced> => {
    const giveUpMs = systemClock.monotonic() + startMsMax;
    for (;;) {
      const seen = await synced();
      if (seen.count >= count) return seen;
      if (child.exitCode !== null || systemClock.monotonic() > giveUpMs)
        throw new Error(`kube-proxy: no rules, see ${directory}/kube-proxy.log`);
      await systemClock.sleep(lookMs);
    }
  };
  const { seconds } = await until(1);
  const owned = stack.move();
  return {
    loadMs: seconds * 1000,
    change: async (slice) => {
      const { count } = await synced();
      const startMs = systemClock.monotonic();
      api.tell(endpointsOf(slice));
      await until(count + 1);
      return systemClock.monotonic() - startMs;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Leaves the machine's limits of conntrack alone, and writes rules as soon as it is told of something. */
function flags(apiPort: number, metricsPort: number, healthPort: number): readonly string[] {
  return [
    ...[`--master=http://127.0.0.1:${apiPort}`, '--kube-api-content-type=application/json'],
    ...['--hostname-override=node', '--bind-address=192.0.2.1', '--cluster-cidr=10.244.0.0/16'],
    ...[
      '--proxy-mode=iptables',
      '--iptables-min-sync-period=0s',
      '--feature-gates=EndpointSliceProxying=false',
    ],
    ...['--conntrack-max-per-core=0', '--conntrack-min=0'],
    ...['--conntrack-tcp-timeout-established=0s', '--conntrack-tcp-timeout-close-wait=0s'],
    `--metrics-bind-address=127.0.0.1:${metricsPort}`,
    `--healthz-bind-address=127.0.0.1:${healthPort}`,
  ];
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const table of ['nat', 'filter', 'mangle'])
    for (const act of ['-F', '-X']) execFileSync('iptables', ['-w', '-t', table, act]);
}

interface Synced {
  readonly count: number;
  readonly seconds: number;
}

async function askSynced(port: number): Promise<Synced> {
  const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
    (answer) => answer.text(),
    () => '',
  );
  const number = (what: string): number =>
    Number(
      new RegExp(`^kubeproxy_sync_proxy_rules_duration_seconds_${what} (\\S+)$`, 'm').exec(text)?.[1] ?? 0,
    );
  return { count: number('count'), seconds: number('sum') };
}

function endpointsOf({ metadata, endpoints = [], ports = [] }: EndpointSlice): Endpoints {
  const addresses = endpoints
    .flatMap((each) => each.addresses ?? [])
    .map((ip) => ({ ip, nodeName: 'node-2' }));
  const numbered = ports.flatMap(({ name, port, protocol }) =>
    port === undefined
      ? []
      : [{ port, protocol: protocol ?? 'TCP', ...(name === undefined ? {} : { name }) }],
  );
  return {
    metadata: { ...metadata, name: metadata?.labels?.['kubernetes.io/service-name'] ?? '' },
    subsets: [{ addresses, ports: numbered }],
  };
}

interface TinyApi extends AsyncDisposable {
  readonly port: number;
  tell(endpoints: Endpoints): void;
}

/** Lists and watches of Services and Endpoints; nothing else is found. */
async function startTinyApi(given: readonly ServiceOfProxy[]): Promise<TinyApi> {
  const watchers = new Set<ServerResponse>();
  let version = 1;
  const lists: Readonly<Record<string, () => object>> = {
    '/api/v1/services': () =>
      listOf(
        'ServiceList',
        given.map(({ service }) => service),
      ),
    '/api/v1/endpoints': () =>
      listOf(
        'EndpointsList',
        given.map(({ slice }) => endpointsOf(slice)),
      ),
  };
  const listOf = (kind: string, items: readonly object[]): object => ({
    ...{ kind, apiVersion: 'v1', metadata: { resourceVersion: String(version) }, items },
  });
  const answer = ({ url = '' }: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(url, 'http://tiny');
    const list = lists[pathname];
    response.setHeader('Content-Type', 'application/json');
    if (list === undefined) response.writeHead(404).end('{}');
    else if (searchParams.get('watch') === null) response.end(JSON.stringify(list()));
    else {
      response.flushHeaders();
      if (!pathname.endsWith('endpoints')) return;
      watchers.add(response);
      response.on('close', () => watchers.delete(response));
    }
  };
  const server: Server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    tell: (endpoints) => {
      const metadata = { ...endpoints.metadata, resourceVersion: String(++version) };
      const object = { kind: 'Endpoints', apiVersion: 'v1', ...endpoints, metadata };
      for (const watcher of watchers) watcher.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
