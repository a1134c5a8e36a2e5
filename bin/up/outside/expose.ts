import { Socket } from 'node:net';

import type { Service } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Informer } from '#client/client.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import { pairsOfServices, type Exposed, type PortPair } from './exposed.ts';
import { startRelay, type RelayServer } from './relay-server.ts';

export interface ExposeOptions {
  readonly exposed: readonly Exposed[];
  /** Undefined where no Services are followed. */
  readonly services: Informer<Service> | undefined;
  /** Path of the network namespace from which nodes are reached. */
  readonly netns: string;
  /** A node, whose ports lead to Services wherever their pods are. */
  readonly nodeIp: string;
  /** Path of that node's own, from which addresses of load balancers are reached. */
  readonly nodeNetns: string;
  readonly clock: Clock;
  readonly say: (text: string) => void;
}

/** A port that is taken is tried again so often. */
const retryMs = { initialMs: 1_000, factor: 2, maxMs: 30_000 };

/** Opens ports of 127.0.0.1 for node ports of a cluster, and follows its Services where it was asked to, until disposed. */
export function exposePorts(options: ExposeOptions): AsyncDisposable {
  const { exposed, services, clock, say } = options;
  const fixed = exposed.filter((each): each is PortPair => each !== 'services');
  const open = new Map<number, { readonly server: RelayServer; readonly pair: PortPair }>();
  const refused = new Set<number>();

  const wanted = (): ReadonlyMap<number, PortPair> => {
    const found = pairsOfServices(services?.list() ?? []);
    return new Map([...found, ...fixed].map((pair) => [pair.local, pair]));
  };
  const settle = async (local: number): Promise<void> => {
    const pair = wanted().get(local);
    const now = open.get(local);
    if (now?.pair.port === pair?.port && now?.pair.ip === pair?.ip) return;
    open.delete(local);
    await now?.server[Symbol.asyncDispose]();
    if (pair === undefined) return;
    const server = await startRelay({ port: local, host: '127.0.0.1' }, () => connectTo(pair, options));
    open.set(local, { server, pair });
    refused.delete(local);
  };
  const ports = new KeyedQueue<`${number}`>({
    clock,
    concurrencyMax: 1,
    backoff: retryMs,
    work: (local) => settle(Number(local)),
    onError: (local, error) => {
      if (refused.has(Number(local))) return;
      refused.add(Number(local));
      say(
        `127.0.0.1:${local} is not exposed: ${errnoOf(error) === 'EADDRINUSE' ? 'something else listens there' : String(error)}`,
      );
    },
  });
  const look = (): void => {
    for (const local of new Set([...wanted().keys(), ...open.keys()])) ports.add(`${local}`);
  };
  const watch = services?.onChange(look);
  look();
  return {
    [Symbol.asyncDispose]: async () => {
      watch?.[Symbol.dispose]();
      await ports[Symbol.asyncDispose]();
      await Promise.all([...open.values()].map(({ server }) => server[Symbol.asyncDispose]()));
    },
  };
}

function connectTo({ ip, port }: PortPair, { netns, nodeIp, nodeNetns }: ExposeOptions): Socket {
  return ip === undefined
    ? connectInside(netns, { ip: nodeIp, port })
    : connectInside(nodeNetns, { ip, port });
}

/** A connection that begins in another network namespace. */
function connectInside(netns: string, { ip, port }: { readonly ip: string; readonly port: number }): Socket {
  const socket = new Socket({
    fd: inetSocket({ netns, kind: 'stream', family: familyOfIp(ip) ?? 4 }).takeFd(),
    allowHalfOpen: true,
  });
  return socket.connect({ host: ip, port });
}
