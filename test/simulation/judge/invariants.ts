import type { Pod, PodDisruptionBudget, ReplicaSet, ResourceQuota } from '#api/generated/objects.ts';
import { isActive, isPodReady, isTerminal } from '#api/pod/state.ts';
import type { SimulatedNode } from '#test/simulation/world/node.ts';
import type { VirtualTime } from '#test/simulation/world/virtual-time.ts';
import type { DurableRow } from '#test/simulation/world/memory-disc.ts';
import { wentBack } from './forward.ts';
import { Ledger, type Change, type Held } from './ledger.ts';
import { sharedWith } from './shared.ts';

export interface JudgeOptions {
  readonly time: VirtualTime;
  readonly nodes: () => readonly SimulatedNode[];
  /** When a request was last done whose client does not know it. */
  readonly ambiguousAtMs: (target: string) => number;
  readonly onFault: (fault: string) => void;
}

/** For as long after something that nobody could know about, what comes of it is nobody's fault. */
const graceMs = 300_000;

/** Holds what is durable, and what runs, against what must always be so. */
export class Judge {
  readonly ledger: Ledger = new Ledger();
  readonly #options: JudgeOptions;
  /** Of pods, since when they were over. */
  readonly #over = new Set<string>();
  /** Of ReplicaSets and Jobs: how many were asked for at most in the last while. */
  readonly #wanted = new Map<string, { readonly most: number; readonly atMs: number }[]>();
  /** When a pod last became unready, or went, for another reason than an eviction, by namespace and app. */
  readonly #unreadyAtMs = new Map<string, number>();
  writes = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** Looks at what became durable. */
  durable(rows: readonly DurableRow[]): void {
    for (const row of rows) {
      if (row.row.revision < this.ledger.revision)
        this.#fault(`revision ${row.row.revision} came after ${this.ledger.revision}`);
      const change = this.ledger.apply(row);
      if (change === undefined) continue;
      this.writes++;
      this.#look(change);
    }
  }

  /** What a watch is told, in its order. @returns the last revision */
  told(
    revisions: readonly number[],
    { who, after }: { readonly who: string; readonly after: number },
  ): number {
    let last = after;
    for (const revision of revisions) {
      if (revision < last) this.#fault(`${who} was told of revision ${revision} after ${last}`);
      if (revision > this.ledger.revision)
        this.#fault(`${who} was told of revision ${revision}, and the disc has ${this.ledger.revision}`);
      last = revision;
    }
    return last;
  }

  /** A client was told that this was done. */
  acknowledged(revision: number): void {
    if (revision > this.ledger.revision)
      this.#fault(`revision ${revision} was acknowledged, and the disc has ${this.ledger.revision}`);
  }

  /** A container starts on a node. */
  started(node: string, uid: string): void {
    if (this.#over.has(uid)) this.#fault(`pod ${uid} was over, and runs again on ${node}`);
    for (const other of this.#options.nodes())
      if (other.isUp && other.name !== node && runs(other, uid))
        this.#fault(`pod ${uid} runs on ${node} and on ${other.name}`);
    this.#lookAtAddresses();
  }

  /** undefined: nothing is wrong. */
  #fault(text: string | undefined): void {
    if (text !== undefined) this.#options.onFault(text);
  }

  #look(change: Change): void {
    const { before, after, resource } = change;
    if (after !== undefined) this.#lookAtOwners(after);
    if (after === undefined && before !== undefined) this.#lookAtGone(before);
    if (after !== undefined && before !== undefined) this.#fault(wentBack(before, after));
    if (after !== undefined) this.#fault(sharedWith(after, this.ledger));
    if (resource === 'pods') this.#lookAtPod(before, after);
    if (resource === 'replicasets' && after !== undefined)
      this.#lookAtReplicaSet(after, before === undefined);
    if (resource === 'jobs' && after !== undefined)
      this.#noteWanted(after, numberAt(after, 'parallelism') ?? 1);
  }

  #lookAtOwners({ key, metadata }: Held): void {
    const owners = (metadata.ownerReferences ?? []).filter(({ controller }) => controller === true);
    if (owners.length > 1) this.#fault(`${key} has ${owners.length} controllers`);
  }

  #lookAtGone({ key, metadata }: Held): void {
    const { finalizers = [] } = metadata;
    // The last of them may go with the object.
    if (finalizers.length > 1) this.#fault(`${key} went with the finalizers ${finalizers.join(', ')}`);
    if (finalizers.length > 0 && metadata.deletionTimestamp === undefined)
      this.#fault(`${key} went at once with the finalizer ${finalizers.join(', ')}`);
  }

  #lookAtPod(before: Held | undefined, after: Held | undefined): void {
    const old = before?.object as Pod | undefined;
    const pod = after?.object as Pod | undefined;
    const uid = after?.metadata.uid ?? before?.metadata.uid ?? '';
    const key = after?.key ?? before?.key ?? '';
    const namespace = (after ?? before)?.metadata.namespace ?? '';
    if (old !== undefined && isPodReady(old) && (pod === undefined || !isPodReady(pod)))
      if (old.metadata?.deletionTimestamp === undefined)
        this.#unreadyAtMs.set(groupOf(old), this.#options.time.nowMs);
    if (pod === undefined) return this.#lookAtPodGone(key, before);
    if (isTerminal(pod)) this.#over.add(uid);
    if (old !== undefined && old.metadata?.uid === uid) {
      const node = old.spec?.nodeName ?? '';
      if (node !== '' && node !== pod.spec?.nodeName)
        this.#fault(`${key} moved from ${node} to ${pod.spec?.nodeName}`);
      if (isTerminal(old) && old.status?.phase !== pod.status?.phase)
        this.#fault(`${key} was ${old.status?.phase} and is ${pod.status?.phase}`);
      if (old.metadata?.deletionTimestamp === undefined && pod.metadata?.deletionTimestamp !== undefined)
        this.#lookAtEnding(pod, old);
    } else if (old === undefined || old.metadata?.uid !== uid) this.#lookAtNewPod(pod, namespace, key);
  }

  #lookAtPodGone(key: string, before: Held | undefined): void {
    const uid = before?.metadata.uid ?? '';
    const pod = before?.object as Pod | undefined;
    if (
      pod?.metadata?.deletionGracePeriodSeconds === undefined &&
      pod?.spec?.nodeName !== undefined &&
      !isTerminal(pod)
    )
      this.#unreadyAtMs.set(groupOf(pod), this.#options.time.nowMs);
    const node = this.#options.nodes().find(({ name }) => name === pod?.spec?.nodeName);
    if (node === undefined || !node.isUp || !runs(node, uid)) return;
    // A node that nobody hears is given up; its pods run on, and nobody can know it.
    if (
      isNodeReady(
        this.ledger.get(`/registry/minions/${node.name}`) ?? this.ledger.get(`/registry/nodes/${node.name}`),
      )
    )
      this.#fault(`${key} is gone, and still runs on ${node.name}`);
  }

  #lookAtNewPod(pod: Pod, namespace: string, key: string): void {
    const owner = pod.metadata?.ownerReferences?.find(({ controller }) => controller === true);
    const all = this.ledger.all('pods').filter(({ metadata }) => metadata.namespace === namespace);
    const quota = this.ledger.all('resourcequotas').find(({ metadata }) => metadata.namespace === namespace);
    const hard = Number((quota?.object as ResourceQuota | undefined)?.spec?.hard?.['count/pods'] ?? Infinity);
    if (all.length > hard) this.#fault(`${key} is pod ${all.length} of ${namespace}, which may have ${hard}`);
    if (owner === undefined || this.#isExcused('loops')) return;
    const siblings = all.filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ uid }) => uid === owner.uid),
    );
    const active = siblings.filter(({ object }) => isActive(object as Pod));
    if (owner.kind === 'ReplicaSet' || owner.kind === 'Job') {
      const most = this.#mostWanted(owner.uid);
      if (active.length > most)
        this.#fault(`${key} is pod ${active.length} of ${owner.kind} ${owner.name}, which wants ${most}`);
    }
    if (owner.kind === 'DaemonSet') {
      const node = nodeAskedFor(pod);
      const same = active.filter(({ object }) => nodeAskedFor(object as Pod) === node);
      if (same.length > 1) this.#fault(`${key} is pod ${same.length} of DaemonSet ${owner.name} for ${node}`);
    }
  }

  /** No ReplicaSet is there twice for the same template of a Deployment. */
  #lookAtReplicaSet(held: Held, isNew: boolean): void {
    const set = held.object as ReplicaSet;
    this.#noteWanted(held, set.spec?.replicas ?? 1);
    if (!isNew) return;
    const owner = held.metadata.ownerReferences?.[0]?.uid;
    const template = templateText(set);
    const same = this.ledger
      .all('replicasets')
      .filter(
        (other) =>
          other.metadata.ownerReferences?.[0]?.uid === owner &&
          other.metadata.deletionTimestamp === undefined &&
          templateText(other.object as ReplicaSet) === template,
      );
    if (owner !== undefined && same.length > 1)
      this.#fault(`${held.key} is ReplicaSet ${same.length} of one template`);
  }

  #lookAtEnding(pod: Pod, before: Pod): void {
    if (findReason(pod) !== 'EvictionByEvictionAPI') {
      this.#unreadyAtMs.set(groupOf(pod), this.#options.time.nowMs);
      return;
    }
    if (!isPodReady(before)) return;
    const { namespace = '', name } = pod.metadata ?? {};
    if (this.#options.time.nowMs - (this.#unreadyAtMs.get(groupOf(pod)) ?? -Infinity) < graceMs) return;
    for (const held of this.ledger.all('poddisruptionbudgets')) {
      if (held.metadata.namespace !== namespace) continue;
      const budget = held.object as PodDisruptionBudget;
      const app = budget.spec?.selector?.matchLabels?.['app'];
      if (app !== pod.metadata?.labels?.['app']) continue;
      const left = this.ledger
        .all('pods')
        .filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.['app'] === app)
        .filter(({ object }) => isActive(object as Pod) && isPodReady(object as Pod)).length;
      const least = Number(budget.spec?.minAvailable ?? 0);
      if (left < least)
        this.#fault(`eviction of ${namespace}/${name} leaves ${left} of ${least} that its budget keeps`);
    }
  }

  #noteWanted({ metadata }: Held, count: number): void {
    const { nowMs } = this.#options.time;
    const uid = metadata.uid ?? '';
    const known = this.#wanted.get(uid) ?? [];
    if (known.at(-1)?.most === count) return;
    const kept = known.filter(({ atMs }, at) => nowMs - atMs < graceMs || at === known.length - 1);
    this.#wanted.set(uid, [...kept, { most: count, atMs: nowMs }]);
  }

  #mostWanted(uid: string): number {
    const known = this.#wanted.get(uid);
    return known === undefined ? Infinity : Math.max(...known.map(({ most }) => most));
  }

  #isExcused(target: string): boolean {
    return this.#options.time.nowMs - this.#options.ambiguousAtMs(target) < graceMs;
  }

  #lookAtAddresses(): void {
    const holders = new Map<string, string>();
    for (const node of this.#options.nodes()) {
      if (!node.isUp) continue;
      for (const { uid, sandbox } of node.runtime.observeAll()) {
        if (sandbox?.state !== 'ready') continue;
        for (const ip of sandbox.ips) {
          const other = holders.get(ip);
          if (other !== undefined) this.#fault(`address ${ip} is that of pods ${other} and ${uid}`);
          holders.set(ip, uid);
        }
      }
    }
  }
}

function groupOf({ metadata }: Pod): string {
  return `${metadata?.namespace}/${metadata?.labels?.['app']}`;
}

function runs(node: SimulatedNode, uid: string): boolean {
  return node.runtime.observe(uid)?.containers.some(({ state }) => state.state === 'running') === true;
}

function isNodeReady(node: Held | undefined): boolean {
  const conditions = (
    node?.object as
      | { readonly status?: { readonly conditions?: readonly { type: string; status: string }[] } }
      | undefined
  )?.status?.conditions;
  return conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

function numberAt({ object }: Held, field: string): number | undefined {
  const value = (object['spec'] as Readonly<Record<string, unknown>> | undefined)?.[field];
  return typeof value === 'number' ? value : undefined;
}

function nodeAskedFor(pod: Pod): string {
  const terms =
    pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms[0]?.matchFields?.[0]?.values?.[0] ?? '';
}

function templateText(set: ReplicaSet): string {
  const { 'pod-template-hash': _hash, ...labels } = set.spec?.template?.metadata?.labels ?? {};
  return JSON.stringify({ ...set.spec?.template, metadata: { ...set.spec?.template?.metadata, labels } });
}

function findReason(pod: Pod): string | undefined {
  return pod.status?.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason;
}
