import type { PodBandwidth } from '#api/pod/bandwidth.ts';
import type { PodLink } from '#native/bpf/redirect/packet-redirector.ts';

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
  readonly bandwidth?: PodBandwidth;
}

export interface AddedPod {
  readonly ips: readonly string[];
  /** Where it is a cable whose packets may be redirected. */
  readonly link?: PodLink;
}

export interface PodNetwork {
  /**
   * The pod's addresses, the first being status.podIP. Safe to repeat: what is there and passes CHECK stays, else it is made anew.
   * Undone if it fails.
   */
  add(request: PodNetworkRequest, signal: AbortSignal): Promise<AddedPod>;
  /** Succeeds if there is nothing left to remove. */
  del(request: PodNetworkRequest, signal: AbortSignal): Promise<void>;
  /** CNI GC: releases what belongs to no sandbox of the list. */
  collect(validSandboxIds: readonly string[], signal: AbortSignal): Promise<void>;
  /** CNI CHECK of each of those sandboxes whose result is known: what is not as ADD left it, in words. */
  check(
    sandboxIds: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly { readonly sandboxId: string; readonly problem: string }[]>;
  /** Whether the network is ready for pods; the reason if not (Node condition NetworkReady). */
  status(): Promise<{ readonly isReady: boolean; readonly reason: string }>;
}
