/** What a pod may count on the node having. */
export interface NodeFacts {
  readonly name: string;
  readonly ips: readonly string[];
  readonly allocatable: {
    readonly cpuMilli: number;
    readonly memoryBytes: number;
    readonly storageBytes: number;
  };
  readonly memoryBytes: number;
  readonly podsMax: number;
  /** Processes of one pod; undefined: no limit. */
  readonly podPidsMax: number | undefined;
  /** The kernel enforces SELinux labels, which containers here do not get. */
  readonly isSelinuxEnabled: boolean;
  /** The node's own /etc/hosts, for pods on its network. */
  readonly hostsFile: string;
}
