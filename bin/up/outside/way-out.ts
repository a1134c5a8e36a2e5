import { connect, type Socket } from 'node:net';

import type { Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { listenForDns } from '#agent/dns/listen.ts';
import { createForwarder } from '#agent/dns/outside/forwarder.ts';
import { createUpstream } from '#agent/dns/outside/upstream.ts';
import { createForwardingResolver } from '#agent/dns/resolver.ts';
import { followHostNames, hostNameFiles } from '#agent/node/host-names.ts';
import type { Nft } from '#native/nft/nft.ts';
import { inetSocket, originalDestination } from '#native/sys/inet-socket.ts';
import { descriptorOf } from '#native/sys/descriptor.ts';
import { startRelay } from './relay-server.ts';
import { renderWayOut } from './render-way-out.ts';

export interface WayOutOptions {
  /** Path of the network namespace through which the nodes leave. */
  readonly netns: string;
  /** Its address and link towards the nodes. */
  readonly gateway: string;
  readonly link: string;
  readonly ownCidrs: readonly string[];
  readonly nft: Nft;
  readonly clock: Clock;
}

/**
 * Lets the pods of a cluster reach what this machine reaches: their connections end here, in user space, and go on from this process, which
 * lives in the machine's own network. Names are asked of the machine's resolvers. Nothing of the machine's own rules or routes is changed.
 */
export async function startWayOut(options: WayOutOptions): Promise<AsyncDisposable> {
  const { netns, gateway, link, ownCidrs, nft } = options;
  await using stack = new AsyncDisposableStack();

  using tcp = inetSocket({ netns, kind: 'stream', family: 4, bind: { ip: gateway, port: 0 } });
  const { port } = stack.use(await startRelay({ fd: tcp.takeFd() }, whereItWasGoing));
  stack.use(await startNames(options));
  await nft.commit({ kind: 'path', path: netns }, [
    { op: 'replaceTable', table: renderWayOut({ link, ownCidrs, port }) },
  ]);
  return stack.move();
}

function whereItWasGoing(client: Socket): Socket {
  const { ip, port } = originalDestination(descriptorOf(client), 4);
  return connect({ host: ip, port, allowHalfOpen: true });
}

async function startNames({ netns, gateway, clock }: WayOutOptions): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const names = stack.use(await followHostNames({ files: hostNameFiles, clock, log: silentLogger }));
  const upstream = createUpstream({ servers: () => names.nameservers(), clock });
  const resolve = createForwardingResolver(createForwarder({ upstreamOf: () => upstream, clock }));
  const bind = { ip: gateway, port: 53 };
  using udp = inetSocket({ netns, kind: 'datagram', family: 4, bind });
  using tcp = inetSocket({ netns, kind: 'stream', family: 4, bind });
  const at = { udpFd: udp.takeFd(), tcpFd: tcp.takeFd() };
  stack.use(await listenForDns({ at, resolve, log: silentLogger }));
  return stack.move();
}
