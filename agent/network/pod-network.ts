/** What the runtime asks of the pod network: CNI ADD and DEL for a sandbox, and what is left to collect. */
export interface PodNetworkRequest {
  readonly sandboxId: string; // CNI_CONTAINERID
  readonly netnsPath: string;
  readonly podUid: string;
  readonly podNamespace: string;
  readonly podName: string;
  readonly portMappings: readonly {
    readonly hostPort: number;
    readonly containerPort: number;
    readonly protocol: string;
    readonly hostIp: string;
  }[];
}

export interface PodNetwork {
  /** The pod's addresses, the first being status.podIP. Safe to repeat. Undone if it fails. */
  add(request: PodNetworkRequest, signal: AbortSignal): Promise<{ readonly ips: readonly string[] }>;
  /** Succeeds if there is nothing left to remove. */
  del(request: PodNetworkRequest, signal: AbortSignal): Promise<void>;
  /** CNI GC: releases what belongs to no sandbox of the list. */
  collect(validSandboxIds: readonly string[], signal: AbortSignal): Promise<void>;
  /** Whether the network is ready for pods; the reason if not (Node condition NetworkReady). */
  status(): Promise<{ readonly isReady: boolean; readonly reason: string }>;
}
