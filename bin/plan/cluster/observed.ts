/** What a plan against a cluster goes by, and what comes of it: plain data. */
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PodGroup,
  ReplicaSet,
  ResourceQuota,
  Service,
  StorageClass,
} from '#api/generated/objects.ts';

/** What is in the cluster, as it was read. */
export interface Observed {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly services: readonly Service[];
  readonly namespaces: readonly Namespace[];
  readonly budgets: readonly PodDisruptionBudget[];
  /** None where they are not served. */
  readonly podGroups: readonly PodGroup[];
  readonly quotas: readonly ResourceQuota[];
  readonly claims: readonly PersistentVolumeClaim[];
  readonly volumes: readonly PersistentVolume[];
  readonly classes: readonly StorageClass[];
  readonly csiNodes: readonly CSINode[];
  readonly csiDrivers: readonly CSIDriver[];
  readonly capacities: readonly CSIStorageCapacity[];
}

/** What the server says of an object of the file, which it was shown and did not keep. */
export interface Answered {
  /** `Deployment default/web` */
  readonly object: string;
  /** In the server's words; undefined: it takes it. */
  readonly refusal?: string;
  readonly warnings: readonly string[];
  readonly note?: string;
}

/** A pod that is to come. */
export interface WantedPod {
  /** Of which object of the file: `Deployment default/web`. */
  readonly of: string;
  /** As it is after admission; where that refused it, as it was. */
  readonly pod: Pod;
  /** Why the server refuses it. */
  readonly refusal?: string;
}

export type Landing = {
  readonly pod: string;
  readonly of: string;
} & (
  | {
      readonly result: 'lands';
      readonly node: string;
      /** Who goes for it. */
      readonly evicts: readonly Evicted[];
      readonly claims: readonly ClaimOutcome[];
    }
  | { readonly result: 'waits' | 'refused'; readonly reason: string }
);

export interface Evicted {
  readonly pod: string;
  /** A PodDisruptionBudget is broken by it; preemption does so where nothing else helps. */
  readonly breaksBudget: boolean;
  /** The PodGroup that has fewer pods than it needs then, `namespace/name`: a single pod that preempts does not ask (1.36). */
  readonly breaksGroup?: string;
}

export interface ClaimOutcome {
  readonly claim: string;
  /** Undefined: one is made for it. */
  readonly volume?: string;
}

export interface WhatIf {
  readonly objects: readonly Answered[];
  readonly pods: readonly Landing[];
  /** Of the file, those that wait for no pod and would be bound. */
  readonly claims: readonly ClaimOutcome[];
}
