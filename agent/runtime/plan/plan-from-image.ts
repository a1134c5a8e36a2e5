import { PodwrightError } from '#base/errors.ts';
import type { LocalImageStore } from '#agent/runtime/images/image-store.ts';
import type { PlacedImages } from './place-images.ts';
import { planContainer, type ContainerContext, type ContainerPlan } from './plan-container.ts';
import type { RuntimePaths } from './plan-sandbox.ts';
import type { Pod } from '#agent/runtime/pod.ts';
import type { ContainerConfig, SandboxConfig } from '#agent/runtime/runtime.ts';
import type { RuntimeSystem } from '#agent/runtime/system.ts';

/** The plan of a container, with what it needs to know read from its image. @throws E_NOT_FOUND, E_INVALID */
export async function planFromImage(
  pod: Pod,
  { config, layerIds }: Pick<PlacedImages, 'config' | 'layerIds'>,
  {
    images,
    paths,
    system,
    ulimits,
  }: {
    readonly images: LocalImageStore;
    readonly paths: RuntimePaths;
    readonly system: RuntimeSystem;
    readonly ulimits?: ContainerContext['ulimits'];
  },
): Promise<PlannedContainer> {
  await checkPropagation(config, pod.sandbox.config, system);
  const image = await images.content(config.imageId);
  const { sharedMemory, supervisor } = pod.plan;
  const plan = planContainer(config, {
    paths,
    sandbox: pod.sandbox.config,
    sharedMemoryPath: sharedMemory?.path,
    supervisorDirectory: supervisor.directory,
    hostDevices: config.security.privileged ? await system.hostDevices() : [],
    isDeviceFiltered: (await system.deviceRefusal()) === undefined,
    targetPid: config.pidTarget === undefined ? undefined : pod.pidOf(config.pidTarget),
    ulimits,
    image,
  });
  return { plan, layerIds: [...image.layerIds, ...layerIds], lower: image.lower };
}

/**
 * What a container mounts reaches the node only from a privileged container, and by a shared mount.
 * @throws E_INVALID
 */
async function checkPropagation(
  { name, mounts, security }: Pick<ContainerConfig, 'name' | 'mounts' | 'security'>,
  { ids }: SandboxConfig,
  system: Pick<RuntimeSystem, 'unsharedMount'>,
): Promise<void> {
  for (const { source, target, options } of mounts) {
    if (!options.includes('rshared') && !options.includes('shared')) continue;
    const attempt = `mount ${source} on ${target} of container ${name} with Bidirectional propagation`;
    if (!security.privileged)
      throw new PodwrightError('E_INVALID', `${attempt}: the container is not privileged`);
    // The kernel makes every mount of a mount namespace a slave that a user namespace owns (mount_namespaces(7)).
    if (ids !== undefined)
      throw new PodwrightError('E_INVALID', `${attempt}: its pod has a user namespace of its own`);
    const mount = await system.unsharedMount(source);
    if (mount === undefined) continue;
    const why = `${mount} is not a shared mount on this node (mount --make-rshared ${mount})`;
    throw new PodwrightError('E_INVALID', `${attempt}: ${why}`);
  }
}

export interface PlannedContainer {
  readonly plan: ContainerPlan;
  /** Of the layers of its images, which the container keeps. */
  readonly layerIds: readonly string[];
  /** Their directories, topmost first. */
  readonly lower: readonly string[];
}
