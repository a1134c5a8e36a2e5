import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';

import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { familyOfIp, familyOfNetwork, type IpFamily } from '#base/ip.ts';
import { silentLogger } from '#base/log.ts';
import { listenForDns } from '#agent/dns/listen.ts';
import { createForwarder } from '#agent/dns/outside/forwarder.ts';
import { createUpstream } from '#agent/dns/outside/upstream.ts';
import { createForwardingResolver } from '#agent/dns/resolver.ts';
import { followHostNames, hostNameFiles } from '#agent/node/host-names.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import { inetSocket, originalDestination } from '#native/sys/inet-socket.ts';
import { openPacketDevice } from '#native/tun/packet-device.linux.ts';
import { descriptorOf } from '#native/sys/descriptor.ts';
import { startRelay } from './relay-server.ts';
import { carryDatagrams } from './carry-datagrams.ts';
import { datagramDevice, hasDefaultRoute, planDatagramDevice, renderWayOut } from './render-way-out.ts';

export interface WayOutOptions {
  /** Path of the network namespace through which the nodes leave. */
  readonly netns: string;
  /** Its addresses, one of each family, and its link towards the nodes. */
  readonly gateways: readonly string[];
  readonly link: string;
  readonly ownCidrs: readonly string[];
  readonly nft: Nft;
  readonly netlink: Pick<Netlink, 'apply'>;
  readonly clock: Clock;
  /** Told once why datagrams are not carried, where they are not. */
  readonly warn: (text: string) => void;
}

/**
 * Lets the pods of a cluster reach what this machine reaches: their connections end here, in user space, and go on from this process, which
 * lives in the machine's own network. Names are asked of the machine's resolvers. Nothing of the machine's own rules or routes is changed.
 */
export async function startWayOut(options: WayOutOptions): Promise<AsyncDisposable> {
  const { netns, gateways, link, ownCidrs, nft } = options;
  await using stack = new AsyncDisposableStack();

  const carriesDatagrams = await startDatagrams(stack, options);
  for (const gateway of gateways) {
    const family = familyOfIp(gateway) ?? 4;
    // A connection is there before it goes on: where it cannot, whoever has both families must find out before.
    const port =
      family === 6 && !(await hasIpv6()) ? undefined : await startConnections(stack, netns, gateway);
    stack.use(await startNames(options, gateway));
    const own = ownCidrs.filter((cidr) => familyOfNetwork(cidr) === family);
    const table = renderWayOut({ family, link, ownCidrs: own, port, carriesDatagrams });
    await nft.commit({ kind: 'path', path: netns }, [{ op: 'replaceTable', table }]);
  }
  return stack.move();
}

/** The port at which TCP of the gateway's family is taken over. */
async function startConnections(
  stack: AsyncDisposableStack,
  netns: string,
  gateway: string,
): Promise<number> {
  const family = familyOfIp(gateway) ?? 4;
  using tcp = inetSocket({ netns, kind: 'stream', family, bind: { ip: gateway, port: 0 } });
  const { port } = stack.use(
    await startRelay({ fd: tcp.takeFd() }, (client) => whereItWasGoing(client, family)),
  );
  return port;
}

/** Whether the machine has a route of IPv6 to anywhere. */
async function hasIpv6(): Promise<boolean> {
  return hasDefaultRoute(await readFile('/proc/net/ipv6_route', 'utf8').catch(() => ''));
}

function whereItWasGoing(client: Socket, family: IpFamily): Socket {
  const { ip, port } = originalDestination(descriptorOf(client), family);
  return connect({ host: ip, port, allowHalfOpen: true });
}

/** Whether they are carried. */
async function startDatagrams(
  stack: AsyncDisposableStack,
  { netns, gateways, ownCidrs, netlink, clock, warn }: WayOutOptions,
): Promise<boolean> {
  try {
    const carrier = stack.use(carryDatagrams({ ownCidrs, clock, write: (packet) => device.write(packet) }));
    const device = stack.use(
      await openPacketDevice({ name: datagramDevice, netns, onPacket: (packet) => carrier.take(packet) }),
    );
    const families = gateways.map((gateway) => familyOfIp(gateway) ?? 4);
    await netlink.apply({ kind: 'path', path: netns }, planDatagramDevice(families));
    return true;
  } catch (error) {
    // A machine without TUN devices, as many containers are.
    warn(`pods reach what is outside by TCP alone: ${describeError(error)}`);
    return false;
  }
}

/** Answers at an address of the namespace by the machine's resolvers. */
export async function startNames(
  { netns, clock }: Pick<WayOutOptions, 'netns' | 'clock'>,
  gateway: string,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const names = stack.use(await followHostNames({ files: hostNameFiles, clock, log: silentLogger }));
  const upstream = createUpstream({ servers: () => names.nameservers(), clock });
  const resolve = createForwardingResolver(createForwarder({ upstreamOf: () => upstream, clock }));
  const bind = { ip: gateway, port: 53 };
  const family = familyOfIp(gateway) ?? 4;
  using udp = inetSocket({ netns, kind: 'datagram', family, bind });
  using tcp = inetSocket({ netns, kind: 'stream', family, bind });
  const at = { udpFd: udp.takeFd(), tcpFd: tcp.takeFd() };
  stack.use(await listenForDns({ at, resolve, log: silentLogger }));
  return stack.move();
}
