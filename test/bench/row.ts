/** What a row of the bench is, and what it measured: plain data, which is also the JSON. */

export type Unit = 'ms' | '/s' | 'MB' | 'KiB';

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly min: number;
  readonly p99: number;
  readonly max: number;
}

export type PeerResult =
  | ({ readonly name: string } & Summary)
  /** Not measured, and why. */
  | { readonly name: string; readonly skipped: string };

/** docs/design.md section 8. */
export type Budget =
  | { readonly kind: 'at most'; readonly value: number; readonly of: 'median' | 'p99' }
  /** As many times better than the peer: times its rate, or its time or memory divided by it. */
  | { readonly kind: 'times better'; readonly factor: number; readonly peer: string };

export interface Measurement {
  readonly what: string;
  readonly unit: Unit;
  readonly ours: Summary;
  readonly peers: readonly PeerResult[];
  readonly budgets: readonly Budget[];
  /** Whatever helps to see where the time goes. */
  readonly detail?: unknown;
}

export interface Scale {
  readonly isQuick: boolean;
  /** As many rounds as fit the time. */
  rounds(full: number): number;
}

export interface Row {
  readonly name: string;
  /** What it changes lies in namespaces of its own: network and mount, with cgroup v2 alone at /sys/fs/cgroup. */
  readonly inNamespaces: boolean;
  /** Taken for one that hangs after so long; absent: four minutes. */
  readonly timeoutMs?: number;
  run(scale: Scale): Promise<readonly Measurement[]>;
}

export function atMost(value: number, of: 'median' | 'p99' = 'median'): Budget {
  return { kind: 'at most', value, of };
}

export function timesBetter(factor: number, peer: string): Budget {
  return { kind: 'times better', factor, peer };
}
