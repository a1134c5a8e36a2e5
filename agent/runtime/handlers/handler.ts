/**
 * Who makes the containers of a pod: a RuntimeClass's handler. The pod is the runtime's whoever that is: namespaces, cgroups, network, roots,
 * logs and the supervisor, which is the parent of every process. A handler says how a process comes to be, and how it is told to end.
 */
import type {
  ContainerLaunch,
  ExecLaunch,
  LaunchStdio,
  ProcessStreams,
  RunningProcess,
  Supervisor,
} from '#native/launch/launch.ts';
import type { ContainerPlan } from '#agent/runtime/plan/plan-container.ts';
import { PodwrightError } from '#base/errors.ts';
import type { CgroupResources, ContainerHooks, HandlerFeatures } from '#agent/runtime/runtime.ts';

/** The pod of a container, as its handler sees it. */
export interface HandlerPod {
  /** Undefined: it is gone. */
  readonly supervisor: Supervisor | undefined;
  /** Of the pod's state on this node. */
  readonly directory: string;
}

export interface HandlerLaunch {
  readonly plan: ContainerPlan;
  /** Where its cgroup is; undefined: this host has none. */
  readonly cgroup: string | undefined;
  /** Controllers that its cgroup has not. */
  readonly missing: readonly string[];
}

export interface HandlerExec {
  readonly containerId: string;
  readonly id: string;
  readonly exec: ExecLaunch;
  readonly stdio: LaunchStdio;
}

export interface Handler {
  /** Of what it can do; asked once, as the node starts. */
  readonly features: HandlerFeatures;
  /** @throws E_LAUNCH, E_INVALID, E_UNSUPPORTED; nothing is left then but what `remove` removes */
  launch(
    pod: HandlerPod & { readonly supervisor: Supervisor },
    container: HandlerLaunch,
  ): Promise<RunningProcess>;
  exec(
    pod: HandlerPod & { readonly supervisor: Supervisor },
    exec: HandlerExec,
  ): Promise<{ readonly process: RunningProcess; readonly streams: ProcessStreams }>;
  /** A signal to the first process of a container, with `all` to everything in it. Succeeds if it is gone. */
  kill(
    pod: HandlerPod & { readonly supervisor: Supervisor },
    id: string,
    kill: { readonly signal: number; readonly all: boolean },
  ): Promise<void>;
  /** What else there is to say of it where the cgroup of a running container has been written. */
  update(pod: HandlerPod, id: string, resources: CgroupResources): Promise<void>;
  /** What is left of a container that has ended, or did not start. Safe to repeat. */
  remove(pod: HandlerPod, id: string): Promise<void>;
}

/** @throws {E_UNSUPPORTED} where nobody runs what there is */
export function refuseHooks(hooks: ContainerHooks | undefined): void {
  const [stage] = Object.keys(hooks ?? {});
  if (stage === undefined) return;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `hooks of CDI devices (${stage}) are run by OCI runtimes alone: give the pod a RuntimeClass whose handler is one`,
  );
}

/** The runtime itself: the supervisor makes what is compiled. */
export function ownHandler(features: HandlerFeatures): Handler {
  return {
    features,
    launch: async ({ supervisor }, { plan, cgroup }) => {
      refuseHooks(plan.hooks);
      const launch: ContainerLaunch = { ...plan.launch, cgroup };
      return supervisor.launch(plan.id, launch, plan.stdio);
    },
    exec: ({ supervisor }, { id, exec, stdio }) => supervisor.exec(id, exec, stdio),
    kill: ({ supervisor }, id, { signal, all }) => supervisor.kill(id, signal, all ? { all } : undefined),
    update: async () => undefined,
    remove: async () => undefined,
  };
}
