import type { Clock } from '#base/clock.ts';
import { ownNetns, type Netlink, type NetOp, type NetworkState } from '#native/netlink/netlink.ts';

/** What the kernel has: it tells of what changes there, and all of it is read again only then. */
export interface KernelView {
  read(): Promise<NetworkState>;
  /** Somebody has changed what was read. */
  forget(): void;
  /** These have been carried out: of routes to where none led it is known what they have made. */
  done(ops: readonly NetOp[]): void;
}

/** The longest that is gone by what was read once, in ms: routes that others add beside ours are not asked after. */
const keptMaxMs = 10_000;

export function createKernelView(netlink: Netlink, clock: Clock): KernelView {
  let kept: { readonly state: NetworkState; readonly atMs: number } | undefined;
  let version = 0;
  const forget = (): void => {
    kept = undefined;
    version++;
  };
  return {
    read: async () => {
      const atMs = clock.monotonic();
      if (kept !== undefined && atMs - kept.atMs < keptMaxMs) return kept.state;
      const begun = version;
      const state = await netlink.state(ownNetns);
      kept = version === begun ? { state, atMs } : undefined;
      return state;
    },
    forget,
    done: (ops) => {
      if (kept === undefined || ops.length === 0) return;
      const state = withRoutes(kept.state, ops);
      if (state === undefined) forget();
      else kept = { ...kept, state };
    },
  };
}

/** With the routes that were added; undefined: other things have been done as well, which leave more behind than is known. */
function withRoutes(state: NetworkState, ops: readonly NetOp[]): NetworkState | undefined {
  const there = new Set(state.routes.map(({ destination }) => destination));
  const links = new Map(state.links.map(({ name, index }) => [name, index]));
  const added: NetworkState['routes'][number][] = [];
  for (const op of ops) {
    if (op.op !== 'ensureRoute' || op.type !== undefined || there.has(op.destination)) return undefined;
    const { destination, gateway, dev, protocol = 0 } = op;
    const linkIndex = dev === undefined ? undefined : links.get(dev);
    added.push({ destination, gateway, linkIndex, protocol, scope: 0 });
  }
  return { ...state, routes: [...state.routes, ...added] };
}
