import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';
import type { Flow, Nft } from '#native/nft/nft.ts';
import type { PolicyView } from './means.ts';
import { isAllowed, isAllowedToNode } from './verdict.ts';

export interface CutOptions {
  readonly nft: Pick<Nft, 'flows' | 'removeFlows'>;
  readonly netlink: Pick<Netlink, 'state'>;
  readonly view: PolicyView;
}

/** What of the flows of isolated pods may not go on; `gone`: addresses that no pod has any more. Pure. */
export function forbiddenFlows(
  flows: readonly Flow[],
  own: ReadonlySet<string>,
  gone: ReadonlySet<string>,
  view: PolicyView,
): readonly Flow[] {
  return flows.filter((flow) => {
    const { source, target } = flow;
    if (gone.has(source) || gone.has(target)) return true;
    // What the node sends no policy concerns.
    if (own.has(source)) return false;
    return own.has(target) ? !isAllowedToNode(flow, view) : !isAllowed(flow, view);
  });
}

/** Has the kernel forget connections that policies forbid by now: it accepts what it knows without asking. How many there were. */
export async function cutFlows(
  isolated: readonly string[],
  gone: ReadonlySet<string>,
  { nft, netlink, view }: CutOptions,
): Promise<number> {
  const addresses = [...isolated, ...gone];
  if (addresses.length === 0) return 0;
  const flows = await nft.flows(ownNetns, addresses);
  if (flows.length === 0) return 0;
  const state = await netlink.state(ownNetns);
  const own = new Set(state.addresses.map(({ address }) => address.split('/', 1).join()));
  const forbidden = forbiddenFlows(flows, own, gone, view);
  return forbidden.length === 0 ? 0 : nft.removeFlows(ownNetns, forbidden);
}
