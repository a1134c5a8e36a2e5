import { O_NONBLOCK, O_RDWR } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';
import { ioctl, ioctlValue } from '#native/sys/libc.ts';

// linux/if_tun.h
const TUNSETIFF = 0x4004_54ca;
const TUNSETPERSIST = 0x4004_54cb;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
/** sizeof(struct ifreq), and IFNAMSIZ. */
const [ifreqBytes, flagsAt] = [40, 16];

/**
 * A device in the namespace of the calling thread, left down; made where there is none. One that stays does so when nobody has it open.
 * @throws E_BUSY where it is another's, E_UNSUPPORTED where the kernel has none
 */
export function openTun(name: string, { stays }: { readonly stays: boolean }): OwnedFd {
  const device = openFd('/dev/net/tun', O_RDWR | O_NONBLOCK);
  try {
    const request = Buffer.alloc(ifreqBytes);
    request.write(name, 0);
    request.writeUInt16LE(IFF_TUN | IFF_NO_PI, flagsAt);
    const attempt = (): string => `open tun device ${name}`;
    checked(ioctl(device.fd, TUNSETIFF, request), attempt);
    if (stays) checked(ioctlValue(device.fd, TUNSETPERSIST, 1), attempt);
    return device;
  } catch (error) {
    device[Symbol.dispose]();
    throw error;
  }
}
