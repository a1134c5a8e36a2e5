import type { NetworkPolicy, Pod } from '#api/generated/objects.ts';
import { familyFacts } from '#agent/proxy/table-layout.ts';
import type { NftCounter, NftOp } from '#native/nft/nft.ts';
import { compilePolicies } from './compile.ts';
import { rulesMax } from './draft.ts';
import { countMatches } from './matches.ts';
import { directions, parsePolicy, type Policy, type PolicyRule } from './parse-policy.ts';
import type { PolicyView } from './means.ts';
import { policyTable } from './policy-layout.ts';
import { createPodBook, type BookedPod } from './pod-book.ts';
import { policyPodOf, type PolicyPod } from './policy-pod.ts';
import { createPolicyRuleset, type Changes, type PolicyRuleset } from './policy-ruleset.ts';
import { asksForNodes, inOrder, isSubject, type PolicyNode, type TierPolicy } from './tiers/tier-policy.ts';

export type Family = 'ip' | 'ip6';

/** A pod of this node and the addresses that it was given. */
export interface AttachedPod {
  readonly sandboxId: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly ips: readonly string[];
}

/** What the table is made for; another one is another table. */
export type TableLayout = 'none' | 'isolation' | 'tiers';

/** All that is known of policies and pods, and what of it the kernel does not have yet. No effects. */
export interface PolicyState {
  setPolicy(key: string, policy: NetworkPolicy | undefined): void;
  /** A pod of the cluster, elsewhere. */
  setPod(key: string, pod: Pod | undefined): void;
  /** `pod`: what the API says of it; undefined: nothing, so it has no labels. */
  attach(attached: AttachedPod, pod: Pod | undefined): void;
  detach(sandboxId: string): void;
  /** A policy of the whole cluster; `key`: of all kinds. */
  setTier(key: string, policy: TierPolicy | undefined): void;
  /** A node, where `asksForNodes`. */
  setNode(name: string, node: PolicyNode | undefined): void;
  setNamespace(name: string, labels: Readonly<Record<string, string>> | undefined): void;
  readonly layout: TableLayout;
  /** Whether a policy asks which nodes there are. */
  readonly asksForNodes: boolean;
  /** Whether it is known which policies concern pods of a namespace. */
  knows(namespace: string): boolean;
  /** What brings the kernel from the last take to now. */
  takeChanges(): Changes;
  /** All of it; also takes the changes. */
  takeAll(counters: (family: Family) => readonly NftCounter[]): readonly NftOp[];
  /** Rules that the kernel has once all that was taken is committed. */
  ruleCount(family: Family): number;
  /** Addresses of isolated pods of this node. */
  isolatedIps(): readonly string[];
  /** Policies of which not all is in force, and why. */
  problems(): ReadonlyMap<string, string>;
  readonly view: PolicyView;
}

/** `dns`: addresses at which the node itself answers for the cluster's DNS. */
export function createPolicyState(families: readonly Family[], dns: readonly string[] = []): PolicyState {
  return new State(families, dns);
}

class State implements PolicyState {
  readonly #policies = new Map<string, Policy>();
  readonly #tiers = new Map<string, TierPolicy>();
  readonly #nodes = new Map<string, PolicyNode>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #book = createPodBook();
  /** Keys of this node's pods in the book. */
  readonly #attached = new Set<string>();
  readonly #rulesets: ReadonlyMap<Family, PolicyRuleset>;
  readonly #dns: readonly string[];
  /** In the order in which they are asked. */
  #ordered: readonly TierPolicy[] = [];
  #areRulesStale = true;
  readonly view: PolicyView;

  constructor(families: readonly Family[], dns: readonly string[]) {
    this.#dns = dns;
    const labelsOf = (name: string): Readonly<Record<string, string>> | undefined =>
      this.#namespaces.get(name);
    this.#rulesets = new Map(families.map((family) => [family, createPolicyRuleset(family, labelsOf)]));
    const podOf = (key: string | undefined): PolicyPod | undefined =>
      key === undefined ? undefined : this.#book.get(key);
    const [ordered, nodes] = [() => this.#ordered, () => [...this.#nodes.values()]];
    this.view = {
      dns,
      get tiers() {
        return ordered();
      },
      get nodes() {
        return nodes();
      },
      policies: (namespace) => [...this.#policies.values()].filter((each) => each.namespace === namespace),
      subject: (ip) => {
        const key = this.#book.keyOf(ip);
        return key !== undefined && this.#attached.has(key) ? podOf(key) : undefined;
      },
      pod: (ip) => podOf(this.#book.keyOf(ip)),
      namespaceLabels: labelsOf,
    };
  }

  get layout(): TableLayout {
    if (this.#tiers.size > 0) return 'tiers';
    return this.#policies.size > 0 ? 'isolation' : 'none';
  }

  get asksForNodes(): boolean {
    return this.#ordered.some(asksForNodes);
  }

  knows(namespace: string): boolean {
    return this.#tiers.size === 0 || this.#namespaces.has(namespace);
  }

  setPolicy(key: string, policy: NetworkPolicy | undefined): void {
    if (policy === undefined) this.#policies.delete(key);
    else this.#policies.set(key, parsePolicy(policy));
    this.#areRulesStale = true;
  }

  setTier(key: string, policy: TierPolicy | undefined): void {
    if (policy === undefined) this.#tiers.delete(key);
    else this.#tiers.set(key, policy);
    this.#ordered = inOrder([...this.#tiers.values()]);
    this.#areRulesStale = true;
  }

  setNode(name: string, node: PolicyNode | undefined): void {
    if (node === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, node);
    this.#areRulesStale = true;
  }

  setPod(key: string, pod: Pod | undefined): void {
    this.#put(key, pod === undefined ? undefined : { ...policyPodOf(pod), isOwn: false });
  }

  attach(attached: AttachedPod, pod: Pod | undefined): void {
    const { sandboxId, namespace, ips } = attached;
    const unknown: PolicyPod = { namespace, labels: {}, ips, ports: [], since: '', node: undefined };
    this.#attached.add(sandboxId);
    this.#put(sandboxId, { ...(pod === undefined ? unknown : policyPodOf(pod)), ips, isOwn: true });
    this.#areRulesStale = true;
  }

  detach(sandboxId: string): void {
    if (!this.#attached.delete(sandboxId)) return;
    this.#put(sandboxId, undefined);
    this.#areRulesStale = true;
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>> | undefined): void {
    if (labels === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, labels);
    if (this.#tiers.size > 0) this.#areRulesStale = true;
    for (const key of this.#book.inNamespace(name))
      for (const { peers } of this.#rulesets.values()) peers.refresh(key);
  }

  #put(key: string, pod: BookedPod | undefined): void {
    for (const affected of this.#book.put(key, pod)) {
      for (const { peers } of this.#rulesets.values()) peers.setPod(affected, this.#book.get(affected));
      if (this.#attached.has(affected)) this.#areRulesStale = true;
    }
  }

  #subjects(): readonly PolicyPod[] {
    return [...this.#attached].flatMap((key) => this.#book.get(key) ?? []);
  }

  #compile(): void {
    if (!this.#areRulesStale) return;
    this.#areRulesStale = false;
    const [policies, subjects] = [[...this.#policies.values()], this.#subjects()];
    const { namespaceLabels, nodes, tiers } = this.view;
    const input = { policies: tiers, nodes, dns: this.#dns, namespaceLabels };
    for (const [family, ruleset] of this.#rulesets)
      ruleset.setRules(compilePolicies(policies, subjects, familyFacts[family], input));
  }

  takeChanges(): Changes {
    this.#compile();
    const all = [...this.#rulesets.values()].map((ruleset) => ruleset.takeChanges());
    return { ops: all.flatMap(({ ops }) => ops), forbids: all.some(({ forbids }) => forbids) };
  }

  takeAll(counters: (family: Family) => readonly NftCounter[]): readonly NftOp[] {
    this.#compile();
    return [...this.#rulesets].map(([family, ruleset]) =>
      this.layout !== 'none'
        ? { op: 'replaceTable', table: ruleset.takeTable(byName(counters(family))) }
        : { op: 'removeTable', table: policyTable(family) },
    );
  }

  ruleCount(family: Family): number {
    return this.layout !== 'none' ? (this.#rulesets.get(family)?.ruleCount() ?? 0) : 0;
  }

  isolatedIps(): readonly string[] {
    const policies = [...this.#policies.values()];
    return this.#subjects().flatMap((pod) =>
      policies.some(({ namespace }) => namespace === pod.namespace) ||
      isSubject(pod, this.#ordered, this.#namespaces.get(pod.namespace))
        ? pod.ips
        : [],
    );
  }

  problems(): ReadonlyMap<string, string> {
    const found = [...this.#policies].flatMap(([key, policy]) =>
      directions.flatMap((direction): readonly (readonly [string, string])[] => {
        const count = countAll(policy.rules[direction] ?? []);
        if (count <= rulesMax) return [];
        const text = `${count} pairs of a peer and a named port, of which ${rulesMax} are in force: divide the policy, or select more pods by one selector`;
        return [[key, text]];
      }),
    );
    return new Map([...found, ...[...this.#tiers].flatMap(([key, policy]) => tierProblem(key, policy))]);
  }
}

const countAll = (rules: readonly PolicyRule[]): number =>
  rules.reduce((sum, rule) => sum + countMatches(rule), 0);

function tierProblem(key: string, policy: TierPolicy): readonly (readonly [string, string])[] {
  const large = directions.flatMap((direction) => {
    const count = countAll(policy.rules[direction]);
    if (count <= rulesMax) return [];
    return `${count} pairs of a peer and a named port, of which ${rulesMax} are in force, and everything else is denied: divide the policy, or select more pods by one selector`;
  });
  const all = [...policy.problems, ...large];
  return all.length === 0 ? [] : [[key, all.join('; ')]];
}

const byName = (counters: readonly NftCounter[]): ReadonlyMap<string, NftCounter> =>
  new Map(counters.map((counter) => [counter.name, counter]));
