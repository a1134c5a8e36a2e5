/** `podwright fake-nodes`: nodes without machines, until a signal ends them. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { systemClock, timeoutSignal } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import { gitVersion } from '#api/release.ts';
import { startFleet } from '#agent/fake-node/fleet.ts';
import type { KubeletTls } from '#agent/kubelet/server/kubelet-server.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { createInformers, withoutManagedFields } from '#client/informers.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import { createLogger } from '#bin/program/log.ts';
import { announceReady } from '#bin/program/ready.ts';
import { stopSignal } from '#bin/program/stop-signal.ts';
import { refuseOptions } from '#bin/options/option-problems.ts';
import { requireKubeconfigs } from '#bin/token.ts';
import { version } from '#bin/version.ts';
import { obtainTls } from './serving-certificate.ts';
import { shapeOf, shapeProblems, type ShapeOptions } from './shape.ts';

export interface FakeNodesOptions extends ShapeOptions {
  readonly address?: string;
  readonly port: number;
  readonly leaseSeconds: number;
  readonly keep?: boolean;
  readonly kubeconfig?: string;
  readonly server?: string;
  readonly credentials?: string;
  readonly data: string;
}

const removeMsMax = 60_000;

export async function runFakeNodes(options: FakeNodesOptions): Promise<void> {
  const stop = stopSignal();
  const { address } = options;
  const isAddress = address === undefined || familyOfIp(address) !== undefined;
  const problems = [
    ...shapeProblems(options),
    ...(isAddress ? [] : [`--address ${address}: not an address`]),
  ];
  refuseOptions('fake-nodes', problems);
  const logger = createLogger(process.env, { process: 'fake-nodes' });
  const clock = systemClock;
  const abort = new AbortController();
  stop
    .then((signal) => abort.abort(new DOMException(`stopped by ${signal}`, 'AbortError')))
    .catch(() => undefined);
  await using stack = new AsyncDisposableStack();

  const access = loadKubeconfig(requireKubeconfigs(options), clock);
  const transport = stack.use(
    createHttpTransport({ ...access, ...(options.server === undefined ? {} : { server: options.server }) }),
  );
  const client = createApiClient({ transport, userAgent: 'podwright-fake-nodes' });
  const informers = stack.use(createInformers({ client, clock, logger, transform: withoutManagedFields }));
  const host = address ?? (await ownAddress(options.server ?? access.server));
  const tls = await tlsOf(options, host, client, abort.signal);
  const directory = await mkdtemp(join(tmpdir(), 'podwright-fake-'));
  stack.defer(async () => void (await removeTree(directory)));
  const startedMs = clock.monotonic();
  try {
    const fleet = stack.use(
      await startFleet(
        {
          ...{ informers, clock, logger, directory },
          name: options.prefix,
          count: options.nodes,
          shapeOf: (index) => shapeOf(options, index),
          server: { host, port: options.port, tls },
          versions: { kubelet: gitVersion, runtime: `fake://${version()}` },
          leaseSeconds: options.leaseSeconds,
        },
        abort.signal,
      ),
    );
    const ms = Math.round(clock.monotonic() - startedMs);
    logger.info({ nodes: options.nodes, ms, address: host, port: fleet.port }, 'fake nodes registered');
    await announceReady(process.env);
    logger.info({ signal: await stop }, 'stopping');
    if (options.keep !== true) await fleet.removeNodes(timeoutSignal(removeMsMax));
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  }
}

async function tlsOf(
  { credentials, prefix }: FakeNodesOptions,
  host: string,
  client: ApiClient,
  signal: AbortSignal,
): Promise<KubeletTls> {
  if (credentials === undefined)
    return obtainTls({ name: prefix, host }, { client, clock: systemClock, signal });
  const read = (name: string): string => {
    const file = join(resolve(credentials), name);
    if (!existsSync(file)) throw new PodwrightError('E_NOT_FOUND', `read ${file}: no such file`);
    return readFileSync(file, 'utf8');
  };
  return { cert: read('serving.crt'), key: read('serving.key'), clientCa: read('ca.crt') };
}

/** The address from which this host reaches the server; where that is this host itself, one that is not loopback if there is any. */
async function ownAddress(server: string): Promise<string> {
  const { hostname, port } = new URL(server);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.connect(Number(port || 443), host);
    await once(socket, 'connect');
    const { address } = socket.address();
    const isLoopback = address === '::1' || address.startsWith('127.');
    const others = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    return isLoopback
      ? (others.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? address)
      : address;
  } finally {
    socket.close();
  }
}
