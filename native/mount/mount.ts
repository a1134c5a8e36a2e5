/** The mount port: the agent's own mount namespace (a container's mounts are its syscall program's business). */
import type { MountInfo } from './mountinfo.ts';

/** Words of mount(8) that are flags of the mount. */
export type MountOption = 'ro' | 'nosuid' | 'nodev' | 'noexec' | 'noatime' | 'relatime' | 'nosymfollow';

export type MountSpec =
  | { readonly kind: 'tmpfs'; readonly sizeBytes?: number; readonly mode?: number; readonly gid?: number }
  /** `recursive` takes the mounts below along; the options still hold for the topmost only. */
  | { readonly kind: 'bind'; readonly source: string; readonly recursive?: boolean }
  | {
      readonly kind: 'overlay';
      readonly lower: readonly string[]; // topmost first
      /** Absent: read-only. */
      readonly upper?: { readonly directory: string; readonly work: string };
    }
  /** Any other file system by name: proc, sysfs, cgroup2. */
  | { readonly kind: 'other'; readonly type: string; readonly source: string; readonly data?: string };

export type Propagation = 'private' | 'slave' | 'shared';

export interface Mounts {
  /** Mounts on an existing directory (or file, for a bind of one). @throws E_NOT_FOUND, E_BUSY, E_PERMISSION */
  mount(target: string, spec: MountSpec, options?: readonly MountOption[]): void;
  /** Changes the options of the mount at the path; those not named are off. @throws E_KERNEL (EINVAL) when none is there */
  remount(target: string, options: readonly MountOption[]): void;
  setPropagation(target: string, propagation: Propagation, recursive?: boolean): void;
  /** Detaches the topmost mount at the path (lazily: users keep it until they close it). Whether there was one. */
  unmount(target: string): boolean;
  /** Detaches every mount at the path and below it, innermost first; how many. */
  unmountTree(prefix: string): number;
  list(): readonly MountInfo[];
}
