/** The relay over the kernel's TUN devices (Documentation/networking/tuntap.rst) and a UDP socket. */
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import { O_NONBLOCK, O_RDWR } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import { ioctl, ioctlValue } from '#native/sys/libc.ts';
import { withNetns } from '#native/sys/namespace.ts';
import { startPollingThread, type PollingData } from '#native/sys/polling-thread.ts';
import type { Relay, RelayOptions } from './relay.ts';
import type { RelayThreadData, ToRelay } from './relay-thread.ts';

// linux/if_tun.h
const TUNSETIFF = 0x4004_54ca;
const TUNSETPERSIST = 0x4004_54cb;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
/** sizeof(struct ifreq), and IFNAMSIZ. */
const [ifreqBytes, flagsAt] = [40, 16];

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
  const tun = stack.use(netns === undefined ? openTun(name) : withNetns(netns, () => openTun(name)));
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

/** It stays when nobody has it open: routes by it do not go while the agent starts again. */
function openTun(name: string): OwnedFd {
  const device = openFd('/dev/net/tun', O_RDWR | O_NONBLOCK);
  try {
    const request = Buffer.alloc(ifreqBytes);
    request.write(name, 0);
    request.writeUInt16LE(IFF_TUN | IFF_NO_PI, flagsAt);
    const attempt = (): string => `open tun device ${name}`;
    checked(ioctl(device.fd, TUNSETIFF, request), attempt);
    checked(ioctlValue(device.fd, TUNSETPERSIST, 1), attempt);
    return device;
  } catch (error) {
    device[Symbol.dispose]();
    throw error;
  }
}
