import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { missingKube, startKube, startOurServer, type BenchServer } from '#test/bench/api-servers.ts';
import { openClient, type Access, type H2Client } from '#test/bench/h2-client.ts';
import { alternate, summarise, timed, type Contender } from '#test/bench/measure.ts';
import { atMost, timesBetter, type Measurement, type Row, type Scale } from '#test/bench/row.ts';

const peerName = 'kube-apiserver + etcd';
const clientsMax = 64;
const objectsMax = 10_500;
const watchersMax = 500;

/** ConfigMaps of 1 KB over TLS, durable, the same load on both servers in turns of about a second. */
export const api: Row = {
  name: 'api',
  inNamespaces: true,
  run: async (scale) => {
    await using stack = new AsyncDisposableStack();

    const ours = await openTarget(stack, await startOurServer(join(tmpdir(), 'ours')));
    const missing = missingKube();
    const peer =
      missing === undefined ? await openTarget(stack, await startKube(join(tmpdir(), 'kube'))) : missing;
    const bench = createBench(ours, peer, scale);
    await longestTurnMs(ours); // That of its start is not meant.
    return [
      ...(await rates(bench)),
      ...(await lists(bench)),
      await watchEvents(bench),
      {
        what: 'longest turn of its event loop',
        unit: 'ms',
        ours: summarise([await longestTurnMs(ours)]),
        peers: [],
        budgets: [atMost(20)],
      },
      await residentMemory(bench),
    ];
  },
};

/** A server and as many connections to it as there are clients. */
export interface Target {
  readonly server: BenchServer;
  readonly clients: readonly H2Client[];
  readonly first: H2Client;
  /** Counts the objects made, so that each has a name of its own. */
  made: number;
}

export async function openTarget(
  stack: AsyncDisposableStack,
  server: BenchServer,
  access: Access = server.access,
): Promise<Target> {
  stack.use(server);
  const clients: H2Client[] = [];
  for (let i = 0; i < clientsMax; i++) clients.push(stack.use(await openClient(access)));
  const [first] = clients;
  if (first === undefined) throw new TypeError('there is a client');
  return { server, clients, first, made: 0 };
}

interface Bench {
  readonly scale: Scale;
  readonly seconds: number;
  readonly all: readonly Target[];
  /** The work on each server in turn. */
  measure(
    measured: Pick<Measurement, 'what' | 'unit'> & { readonly rounds?: number; readonly warmUp?: number },
    work: (target: Target) => Promise<number>,
  ): Promise<Measurement>;
}

export function createBench(ours: Target, peer: Target | string, scale: Scale): Bench {
  const isThere = typeof peer !== 'string';
  return {
    scale,
    seconds: scale.isQuick ? 0.5 : 1.5,
    all: isThere ? [ours, peer] : [ours],
    measure: async ({ what, unit, rounds = 3, warmUp = 1 }, work) => {
      // How busy this process was: near 1, it and not the server is what was measured.
      const shares = new Map<string, number[]>();
      const contender = (target: Target): Contender => ({
        name: target.server.name,
        round: async () => {
          const [startMs, cpu] = [performance.now(), process.cpuUsage()];
          const value = await work(target);
          const { user, system } = process.cpuUsage(cpu);
          const share = (user + system) / 1000 / (performance.now() - startMs);
          shares.set(target.server.name, [
            ...(shares.get(target.server.name) ?? []),
            Number(share.toFixed(2)),
          ]);
          return value;
        },
      });
      return alternate({
        what,
        unit,
        contenders: [contender(ours), isThere ? contender(peer) : { name: peerName, skipped: peer }],
        rounds: scale.isQuick ? 1 : rounds,
        warmUp,
        budgets: [timesBetter(2, peerName)],
        detail: () => ({ loadGeneratorCpuShare: Object.fromEntries(shares) }),
      });
    },
  };
}

const path = '/api/v1/namespaces/default/configmaps';
const filling = 'x'.repeat(960);

function configMap(name: string, value: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: { filling, value },
  });
}

/** So many clients, each one request after another, for so long: requests a second. */
async function rate(
  bench: Bench,
  clients: readonly H2Client[],
  request: (client: H2Client) => Promise<unknown>,
): Promise<number> {
  const startMs = performance.now();
  const endMs = startMs + bench.seconds * 1000;
  let count = 0;
  const work = async (client: H2Client): Promise<void> => {
    while (performance.now() < endMs) {
      await request(client);
      count++;
    }
  };
  await Promise.all(clients.map(work));
  return (count * 1000) / (performance.now() - startMs);
}

/** Rounds until a server has compiled what it runs: what is measured is one that has worked for a while. */
const warmRounds = 4;

/** Creates, updates and GETs of many clients and of one. */
export async function rates(bench: Bench): Promise<readonly Measurement[]> {
  const measurements: Measurement[] = [];
  for (const { verb, request } of [
    {
      verb: 'creates',
      request: (target: Target) => (client: H2Client) =>
        client.request('POST', path, configMap(`c${target.made++}`, '0')),
    },
    {
      verb: 'updates',
      request: (target: Target) => (client: H2Client) => {
        const name = `c${target.clients.indexOf(client)}`;
        return client.request('PUT', `${path}/${name}`, configMap(name, String(performance.now())));
      },
    },
    {
      verb: 'GETs',
      request: (target: Target) => (client: H2Client) =>
        client.request('GET', `${path}/c${target.clients.indexOf(client)}`),
    },
  ]) {
    for (const count of [clientsMax, 1]) {
      const what = `${verb}, ${count} ${count === 1 ? 'client' : 'clients'}`;
      measurements.push(
        await bench.measure({ what, unit: '/s', warmUp: warmRounds }, (target) =>
          rate(bench, target.clients.slice(0, count), request(target)),
        ),
      );
    }
  }
  return measurements;
}

/** A namespace with the same number of objects on each server, listed. */
async function lists(bench: Bench): Promise<readonly Measurement[]> {
  const count = bench.scale.isQuick ? 2_000 : objectsMax;
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'lists' } };
  const path = '/api/v1/namespaces/lists/configmaps';
  for (const { first, clients } of bench.all) {
    await first.request('POST', '/api/v1/namespaces', JSON.stringify(namespace));
    let next = 0;
    const fill = async (client: H2Client): Promise<void> => {
      while (next < count) await client.request('POST', path, configMap(`l${next++}`, '0'));
    };
    await Promise.all(clients.map(fill));
  }
  const list = (query: string) => (target: Target) =>
    timed(() => target.first.request('GET', `${path}${query}`));
  return [
    await bench.measure({ what: `LIST of all ${count}`, unit: 'ms', rounds: 8 }, list('')),
    await bench.measure({ what: 'LIST of 500', unit: 'ms', rounds: 20, warmUp: 3 }, list('?limit=500')),
  ];
}

/** Many watchers see many updates: events a second that arrive. */
async function watchEvents(bench: Bench): Promise<Measurement> {
  const updates = bench.scale.isQuick ? 40 : 200;
  return bench.measure(
    { what: `watch events to ${watchersMax} watchers`, unit: '/s', rounds: 3 },
    async (target) => {
      using watches = new DisposableStack();

      const { promise, resolve } = Promise.withResolvers<void>();
      const version = JSON.parse((await target.first.request('GET', `${path}?limit=1`)).toString());
      let left = updates * watchersMax;
      const onChunk = (chunk: Buffer): void => {
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) left--;
        if (left <= 0) resolve();
      };
      const watchPath = `${path}?watch=true&resourceVersion=${version.metadata.resourceVersion}`;
      for (let i = 0; i < watchersMax; i++) {
        const client = target.clients[i % clientsMax] ?? target.first;
        watches.use(await client.stream(watchPath, onChunk));
      }
      const startMs = performance.now();
      let next = 0;
      const write = async (client: H2Client): Promise<void> => {
        while (next < updates) {
          const name = `c${next++}`;
          await client.request('PUT', `${path}/${name}`, configMap(name, String(startMs)));
        }
      };
      await Promise.all([promise, ...target.clients.slice(0, 16).map(write)]);
      return (updates * watchersMax * 1000) / (performance.now() - startMs);
    },
  );
}

/** What they have taken by the end of all this. */
function residentMemory(bench: Bench): Promise<Measurement> {
  const measured = { what: 'memory after this load', unit: 'MB', rounds: 1, warmUp: 0 } as const;
  return bench.measure(measured, async ({ server }) => server.residentMegabytes());
}

/** What the server has measured of itself since it was last asked; its timer fires every ten milliseconds when nothing is in its way. */
async function longestTurnMs({ first }: Target): Promise<number> {
  const metrics = (await first.request('GET', '/metrics')).toString();
  const seconds = Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(metrics)?.[1]);
  return Math.max(0, seconds * 1000 - 10);
}
