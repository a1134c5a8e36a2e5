import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { emptyResult, type CniResult } from '#api/cni/result.ts';
import type { NetOp, NetworkState } from '#native/netlink/netlink.ts';
import { familyOf } from '#cni-plugins/skel/link-plan.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

/** Brings `lo` of the container up. Whatever CNI_IFNAME says, the interface is `lo`. */
export const loopback: CniPlugin = {
  name: 'loopback',
  async add(call, { netlink }) {
    await netlink.apply({ kind: 'path', path: call.netns }, planLoopback());
    return call.prevResult ?? resultOf(call.netns, await netlink.state({ kind: 'path', path: call.netns }));
  },
  async del() {
    // lo goes with its namespace; taking it down first would only break what still runs there.
  },
  async check(call, { netlink }) {
    const { links } = await netlink.state({ kind: 'path', path: call.netns });
    if (links.some((link) => link.name === 'lo' && link.isUp)) return;
    throw cniError(cniErrorCode.unknownContainer, `check lo in ${call.netns}: not up`);
  },
  async gc() {
    // Nothing is kept outside the container's namespace.
  },
  async status() {
    // Needs nothing.
  },
};

/** The kernel gives lo its addresses as it comes up. */
export function planLoopback(): readonly NetOp[] {
  return [{ op: 'setLink', name: 'lo', up: true }];
}

/** The first address of each family. @throws code 7 where somebody gave lo one that is not of the host itself */
function resultOf(netns: string, { links, addresses }: NetworkState): CniResult {
  const index = links.find(({ name }) => name === 'lo')?.index;
  const own = addresses.filter(({ linkIndex }) => linkIndex === index).map(({ address }) => address);
  const other = own.find((address) => !isLoopback(address));
  if (other !== undefined)
    throw cniError(cniErrorCode.invalidNetworkConfig, `loopback: lo in ${netns} has ${other}`);
  const ips = [4, 6].flatMap((family) => own.find((address) => familyOf(address) === family) ?? []);
  return {
    ...emptyResult,
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: netns }],
    ips: ips.map((address) => ({ address, interface: 0 })),
  };
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1/128';
