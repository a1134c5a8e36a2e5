/** Addresses of IPv6 that are in use only once nobody of the link has said that it has them. */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { systemClock } from '#base/clock.ts';
import type { PluginCall, PluginHost } from './plugin.ts';

/** As long as upstream's plugins wait. The kernel asks once, and waits a second (RFC 4862 section 5.4). */
const settleMsMax = 10_000;
const lookMs = 50;

/** Until no address of the container's link is tentative. @throws code 11 where one still is, code 7 where another has it */
export async function settleAddresses(
  plugin: string,
  { netns: path, ifname }: Pick<PluginCall, 'netns' | 'ifname'>,
  { netlink }: Pick<PluginHost, 'netlink'>,
  signal: AbortSignal,
): Promise<void> {
  const endMs = systemClock.monotonic() + settleMsMax;
  for (;;) {
    const { links, addresses } = await netlink.state({ kind: 'path', path });
    const index = links.find(({ name }) => name === ifname)?.index;
    const own = addresses.filter(({ linkIndex }) => linkIndex === index);
    const taken = own.find(({ state }) => state === 'duplicate');
    if (taken !== undefined)
      throw cniError(
        cniErrorCode.invalidNetworkConfig,
        `${plugin}: another of the link has ${taken.address} already`,
      );
    const open = own.find(({ state }) => state === 'tentative');
    if (open === undefined) return;
    if (systemClock.monotonic() >= endMs)
      throw cniError(
        cniErrorCode.tryAgainLater,
        `${plugin}: ${open.address} is not known to be nobody else's after ${settleMsMax / 1000} s`,
      );
    await systemClock.sleep(lookMs, signal);
  }
}
