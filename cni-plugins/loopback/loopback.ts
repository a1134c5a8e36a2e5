import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { emptyResult, type CniResult } from '#api/cni/result.ts';
import type { NetOp } from '#native/netlink/netlink.ts';
import type { CniPlugin, PluginCall } from '#cni-plugins/skel/plugin.ts';

/** Brings `lo` of the container up. Whatever CNI_IFNAME says, the interface is `lo`. */
export const loopback: CniPlugin = {
  name: 'loopback',
  async add(call, { netlink }) {
    await netlink.apply({ kind: 'path', path: call.netns }, planLoopback());
    return resultOf(call);
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

function resultOf(call: PluginCall): CniResult {
  if (call.prevResult !== undefined) return call.prevResult;
  return {
    ...emptyResult,
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: call.netns }],
    ips: [{ address: '127.0.0.1/8', interface: 0 }],
  };
}
