import { withNetns } from '#native/sys/namespace.ts';
import { startPollingThread, type PollingData } from '#native/sys/polling-thread.ts';
import { openTun } from './open-tun.ts';
import type { PacketDevice, PacketDeviceOptions } from './packet-device.ts';
import type { PacketThreadData, ToPacketThread } from './packet-thread.ts';

/** The device is left down. @throws E_NOT_FOUND, E_PERMISSION, E_UNSUPPORTED */
export async function openPacketDevice({
  name,
  netns,
  onPacket,
}: PacketDeviceOptions): Promise<PacketDevice> {
  await using stack = new AsyncDisposableStack();
  const tun = stack.use(withNetns(netns, () => openTun(name, { stays: false })));
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  const data: Omit<PacketThreadData, keyof PollingData> = { tun: tun.fd, waiting };
  const thread = stack.use(
    startPollingThread<ToPacketThread>({
      url: new URL('./packet-thread.ts', import.meta.url),
      name: 'podwright-packets',
      data,
      close: { kind: 'close' },
      onMessage: (bytes) => {
        Atomics.sub(waiting, 0, 1);
        if (bytes instanceof Uint8Array) onPacket(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      },
    }),
  );
  const owned = stack.move();
  return {
    write: (bytes) => thread.tell({ kind: 'packet', bytes }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
