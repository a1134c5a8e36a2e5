import type { Node } from '#api/generated/objects.ts';
import type { PressureCondition } from '#agent/kubelet/evict/pressure.ts';
import type { CgroupFacts } from '#agent/kubelet/render/cgroup-rules.ts';

/** What a pod may count on the node having. */
export interface NodeFacts extends CgroupFacts {
  readonly name: string;
  readonly ips: readonly string[];
  readonly allocatable: {
    readonly cpuMilli: number;
    readonly memoryBytes: number;
    readonly storageBytes: number;
  };
  readonly memoryBytes: number;
  /** Bytes of huge pages by resource: `hugepages-2Mi`; undefined: none are set aside. */
  readonly hugePages?: ReadonlyMap<string, number>;
  /** Why pods of class Guaranteed are not resized here, in the kubelet's words; undefined: they are. */
  readonly resizeProblem?: string | undefined;
  readonly podsMax: number;
  /** Processes of one pod; undefined: no limit. */
  readonly podPidsMax: number | undefined;
  /** The kernel enforces SELinux labels, which containers here do not get. */
  readonly isSelinuxEnabled: boolean;
  /** Why no pod can have a profile of AppArmor here, in the kubelet's words; undefined: it can. */
  readonly appArmorProblem?: string | undefined;
  /** Why no pod can have a user namespace of its own here, in words; undefined: it can. */
  readonly userNamespaceProblem: string | undefined;
  /** `6.1.0-18-amd64` */
  readonly kernelRelease?: string;
  /** KubeletConfiguration: seccompDefault, allowedUnsafeSysctls. */
  readonly isSeccompDefault?: boolean;
  readonly allowedUnsafeSysctls?: readonly string[];
  /** The longest wait of a container that ends again and again (crashLoopBackOff.maxContainerRestartPeriod). */
  readonly restartBackoffMaxMs?: number;
  /** The conditions by which the node is short of something; undefined: of nothing. */
  readonly pressed?: () => ReadonlySet<PressureCondition>;
  /** The node's object as this agent saw it last; undefined: not yet. */
  readonly seen?: () => Node | undefined;
  /** The machine goes down; undefined: nobody says so. */
  readonly isGoingDown?: () => boolean;
  /** The node's own /etc/hosts, for pods on its network. */
  readonly hostsFile: string;
}
