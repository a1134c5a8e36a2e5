/** The port that tells the kernel which devices the processes of a cgroup may open (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE; since 4.15). */
import type { DeviceRule } from './device-rules.ts';

/**
 * Programs belong to cgroups: they stay when the agent ends, also when it is killed, hold for what is below, and go with the cgroup. Only
 * the opening is looked at: what is open stays open.
 */
export interface DeviceFilter extends Disposable {
  /**
   * From now on these rules hold in the cgroup (absolute path), and no others that were applied before: there is never a moment without any.
   * Safe to repeat.
   * @throws E_UNSUPPORTED where this kernel or this host cannot (a message says why), E_NOT_FOUND where the cgroup is gone, E_INVALID for rules
   */
  apply(cgroup: string, rules: readonly DeviceRule[]): void;
  /** How many programs the cgroup itself has: 1 after apply(). @throws E_NOT_FOUND, E_UNSUPPORTED */
  count(cgroup: string): number;
}
