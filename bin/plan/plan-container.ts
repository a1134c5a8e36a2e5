import type { Container, EphemeralContainer, Pod } from '#api/objects.ts';
import { renderContainer, subPathOf, type ResolvedMount } from '#agent/kubelet/container-config.ts';
import { containerId } from '#agent/kubelet/container-view.ts';
import { downwardValues } from '#agent/kubelet/downward.ts';
import { renderEnvironment, type EnvEntry } from '#agent/kubelet/environment.ts';
import type { ContainerKind } from '#agent/kubelet/pod-input.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import { planContainer } from '#agent/runtime/plan-container.ts';
import type { SandboxPlan } from '#agent/runtime/plan-sandbox.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';
import { PodwrightError } from '#base/errors.ts';
import { normaliseDeviceRules, renderDeviceRules } from '#native/bpf/device-rules.ts';
import { compileContainer, containerCloneFlags } from '#native/launch/compile-container.ts';
import { CLONE } from '#native/launch/kernel-constants.ts';
import { renderProgram } from '#native/launch/program.ts';
import { apiServerService, cgroupRoot, directories, node, runtimePaths } from './assumed-node.ts';
import { referencedValues } from './assumed-objects.ts';
import type { PlannedCgroup } from './plan-cgroup.ts';
import type { PlanContext } from './plan-pod.ts';
import type { PlannedVolume } from './plan-volumes.ts';

export interface ContainerInput {
  readonly pod: Pod;
  readonly kind: ContainerKind;
  readonly container: Container | EphemeralContainer;
  readonly sandbox: {
    readonly config: SandboxConfig;
    readonly plan: SandboxPlan;
    readonly ips: readonly string[];
  };
  readonly volumes: ReadonlyMap<string, PlannedVolume>;
}

export interface ContainerText {
  readonly assumptions: readonly string[];
  readonly cgroup: PlannedCgroup;
  readonly sections: readonly { readonly title: string; readonly lines: readonly string[] }[];
}

/** Everything that the first run of a container does, up to its execve. */
export async function planContainerText(input: ContainerInput, context: PlanContext): Promise<ContainerText> {
  const { pod, container, sandbox } = input;
  const { uid } = sandbox.config;
  const paths = podPaths(pod, directories);
  const { env, assumptions } = environmentOf(input, context);
  const { mounts, lines: subPaths } = resolveMounts(input, env);
  const image = await context.images(pod, container);
  const config = renderContainer({
    pod,
    container,
    id: containerId(uid, container.name, 0),
    attempt: 0,
    imageId: image.id,
    image: image.record,
    env,
    mounts,
    paths,
    nodeMemoryBytes: node.memoryBytes,
    pidsMax: undefined,
  });
  const plan = planContainer(config, {
    paths: runtimePaths,
    sandbox: sandbox.config,
    sharedMemoryPath: sandbox.plan.sharedMemory?.path,
    supervisorDirectory: sandbox.plan.supervisor.directory,
    // As on a node whose kernel filters devices.
    hostDevices: [],
    isDeviceFiltered: true,
    // For ephemeral containers, which no pod of a file has.
    targetPid: undefined,
    image,
  });
  const cgroup = `${cgroupRoot}/${plan.cgroup.path}`;
  const launch = { ...plan.launch, cgroup };
  const program = compileContainer(launch, plan.stdio, context.architecture);
  const name = `${input.kind === 'main' ? '' : `${input.kind} `}container ${container.name}`;
  const prepared = [
    ...subPaths,
    `write ${config.termination?.path ?? ''} 0666`,
    `write ${sandbox.plan.podDirectory}/containers/${config.id}.json 0600`,
    `log to ${plan.stdio.logPath ?? 'nowhere'}`,
    `devices of ${cgroup}: ${renderDeviceRules(normaliseDeviceRules(plan.cgroup.devices))}`,
    ...(config.security.privileged ? ['every device of the node’s /dev, made in its own'] : []),
  ];
  const started = [
    `clone3 ${cloneFlagNames(containerCloneFlags(launch))} into ${cgroup}, by the supervisor`,
    renderProgram(program).trimEnd(),
  ];
  return {
    assumptions: [...(image.assumption === undefined ? [] : [image.assumption]), ...assumptions],
    cgroup: plan.cgroup,
    sections: [
      { title: `${name}: preparation`, lines: prepared },
      { title: `${name}: program`, lines: started },
    ],
  };
}

function cloneFlagNames(flags: number): string {
  const names = Object.entries(CLONE).filter(([, value]) => (flags & value) !== 0);
  return names.map(([name]) => name).join('|');
}

function environmentOf(
  { pod, container, sandbox }: ContainerInput,
  { manifest }: PlanContext,
): { readonly env: readonly EnvEntry[]; readonly assumptions: readonly string[] } {
  const values = referencedValues(container, sandbox.config.namespace, manifest);
  const { allocatable, ips: hostIps } = node;
  const downward = downwardValues({ pod, podIps: sandbox.ips, hostIps, allocatable });
  const env = renderEnvironment({ pod, container, ...values, services: [apiServerService], downward });
  return { env, assumptions: values.assumptions };
}

/** As the kubelet finds the sources of volumeMounts. */
function resolveMounts(
  { pod, container, volumes }: ContainerInput,
  env: readonly EnvEntry[],
): { readonly mounts: readonly ResolvedMount[]; readonly lines: readonly string[] } {
  const paths = podPaths(pod, directories);
  const lines: string[] = [];
  const mounts = (container.volumeMounts ?? []).map((mount, index): ResolvedMount => {
    const volume = volumes.get(mount.name);
    if (volume === undefined) throw new PodwrightError('E_NOT_FOUND', `mount volume ${mount.name}: none`);
    const { isReadOnly } = volume;
    const subPath = subPathOf(mount, env);
    if (subPath === undefined) return { mount, source: volume.path, isFile: volume.isFile, isReadOnly };
    const source = paths.subPath(container.name, index);
    lines.push(`bind ${volume.path}/${subPath} on ${source}, following no link out of the volume`);
    return { mount, source, isFile: volume.holdsFiles, isReadOnly };
  });
  return { mounts, lines };
}
