import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import type { Namespace, NetworkPolicy, Node, Pod } from '#api/generated/objects.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import type { PolicyStanding } from '#api/network/policy-standing.ts';
import { namespaces as namespaceKind, type KindRef } from '#api/schema/kind-ref.ts';
import { formatIp, parseIp } from '#base/ip.ts';
import { watchTable } from '#agent/network/watch-table.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';
import type { Nft, NftCounter } from '#native/nft/nft.ts';
import { cutFlows } from './cut-flows.ts';
import { createFreshPolicies } from './fresh-policies.ts';
import { policyTable } from './policy-layout.ts';
import { createPolicyState, type AttachedPod, type Family } from './policy-state.ts';
import type { PolicyState, TableLayout } from './policy-state.ts';
import type { TierSource } from './tiers/follow-tiers.ts';
import type { PolicyNode } from './tiers/tier-policy.ts';

export interface PolicyOptions {
  readonly nodeName: string;
  /** As who may read all policies, pods and namespaces. */
  readonly client: ApiClient;
  readonly policies: WritableInformer<NetworkPolicy>;
  /** Of the whole cluster; asked for once there is a policy: a cluster without any is spared them. */
  readonly allPods: () => Informer<Pod>;
  readonly namespaces: () => WritableInformer<Namespace>;
  /** Policies of the cluster; undefined: there are none. */
  readonly tiers?: TierSource;
  /** Asked for once such a policy names nodes. */
  readonly nodes?: () => Informer<Node>;
  /** Addresses at which the node itself answers for the cluster's DNS. */
  readonly dns?: readonly string[];
  /** Those of this node. */
  readonly ownPods: Informer<Pod>;
  readonly families: readonly Family[];
  readonly nft: Nft;
  readonly netlink: Pick<Netlink, 'state'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of a policy of which not all is in force (its key), or of what keeps all of them from being so (undefined). */
  readonly warn: (
    policy: KubeObject | undefined,
    message: string,
    /** Of a policy of the cluster. */
    kind?: KindRef<KubeObject>,
  ) => void;
  /** Told of the addresses of this node's pods that policies may concern, before rules do: none of their packets may pass by these. */
  readonly onConcerned?: (ips: ReadonlySet<string>) => void;
  /** Told of policies of the cluster that are in force, each time that the kernel has said so. */
  readonly onStandings?: (standings: readonly PolicyStanding[]) => void;
}

export interface Policies extends AsyncDisposable {
  /** Begins with the pods that an earlier agent left running. Until then nothing is changed, and pods wait. */
  start(attached: readonly AttachedPod[]): void;
  /** Resolves when policies that were there when it was called are known. @throws E_TIMEOUT */
  freshen(namespace: string, signal: AbortSignal): Promise<void>;
  /** Resolves when all that is known, of the pod too, is in force. @throws E_TIMEOUT */
  attach(pod: AttachedPod, signal: AbortSignal): Promise<void>;
  detach(sandboxId: string): void;
  /** Of all policies and families. */
  counters(): Promise<readonly NftCounter[]>;
  /** Resolves when what is known now is in the kernel, and connections are cut; or it has failed and waits to be tried again. */
  idle(): Promise<void>;
}

/** After it, whoever waits is told why, and the pod is tried again. */
const waitMsMax = 30_000;

/** Between two looks at all connections; the kernel lists each of them. */
const cutIntervalMs = 200;

/**
 * Keeps NetworkPolicies in force for the pods of this node: what changes in one tick goes out in one transaction, and one that the
 * kernel refuses is followed by the whole table. Nothing is touched before policies, pods and namespaces are known: the rules of an
 * earlier agent hold until then.
 */
export function createPolicies(options: PolicyOptions): Policies {
  return new Enforcer(options);
}

interface Waiting {
  readonly namespace: string;
  readonly revision: number;
  readonly resolve: () => void;
}

class Enforcer implements Policies {
  readonly #options: PolicyOptions;
  readonly #state: PolicyState;
  readonly #stack = new AsyncDisposableStack();
  readonly #queue: KeyedQueue<'commit' | 'cut'>;
  readonly #fresh: (namespace: string) => Promise<void>;
  readonly #attached = new Map<string, AttachedPod>();
  readonly #gone = new Set<string>();
  readonly #waiting = new Set<Waiting>();
  readonly #told = new Map<string, string>();
  #cluster: { readonly pods: Informer<Pod>; readonly namespaces: WritableInformer<Namespace> } | undefined;
  #nodes: Informer<Node> | undefined;
  #revision = 0;
  #isStarted = false;
  #needsWhole = true;
  #layout: TableLayout = 'none';
  #isWatched = false;
  #lastCutMs = -cutIntervalMs;
  #trouble = 'NetworkPolicies, Pods or Namespaces of the cluster are not known yet';

  constructor(options: PolicyOptions) {
    this.#options = options;
    const { clock, log, client, policies } = options;
    this.#state = createPolicyState(options.families, options.dns);
    this.#fresh = createFreshPolicies({ client, policies, log, beside: (name) => this.#freshenTiers(name) });
    this.#queue = this.#stack.use(
      new KeyedQueue<'commit' | 'cut'>({
        clock,
        concurrencyMax: 2,
        backoff: { initialMs: 20, factor: 2, maxMs: 5_000 },
        work: (key) => (key === 'commit' ? this.#commit() : this.#cut()),
        onError: (key, error, retryMs) => this.#onError(key, error, retryMs),
      }),
    );
  }

  start(attached: readonly AttachedPod[]): void {
    const { policies, ownPods } = this.#options;
    for (const pod of attached) this.#attached.set(pod.sandboxId, pod);
    for (const pod of this.#attached.values()) this.#state.attach(pod, this.#ownPod(pod));
    this.#stack.use(
      policies.onChange(({ key, current }) => {
        this.#state.setPolicy(key, current);
        if (current !== undefined) this.#followCluster();
        this.#changed();
      }),
    );
    this.#followTiers();
    this.#stack.use(
      ownPods.onChange(({ old, current }) => {
        const uid = current?.metadata?.uid;
        if (uid === undefined || hasSameFacts(old, current)) return;
        for (const pod of this.#attached.values()) {
          if (pod.uid !== uid) continue;
          this.#state.attach(pod, current);
          this.#changed();
        }
      }),
    );
    this.#isStarted = true;
    void Promise.all([policies.synced, ownPods.synced]).then(() => this.#changed());
    this.#changed();
  }

  #followTiers(): void {
    const { tiers } = this.#options;
    if (tiers === undefined) return;
    this.#stack.use(
      tiers.onChange((key, policy) => {
        this.#state.setTier(key, policy);
        if (policy !== undefined) this.#followCluster();
        if (this.#state.asksForNodes) this.#followNodes();
        this.#changed();
      }),
    );
    this.#stack.use(tiers.onSynced(() => this.#changed()));
  }

  /** From the first policy on that asks which there are. */
  #followNodes(): void {
    const { nodes } = this.#options;
    if (this.#nodes !== undefined || nodes === undefined) return;
    this.#nodes = nodes();
    this.#stack.use(
      this.#nodes.onChange(({ key, old, current }) => {
        const [before, now] = [policyNodeOf(old), policyNodeOf(current)];
        if (equal(before, now)) return;
        this.#state.setNode(key, now);
        this.#changed();
      }),
    );
    void this.#nodes.synced.then(() => this.#changed());
  }

  /** Which policies of the cluster concern a pod is asked of its namespace, which may be as new as it is. */
  async #freshenTiers(namespace: string): Promise<void> {
    const { tiers, client, log } = this.#options;
    if (tiers === undefined) return;
    await tiers.freshen();
    if (this.#state.layout !== 'tiers') return;
    try {
      const fieldSelector = `metadata.name=${namespace}`;
      const { items } = await client.list(namespaceKind, { fieldSelector });
      for (const item of items) this.#cluster?.namespaces.observe(item);
    } catch (error) {
      log.debug({ namespace, error: describeError(error) }, 'namespace not asked for anew');
    }
  }

  #ownPod({ namespace, name, uid }: AttachedPod): Pod | undefined {
    const pod = this.#options.ownPods.get(`${namespace}/${name}`);
    return pod?.metadata?.uid === uid ? pod : undefined;
  }

  /** From the first policy on. */
  #followCluster(): void {
    if (this.#cluster !== undefined) return;
    const [pods, namespaces] = [this.#options.allPods(), this.#options.namespaces()];
    this.#cluster = { pods, namespaces };
    this.#stack.use(
      pods.onChange(({ key, old, current }) => {
        if (hasSameFacts(old, current)) return;
        // What this node's pods have for addresses it knows itself.
        const isElsewhere = current !== undefined && current.spec?.nodeName !== this.#options.nodeName;
        this.#state.setPod(key, isElsewhere ? current : undefined);
        this.#changed();
      }),
    );
    this.#stack.use(
      namespaces.onChange(({ key, old, current }) => {
        if (old !== undefined && equal(old.metadata?.labels, current?.metadata?.labels)) return;
        this.#state.setNamespace(key, current === undefined ? undefined : (current.metadata?.labels ?? {}));
        this.#changed();
      }),
    );
    void Promise.all([pods.synced, namespaces.synced]).then(() => this.#changed());
  }

  #changed(): void {
    this.#revision += 1;
    this.#queue.add('commit');
  }

  /** What is known is all that there is. */
  get #isComplete(): boolean {
    const { policies, ownPods, tiers } = this.#options;
    const { pods, namespaces } = this.#cluster ?? {};
    const all = [policies, ownPods, tiers, pods, namespaces, this.#nodes];
    return this.#isStarted && all.every((source) => source === undefined || source.hasSynced);
  }

  async #commit(): Promise<void> {
    if (!this.#isComplete) return;
    const { nft, log, clock } = this.#options;
    const revision = this.#revision;
    const settled = [...this.#waiting].filter(
      (waiting) => waiting.revision <= revision && this.#state.knows(waiting.namespace),
    );
    const startMs = clock.monotonic();
    const before = this.#layout;
    let forbids = true;
    const standings = this.#standings();
    this.#options.onConcerned?.(new Set(this.#state.isolatedIps()));
    if (!this.#needsWhole && before !== 'none' && this.#state.layout === before) {
      const changes = this.#state.takeChanges();
      forbids = changes.forbids;
      this.#needsWhole = true; // Until the kernel has said yes.
      if (await this.#tryCommit(changes.ops)) this.#needsWhole = false;
    }
    if (this.#needsWhole || this.#state.layout !== before) {
      const counters = await this.#countersByFamily();
      this.#layout = this.#state.layout;
      await nft.commit(
        ownNetns,
        this.#state.takeAll((family) => counters.get(family) ?? []),
      );
      this.#needsWhole = false;
      forbids = true;
    }
    this.#watch();
    log.debug({ ms: clock.monotonic() - startMs }, 'network policies committed');
    for (const waiting of settled) waiting.resolve();
    this.#options.onStandings?.(standings);
    // After the rules: before, a packet in between would make the connection again.
    if ((forbids && this.#layout !== 'none') || this.#gone.size > 0) this.#queue.add('cut');
    this.#tellProblems();
  }

  /** As they are in what is committed now. */
  #standings(): readonly PolicyStanding[] {
    const problems = this.#state.problems();
    return (this.#options.tiers?.list() ?? []).map(({ kind, object: { metadata } }) => {
      const { name = '', uid = '', generation = 0 } = metadata ?? {};
      return { kind, name, uid, generation, problem: problems.get(`${kind.kind}/${name}`) };
    });
  }

  async #tryCommit(ops: Parameters<Nft['commit']>[1]): Promise<boolean> {
    try {
      if (ops.length > 0) await this.#options.nft.commit(ownNetns, ops);
      return true;
    } catch (error) {
      this.#options.log.warn({ error, ops: ops.length }, 'policy rules refused; the whole table follows');
      return false;
    }
  }

  async #cut(): Promise<{ readonly kind: 'again'; readonly afterMs: number } | void> {
    const { nft, netlink, clock, log } = this.#options;
    const waitMs = this.#lastCutMs + cutIntervalMs - clock.monotonic();
    if (waitMs > 0) return { kind: 'again', afterMs: waitMs };
    this.#lastCutMs = clock.monotonic();
    const gone = new Set(this.#gone);
    this.#gone.clear();
    if (this.#layout === 'none') return;
    for (const { ips } of this.#attached.values()) for (const ip of ips) gone.delete(ip);
    const count = await cutFlows(this.#state.isolatedIps(), gone, { nft, netlink, view: this.#state.view });
    if (count > 0) log.info({ count }, 'connections cut that network policies forbid by now');
  }

  #onError(key: 'commit' | 'cut', error: unknown, retryMs: number): void {
    const { log, warn } = this.#options;
    if (key === 'cut') return log.warn({ error, retryMs }, 'forbidden connections not cut');
    this.#trouble = `network policies are not in force: ${describeError(error)}`;
    log.warn({ error, retryMs }, 'network policies not in force');
    warn(undefined, this.#trouble);
  }

  /** Each once, until it is said otherwise. */
  #tellProblems(): void {
    const { policies, tiers, warn } = this.#options;
    const problems = this.#state.problems();
    for (const [key, text] of problems) {
      if (this.#told.get(key) === text) continue;
      this.#told.set(key, text);
      const [policy, tier] = [policies.get(key), tiers?.find(key)];
      if (policy !== undefined) warn(policy, text);
      else if (tier !== undefined) warn(tier.object, text, tier.kind);
    }
    for (const key of this.#told.keys()) if (!problems.has(key)) this.#told.delete(key);
  }

  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    const { nft, clock, log, families } = this.#options;
    for (const family of families)
      this.#stack.use(
        watchTable({
          nft,
          clock,
          log,
          table: policyTable(family),
          ruleCount: () => (this.#layout === 'none' ? 0 : this.#state.ruleCount(family)),
          onLost: () => {
            this.#needsWhole = true;
            this.#queue.add('commit');
          },
        }),
      );
  }

  async freshen(namespace: string, signal: AbortSignal): Promise<void> {
    await this.#within(this.#options.policies.synced, signal);
    await this.#within(this.#fresh(namespace), signal);
  }

  async attach(pod: AttachedPod, signal: AbortSignal): Promise<void> {
    this.#attached.set(pod.sandboxId, pod);
    this.#state.attach(pod, this.#ownPod(pod));
    this.#changed();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { namespace } = pod;
    const waiting = { namespace, revision: this.#revision, resolve };
    this.#waiting.add(waiting);
    const trouble = (): string =>
      this.#state.knows(namespace) ? this.#trouble : `Namespace ${namespace} is not known yet`;
    await this.#within(promise, signal, trouble).finally(() => this.#waiting.delete(waiting));
  }

  async #within(
    promise: Promise<void>,
    signal: AbortSignal,
    trouble: () => string = () => this.#trouble,
  ): Promise<void> {
    signal.throwIfAborted();
    const { promise: given, reject } = Promise.withResolvers<never>();
    using _timer = this.#options.clock.after(waitMsMax, () =>
      reject(new PodwrightError('E_TIMEOUT', `wait for network policies: ${trouble()}`)),
    );
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([promise, given]).finally(() => signal.removeEventListener('abort', onAbort));
  }

  detach(sandboxId: string): void {
    for (const ip of this.#attached.get(sandboxId)?.ips ?? []) this.#gone.add(ip);
    if (!this.#attached.delete(sandboxId)) return;
    this.#state.detach(sandboxId);
    this.#changed();
  }

  async counters(): Promise<readonly NftCounter[]> {
    return [...(await this.#countersByFamily()).values()].flat();
  }

  async #countersByFamily(): Promise<ReadonlyMap<Family, readonly NftCounter[]>> {
    const { nft, families } = this.#options;
    const lists = families.map(
      async (family) => [family, await nft.counters(ownNetns, policyTable(family))] as const,
    );
    return new Map(await Promise.all(lists));
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function policyNodeOf(node: Node | undefined): PolicyNode | undefined {
  if (node === undefined) return undefined;
  const ips = (node.status?.addresses ?? []).flatMap(({ address }) => parseIp(address) ?? []);
  return { labels: node.metadata?.labels ?? {}, ips: ips.map(formatIp) };
}

const equal = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Whether a change of a pod is none for policies: most are of conditions and containers' states. */
function hasSameFacts(old: Pod | undefined, current: Pod | undefined): boolean {
  if (old === undefined || current === undefined || objectKey(old) !== objectKey(current)) return false;
  const facts = ({ metadata, spec, status }: Pod): unknown => [
    metadata?.uid,
    metadata?.labels,
    spec?.nodeName,
    status?.phase,
    status?.podIPs,
    status?.podIP,
  ];
  return equal(facts(old), facts(current));
}
