/** The relay over the kernel's TUN devices (Documentation/networking/tuntap.rst) and a UDP socket. */
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import { withNetns } from '#native/sys/namespace.ts';
import { startPollingThread, type PollingData } from '#native/sys/polling-thread.ts';
import { openTun } from './open-tun.ts';
import type { Relay, RelayOptions } from './relay.ts';
import type { RelayThreadData, ToRelay } from './relay-thread.ts';

/** The device is made where there is none; it is left down. */
export async function openRelay({ name, local, port, netns, onDeath }: RelayOptions): Promise<Relay> {
  const family = familyOfIp(local);
  if (family === undefined) throw new PodwrightError('E_INVALID', `relay at ${local}: no address`);
  await using stack = new AsyncDisposableStack();

  const udp = stack.use(
    inetSocket({
      kind: 'datagram',
      family,
      bind: { ip: local, port },
      ...(netns === undefined ? {} : { netns }),
    }),
  );
  // It stays when nobody has it open: routes by it do not go while the agent starts again.
  const open = (): OwnedFd => openTun(name, { stays: true });
  const tun = stack.use(netns === undefined ? open() : withNetns(netns, open));
  const counts = new Float64Array(new SharedArrayBuffer(4 * 8));
  const data: Omit<RelayThreadData, keyof PollingData> = { tun: tun.fd, udp: udp.fd, family, counts };
  const thread = stack.use(
    startPollingThread<ToRelay>({
      url: new URL('./relay-thread.ts', import.meta.url),
      name: 'podwright-relay',
      data,
      close: { kind: 'close' },
      onDeath,
    }),
  );
  const owned = stack.move();
  return {
    setPeers: (peers) => thread.tell({ kind: 'peers', peers }),
    counts: () => {
      const [sent = 0, received = 0, refused = 0, dropped = 0] = counts;
      return { sent, received, refused, dropped };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
