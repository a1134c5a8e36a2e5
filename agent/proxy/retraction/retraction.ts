import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { EndpointSlice, Node, Pod, Service } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';
import type { AppliedRules } from './applied-rules.ts';
import { findPeers, findRetraction, type Retraction } from './find-retraction.ts';
import { PeerBook, type AskPeer } from './peer-book.ts';

/** Takes pods that end out of what Services lead to, on all nodes, before anything of them is told to stop. */
export interface EndpointRetraction {
  /**
   * Resolves when every node that can say so sends nobody to the pod any more, at the latest after `timeoutMs`; the same for all that
   * ask about one pod. Undefined: no Service leads to it.
   */
  retract(pod: Pod, timeoutMs: number): Promise<void> | undefined;
}

export interface RetractionOptions {
  readonly nodeName: string;
  readonly services: Informer<Service>;
  /** With the index `ownEndpoints`. */
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
  /** Of this node. */
  readonly applied: AppliedRules;
  readonly ask: AskPeer;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Name of an index of slices by the uids of this node's pods in them. */
export const ownEndpointsIndex = 'ownEndpoints';

export function ownEndpoints(nodeName: string): (slice: EndpointSlice) => readonly string[] {
  return ({ endpoints = [] }) =>
    endpoints.flatMap(({ nodeName: on, targetRef }) => (on === nodeName ? (targetRef?.uid ?? []) : []));
}

/**
 * What a proxy of another make has to follow, as it says nothing of how far it is: kube-proxy writes its rules a second after the last
 * time at the latest (minSyncPeriod), and this much again for writing them.
 */
export const unaskedMs = 2_000;
/** Packets that were sent before the rules changed, and connections that a program has not accepted yet, get there in this time. */
export const underWayMsMin = 50;
export const underWayMsMax = 500;

/** Pods whose retraction is known; of more, the oldest are asked about again. */
const knownMax = 1_024;

export function createRetraction(options: RetractionOptions): EndpointRetraction & Disposable {
  const { endpointSlices, services, clock, log } = options;
  const book = new PeerBook(options.ask, clock);
  const known = new Map<string, Promise<void>>();

  const look = (pod: Pod): Retraction =>
    findRetraction(pod, {
      slices: endpointSlices.byIndex(ownEndpointsIndex, pod.metadata?.uid ?? ''),
      services: services.list(),
    });
  const run = async (pod: Pod, timeoutMs: number): Promise<void> => {
    const startMs = clock.monotonic();
    const leftMs = (): number => Math.max(0, timeoutMs - (clock.monotonic() - startMs));
    const revision = await untilTold(pod, { look, timeoutMs }, options);
    const late =
      revision === undefined ? ['its EndpointSlices'] : await reachAll(revision, leftMs, options, book);
    const tookMs = clock.monotonic() - startMs;
    // On a machine that is slow to change rules, what is under way is slow as well.
    const underWayMs = Math.min(underWayMsMax, Math.max(underWayMsMin, tookMs));
    await wait(clock, Math.min(leftMs(), underWayMs));
    const { namespace, name, uid } = pod.metadata ?? {};
    const told = { namespace, pod: name, uid, revision, ms: Math.round(tookMs) };
    if (late.length === 0) log.debug(told, 'endpoints retracted on all nodes');
    else log.warn({ ...told, late: late.slice(0, 10) }, 'pod stops, though Services may still lead to it');
  };
  return {
    retract: (pod, timeoutMs) => {
      const uid = pod.metadata?.uid ?? '';
      const under = known.get(uid);
      if (under !== undefined) return under;
      if (services.hasSynced && endpointSlices.hasSynced && look(pod).kind === 'none') return undefined;
      const retracted = run(pod, timeoutMs);
      known.set(uid, retracted);
      for (const oldest of known.keys()) if (known.size > knownMax) known.delete(oldest);
      return retracted;
    },
    [Symbol.dispose]: () => book[Symbol.dispose](),
  };
}

/** The revision from which on nobody is sent to the pod; undefined: not told in time. */
async function untilTold(
  pod: Pod,
  { look, timeoutMs }: { readonly look: (pod: Pod) => Retraction; readonly timeoutMs: number },
  { endpointSlices, services, clock }: RetractionOptions,
): Promise<number | undefined> {
  using stack = new DisposableStack();

  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const check = (): void => {
    if (!endpointSlices.hasSynced || !services.hasSynced) return;
    const found = look(pod);
    if (found.kind !== 'pending') resolve(found.kind === 'told' ? found.revision : 0);
  };
  stack.use(clock.after(timeoutMs, () => resolve(undefined)));
  let isListening = false; // A new handler is told of all that is there.
  stack.use(
    endpointSlices.onChange(({ old, current = old }) => {
      if (isListening && current?.metadata?.namespace === pod.metadata?.namespace) check();
    }),
  );
  isListening = true;
  for (const { synced } of [endpointSlices, services]) void synced.then(check);
  check();
  return await promise;
}

/** Names of those who did not say in time that they are as far. */
async function reachAll(
  revision: number,
  leftMs: () => number,
  { nodes, nodeName, applied, clock }: RetractionOptions,
  book: PeerBook,
): Promise<readonly string[]> {
  if (revision === 0) return [];
  const startMs = clock.monotonic();
  const all = nodes.list();
  const { asked, unasked } = findPeers(all, nodeName);
  book.keepOnly(new Set(all.map(({ metadata }) => metadata?.name ?? '')));
  const followUnasked = (): Promise<void> =>
    wait(clock, Math.min(leftMs(), Math.max(0, unaskedMs - (clock.monotonic() - startMs))));
  const own = applied.reach(revision, leftMs()).then((at) => (at >= revision ? [] : [nodeName]));
  const others = asked.map(async (peer) => {
    const end = await book.reach(peer, revision, leftMs());
    if (end === 'unknowing') await followUnasked();
    return end === 'silent' ? [peer.name] : [];
  });
  const foreign = unasked.length === 0 ? [] : [followUnasked().then((): string[] => [])];
  return (await Promise.all([own, ...others, ...foreign])).flat();
}

async function wait(clock: Clock, ms: number): Promise<void> {
  if (ms <= 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.after(ms, resolve);
  await promise;
}
