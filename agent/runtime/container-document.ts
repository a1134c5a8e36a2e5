import type { ContainerPlan } from './plan/plan-container.ts';
import type { ContainerDocument } from './pod-state.ts';
import type { ContainerConfig, MountedImage, SandboxConfig } from './runtime.ts';

const SIGTERM = 15;

/** The document of a container that is about to be started. */
export function documentOf(
  config: ContainerConfig,
  how: {
    readonly plan: Pick<ContainerPlan, 'stopSignal'> & {
      readonly cgroup: Pick<ContainerPlan['cgroup'], 'path'>;
      readonly launch: ContainerDocument['exec'];
    };
    readonly layerIds: readonly string[];
    readonly sandbox: SandboxConfig;
    readonly nowMs: number;
  },
): ContainerDocument {
  const { launch, cgroup, stopSignal } = how.plan;
  return {
    version: 1,
    id: config.id,
    name: config.name,
    attempt: config.attempt,
    image: config.image,
    imageId: config.imageId,
    diffIds: how.layerIds,
    ...mountedImagesOf(config),
    createdAtMs: how.nowMs,
    logPath: config.stdio.logPath,
    tty: config.stdio.tty,
    stdin: config.stdio.stdin,
    stopSignal,
    termination: config.termination,
    cgroup: cgroup.path,
    devices: config.devices.map(({ type, major, minor, access }) => ({
      type,
      major,
      minor,
      ...(access === undefined ? {} : { access }),
    })),
    exec: {
      ...{ env: launch.env, cwd: launch.cwd, user: launch.user, security: launch.security },
      ...(launch.rlimits === undefined || launch.rlimits.length === 0 ? {} : { rlimits: launch.rlimits }),
    },
    sandboxAttempt: how.sandbox.attempt,
    state: { state: 'created' },
  };
}

/** By their ids. */
export function mountedImagesOf({ mounts }: Pick<ContainerConfig, 'mounts'>): {
  readonly mountedImages?: readonly MountedImage[];
} {
  const mountedImages = mounts.flatMap(({ type, source, target }) =>
    type === 'image' ? [{ target, imageId: source }] : [],
  );
  return mountedImages.length === 0 ? {} : { mountedImages };
}

/** For a container that could not even be planned: it is observed all the same. */
export function failedDocumentOf(
  config: ContainerConfig,
  sandbox: SandboxConfig,
  nowMs: number,
): ContainerDocument {
  const user = { uid: 0, gid: 0, additionalGids: [] };
  const launch = { env: [], cwd: '/', user, security: config.security };
  const cgroup = { path: `${sandbox.cgroupParent}/${config.id}` };
  return documentOf(config, { plan: { launch, cgroup, stopSignal: SIGTERM }, layerIds: [], sandbox, nowMs });
}
