/** TAP devices, which no rtnetlink message makes (Documentation/networking/tuntap.rst, linux/if_tun.h). */
import { O_RDWR } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { openFd } from '#native/sys/fd.ts';
import { ioctl, ioctlValue } from '#native/sys/libc.ts';
import { withNetns } from '#native/sys/namespace.ts';
import { IFNAMSIZ } from './netlink-constants.ts';
import type { NetnsRef, NetOp } from './netlink.ts';
import { renderNetOp } from './render.ts';
import { checkedName } from './rtnetlink-encode.ts';

const TUNSETIFF = 0x4004_54ca;
const TUNSETPERSIST = 0x4004_54cb;
const TUNSETOWNER = 0x4004_54cc;
const TUNSETGROUP = 0x4004_54ce;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_TUN_EXCL = 0x8000;
/** sizeof(struct ifreq) */
const ifreqBytes = 40;

/** A device that outlives the descriptor which made it. @throws E_BUSY where there is a link of the name */
export function addTap(netns: NetnsRef, op: Extract<NetOp, { readonly op: 'addTap' }>): void {
  const attempt = (): string => renderNetOp(op);
  const make = (): void => {
    using device = openFd('/dev/net/tun', O_RDWR);

    const request = Buffer.alloc(ifreqBytes);
    request.write(checkedName(op.name), 0);
    const queues = op.multiQueue === true ? IFF_MULTI_QUEUE : 0;
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL | queues, IFNAMSIZ);
    checked(ioctl(device.fd, TUNSETIFF, request), attempt);
    if (op.owner !== undefined) checked(ioctlValue(device.fd, TUNSETOWNER, op.owner), attempt);
    if (op.group !== undefined) checked(ioctlValue(device.fd, TUNSETGROUP, op.group), attempt);
    checked(ioctlValue(device.fd, TUNSETPERSIST, 1), attempt);
  };
  if (netns.kind === 'own') make();
  else withNetns(netns.path, make);
}
