import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encode } from 'dns-packet';

import { DnsCounts } from '#agent/dns/dns-counts.ts';
import { startDns } from '#agent/dns/dns.ts';
import type { ConfigMap, EndpointSlice, Service } from '#api/generated/objects.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { alternate, findProgram, summarise, type Contender } from '#test/bench/measure.ts';
import type { Measurement, Row, Scale } from '#test/bench/row.ts';
import { serviceObjects } from '#test/bench/service-objects.ts';
import { buildTraffic } from '#test/bench/traffic.ts';

const servicesMax = 1_000;
const zone = 'cluster.local';
const name = `s77.bench.svc.${zone}`;
const port = 53;
const question = encode({ type: 'query', id: 77, flags: 0x100, questions: [{ type: 'A', name }] });

/** Names of Services: questions a second, 32 at once, and how long each takes. */
export const names: Row = {
  name: 'names',
  inNamespaces: true,
  run: async (scale) => {
    await using stack = new AsyncDisposableStack();

    const directory = mkdtempSync(join(tmpdir(), 'podwright-names-'));
    const traffic = buildTraffic(directory);
    const given = Array.from({ length: servicesMax }, (_, n) => serviceObjects(n + 1, 5, 1));
    const ours = { name: 'podwright', ip: '127.0.0.11' };
    stack.use(
      await startOurs(
        ours.ip,
        given.map(({ service }) => service),
      ),
    );
    const hosts = given.map(
      ({ service }) => `${service.spec?.clusterIP} ${service.metadata?.name}.bench.svc.${zone}`,
    );
    const peers = [startDnsmasq(directory, hosts), startCoreDns(directory, hosts)];
    for (const peer of peers) if ('program' in peer) stack.use(await started(peer, traffic));
    return await compare([ours, ...peers], traffic, scale);
  },
};

interface Answering {
  readonly name: string;
  readonly ip: string;
}

interface PeerProgram extends Answering {
  readonly program: readonly string[];
}

type Missing = { readonly name: string; readonly skipped: string };

async function startOurs(ip: string, all: readonly Service[]): Promise<AsyncDisposable> {
  const fail = (error: unknown): void => {
    throw error;
  };
  const services: InformerCache<Service> = createInformerCache(fail);
  const endpointSlices: InformerCache<EndpointSlice> = createInformerCache(fail);
  const configMaps: InformerCache<ConfigMap> = createInformerCache(fail);
  services.replace(all, '1');
  endpointSlices.replace([], '1');
  configMaps.replace([], '1');
  return startDns({
    ...{ services, endpointSlices, configMaps, zone, port, addresses: [ip] },
    ...{ netlink: createSyncNetlink(), clock: systemClock, log: silentLogger, counts: new DnsCounts() },
    networks: [{ family: 4, clusterCidr: '10.128.0.0/9', serviceCidr: '10.96.0.0/12' }],
    upstreams: () => [],
    searchesOf: () => [],
  });
}

function startDnsmasq(directory: string, hosts: readonly string[]): PeerProgram | Missing {
  const program = findProgram('dnsmasq');
  if (program === undefined) return { name: 'dnsmasq', skipped: 'not installed' };
  const file = join(directory, 'hosts');
  writeFileSync(file, `${hosts.join('\n')}\n`);
  const ip = '127.0.0.12';
  const alone = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root'];
  const at = [
    `--listen-address=${ip}`,
    '--bind-interfaces',
    `--port=${port}`,
    `--addn-hosts=${file}`,
    '--pid-file=',
  ];
  return { name: 'dnsmasq', ip, program: [program, ...alone, ...at] };
}

function startCoreDns(directory: string, hosts: readonly string[]): PeerProgram | Missing {
  const program = findProgram('coredns');
  if (program === undefined) return { name: 'CoreDNS', skipped: 'not installed' };
  const ip = '127.0.0.13';
  const file = join(directory, 'Corefile');
  writeFileSync(file, `.:${port} {\n  bind ${ip}\n  hosts {\n    ${hosts.join('\n    ')}\n  }\n}\n`);
  return { name: 'CoreDNS', ip, program: [program, '-conf', file] };
}

/** Once it answers. */
async function started({ name: what, ip, program }: PeerProgram, traffic: string): Promise<AsyncDisposable> {
  const [file = '', ...args] = program;
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const triesMax = 100;
  for (let tries = 1; ; tries++) {
    try {
      await ask(traffic, ip, 1);
      break;
    } catch (error) {
      if (tries === triesMax || child.exitCode !== null)
        throw new Error(`${what} does not answer`, { cause: error });
      await systemClock.sleep(50);
    }
  }
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

const run = promisify(execFile);

/** Nanoseconds that all took, then of each. */
async function ask(traffic: string, ip: string, count: number): Promise<readonly number[]> {
  const args = ['window', ip, String(port), String(count), question.toString('hex')];
  const { stdout } = await run(traffic, args, { maxBuffer: 64 * 1_048_576 });
  return stdout.trim().split('\n').map(Number);
}

async function compare(
  servers: readonly (Answering | Missing)[],
  traffic: string,
  scale: Scale,
): Promise<readonly Measurement[]> {
  const count = scale.isQuick ? 2_000 : 50_000;
  const slowest = new Map<string, number[]>();
  const rounds = scale.rounds(8);
  const contenders = servers.map((server): Contender => {
    if ('skipped' in server) return server;
    const round = async (): Promise<number> => {
      const [all = Number.NaN, ...each] = await ask(traffic, server.ip, count);
      slowest.set(
        server.name,
        [...(slowest.get(server.name) ?? []), summarise(each).p99 / 1e6].slice(-rounds),
      );
      return (count * 1e9) / all;
    };
    return { name: server.name, round };
  });
  const what = `the address of one of ${servicesMax} Services by its name, 32 at once`;
  const rates = await alternate({ what: `${what}: questions a second`, unit: '/s', contenders, rounds });
  const of = (server: string): ReturnType<typeof summarise> => summarise(slowest.get(server) ?? []);
  const p99: Measurement = {
    ...{ what: `${what}: until the answer, p99`, unit: 'ms', budgets: [], ours: of('podwright') },
    peers: rates.peers.map((peer) => ('skipped' in peer ? peer : { name: peer.name, ...of(peer.name) })),
  };
  return [rates, p99];
}
