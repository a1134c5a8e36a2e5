import type { Log } from '#oci-runtime/host.ts';

/** What every command has: of the options before its name. */
export interface Runtime {
  /** Where the states of containers are. */
  readonly root: string;
  readonly log: Log;
  /** False: containers are in the cgroup of whoever makes them. */
  readonly usesCgroups: boolean;
  /** The binary of native/launch/runner. */
  readonly runner: string;
}
