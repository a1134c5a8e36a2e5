import type { IpFamily } from '#base/ip.ts';
import type { ClusterNetwork } from '#agent/network/cluster-network.ts';
import type { TableFact } from '#agent/network/facts/table-fact.ts';
import type { ProxyPort } from './service-map.ts';

/** How packets to Services find their backends: kube-proxy's --proxy-mode, with the one that it gave up. */
export const proxyModes = ['nftables', 'iptables', 'userspace'] as const;

export type ProxyMode = (typeof proxyModes)[number];

/** What a Service has in a family; no ports: it is gone. */
export interface ServedService {
  readonly key: string; // namespace/name
  readonly family: IpFamily;
  readonly ports: readonly ProxyPort[];
}

/** What a mode makes of Services in the kernel, and beside it. */
export interface ServiceRules extends AsyncDisposable {
  /** Holds from the next commit on. */
  set(service: ServedService): void;
  /** Services have other networks: holds from the next commit on. */
  relayout(networks: readonly ClusterNetwork[]): void;
  /**
   * Brings the kernel to what was set; where that is refused, or not known any more, with everything anew. What fails is
   * done again by the next commit.
   */
  commit(): Promise<void>;
  /** All that was committed is in the kernel, as far as is known. */
  isWhole(): boolean;
  /** Flows were to be removed, and are still there: the next commit tries again. */
  isStaleLeft(): boolean;
  /** Its tables, compared with the kernel's now; of those that others share, its own rules alone. */
  tables(): Promise<readonly TableFact[]>;
  /** Looks now and then whether somebody else removed rules: then the next commit makes everything anew, and `onLost` asks for it. */
  watch(onLost: () => void): Disposable;
}
