import { describeError, errnoOf, isPodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { fixedChoice } from './choice.ts';
import type { FabricOptions } from './fabric-options.ts';
import { concernsFabric, isTunnelDevice, planForwarding, planRoutes, podCidrsOf } from './fabric-plan.ts';
import { createRules } from './fabric-rules.ts';
import { createTunnelKeeper } from './keep-tunnels.ts';
import { createKernelView, type KernelView } from './kernel-view.ts';
import { fabricAnnotation, renderNodeFabric } from './node-fabric.ts';
import type { Path } from './paths.ts';
import { createServiceRoutes, type ServiceRoutes } from './service-routes.ts';
import { routeOf } from './tunnel.ts';

type Key = 'routes' | 'masquerade';

/** How long link and address events are gathered before the routes are read. */
const linkSettleMs = 200;
/** The same of neighbours, whose events come in tens when a device is made. */
const neighbourSettleMs = 50;
/** Between looks for the sake of other nodes: so many times what the last one took, and no longer than that. */
const [restFactor, restMaxMs] = [9, 1_000];

/**
 * Keeps the node's part of the fabric: forwarding, tunnels and routes that follow Node objects and come back when somebody removes them, and
 * which pod packets leave with the node's address. Resolves when it is set up once.
 *
 * @throws E_UNSUPPORTED where the kernel lacks what the node was told to use
 */
export async function startFabric(options: FabricOptions): Promise<AsyncDisposable> {
  const { nodes, nodeName, netlink, clock, log, networks, choice = fixedChoice } = options;
  await using stack = new AsyncDisposableStack();

  await netlink.apply(ownNetns, planForwarding(networks, await netlink.state(ownNetns)));
  await nodes.synced;
  const kernel = createKernelView(netlink, clock);
  const keeper = createTunnelKeeper({ ...options, choice, kernel });
  const rules = createRules(options);
  const services = createServiceRoutes(options);
  let refusal: unknown;
  const rest = createRest(clock);
  const work: Record<Key, () => Promise<void>> = {
    routes: async () => {
      using _ = rest.look();
      const looked = await keeper.look();
      const { problems, againMs } = looked;
      refusal = looked.refusal;
      if (rules.setTunnels(keeper.tunnels())) queue.add('masquerade');
      if (againMs !== undefined) queue.addAfter('routes', againMs);
      const failures = await applyRoutes(options, { paths: keeper.paths(), services }, kernel);
      await options.onLook?.({
        links: looked.links,
        paths: keeper.paths(),
        problems,
        podMtu: keeper.podMtu(),
        mtuOf: (path) => keeper.mtuOf(path),
      });
      // What cannot be had for a moment is no reason to be reached by something else; what the kernel lacks is.
      if (refusal === undefined || isPodwrightError(refusal, 'E_UNSUPPORTED'))
        await publishOwn(options, keeper.published());
      if (failures.length > 0)
        throw new AggregateError(failures, `change ${failures.length} routes to other nodes`);
    },
    masquerade: () => rules.commit(),
  };
  const queue = stack.use(
    new KeyedQueue<Key>({
      clock,
      concurrencyMax: 2,
      backoff: { initialMs: 100, factor: 2, maxMs: 10_000 },
      work: (key) => work[key](),
      onError: (key, error, retryMs) =>
        log.warn({ key, error: describeFailure(error), retryMs }, 'fabric not as wanted'),
    }),
  );
  const renew = (afterMs: number): void => {
    services.change();
    rules.forget();
    queue.addAfter('routes', afterMs);
    queue.addAfter('masquerade', afterMs);
  };
  stack.use(
    nodes.onChange(({ key, old, current }) => {
      if (concernsFabric(old, current)) renew(key === nodeName ? 0 : rest.leftMs());
    }),
  );
  stack.use(options.serviceNetworks?.onChange(() => renew(0)));
  stack.use(choice.onChange(() => queue.add('routes')));
  stack.use(await watchKernel(options, keeper, { kernel, queue }));
  queue.add('routes');
  queue.add('masquerade');
  await queue.idle();
  if (choice.current().isOption && isPodwrightError(refusal, 'E_UNSUPPORTED')) throw refusal;
  for (const { family } of networks) stack.use(rules.watch(family, () => queue.add('masquerade')));
  return stack.move();
}

/**
 * Nodes of a cluster that starts come by the hundred, and each look reads all routes: what they cost together grows with the square of the
 * nodes, unless a look stands for as many of them as come while nine times its own length passes.
 */
function createRest(clock: Clock): { look(): Disposable; leftMs(): number } {
  let untilMs = 0;
  return {
    look: () => {
      const startMs = clock.monotonic();
      const dispose = (): void => {
        const endMs = clock.monotonic();
        untilMs = endMs + Math.min((endMs - startMs) * restFactor, restMaxMs);
      };
      return { [Symbol.dispose]: dispose };
    },
    leftMs: () => untilMs - clock.monotonic(),
  };
}

interface Looker {
  hasRouteTo(destination: string): boolean;
  isOwnLink(linkIndex: number): boolean;
}

/** What somebody else changed in the kernel is looked at. */
function watchKernel(
  { netlink }: FabricOptions,
  looker: Looker,
  { kernel, queue }: { readonly kernel: KernelView; readonly queue: KeyedQueue<Key> },
): Promise<AsyncDisposable> {
  return netlink.watch(ownNetns, (event) => {
    if (event.kind === 'route') {
      if (!event.removed) return;
      kernel.forget();
      if (looker.hasRouteTo(event.destination)) queue.add('routes');
      return;
    }
    kernel.forget();
    if (event.kind === 'neighbour') {
      if (looker.isOwnLink(event.linkIndex)) queue.addAfter('routes', neighbourSettleMs);
      return;
    }
    if (event.kind === 'link' && event.removed && isTunnelDevice(event.name)) {
      queue.addAfter('routes', neighbourSettleMs);
      return;
    }
    // A link that comes back has lost its routes, and its own events may be all that says so. But each pod makes and ends a
    // link too: many of them are looked at once.
    queue.addAfter('routes', linkSettleMs);
  });
}

/** Not before the node can be reached that way. */
async function publishOwn(
  { nodes, nodeName, publish, log }: FabricOptions,
  fabric: Parameters<typeof renderNodeFabric>[0],
): Promise<void> {
  const own = nodes.get(nodeName);
  if (publish === undefined || own === undefined) return;
  const text = renderNodeFabric(fabric);
  if (own.metadata?.annotations?.[fabricAnnotation] === text) return;
  await publish(fabricAnnotation, text);
  log.info({ fabric: text }, 'told the others how this node is reached');
}

/**
 * A node that is not on our link refuses its route (ENETUNREACH); the others get theirs all the same. What could not be done is
 * given back. After a change there is a second look: it finds what a replaced route has left behind, and what one that was refused did not
 * replace.
 */
async function applyRoutes(
  options: FabricOptions,
  { paths, services }: { readonly paths: readonly Path[]; readonly services: ServiceRoutes },
  kernel: KernelView,
): Promise<readonly unknown[]> {
  const refused = new Map<string, unknown>();
  for (let looks = 0; looks < 2; looks++) {
    const state = await kernel.read();
    const wanted = paths.map(routeOf).filter(({ destination }) => !refused.has(destination));
    const ranges = options.nodes.list().flatMap(podCidrsOf);
    const ops = [...services.plan(state), ...planRoutes(wanted, state, ranges)];
    if (ops.length === 0) break;
    for (const op of ops) {
      try {
        await options.netlink.apply(ownNetns, [op]);
        options.log.info({ op }, 'fabric route changed');
      } catch (error) {
        if (!isPodwrightError(error)) throw error;
        options.log.debug({ op, errno: errnoOf(error), error: describeError(error) }, 'fabric route refused');
        if ('destination' in op) refused.set(op.destination, error);
      }
    }
    if (refused.size > 0) kernel.forget();
    else kernel.done(ops);
  }
  return [...refused.values()];
}

/** Of several routes that were refused each says why. */
function describeFailure(error: unknown): string {
  const parts = error instanceof AggregateError ? error.errors.slice(0, 3) : [];
  return [error, ...parts].map(describeError).join('; ');
}
