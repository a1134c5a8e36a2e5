import { join } from 'node:path';
import type { StartAction } from '#agent/kubelet/render/action.ts';
import type { ContainerKind } from '#agent/kubelet/sync/pod-input.ts';
import { planContainer } from '#agent/runtime/plan/plan-container.ts';
import type { SandboxPlan } from '#agent/runtime/plan/plan-sandbox.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';
import { normaliseDeviceRules, renderDeviceRules } from '#native/bpf/device-rules.ts';
import { compileContainer, containerCloneFlags } from '#native/launch/compile-container.ts';
import { CLONE } from '#native/launch/kernel-constants.ts';
import type { LaunchMount } from '#native/launch/launch.ts';
import { renderProgram } from '#native/launch/program.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import { cgroupRoot, runtimePaths } from './assumed-node.ts';
import type { PlannedCgroup } from './plan-cgroup.ts';
import type { PlannedImage } from './plan-image.ts';
import type { PlannedVolume } from './plan-volumes.ts';

export interface ContainerInput {
  readonly action: StartAction;
  readonly kind: ContainerKind;
  readonly image: PlannedImage;
  readonly sandbox: { readonly config: SandboxConfig; readonly plan: SandboxPlan };
  readonly volumes: ReadonlyMap<string, PlannedVolume>;
  readonly architecture: Architecture;
}

export interface ContainerText {
  readonly cgroup: PlannedCgroup;
  readonly sections: readonly { readonly title: string; readonly lines: readonly string[] }[];
}

/** Everything that the first run of a container does, up to its execve. Pure. */
export function planContainerText(input: ContainerInput): ContainerText {
  const { action, image, sandbox } = input;
  const config = { ...action.config, mounts: mountsOf(input) };
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
  const program = compileContainer(launch, plan.stdio, input.architecture);
  const name = `${input.kind === 'main' ? '' : `${input.kind} `}container ${action.container}`;
  const prepared = [
    ...action.sources.flatMap((source) =>
      source.kind !== 'subPath'
        ? []
        : `bind ${source.root}/${source.subPath} on ${source.target}, following no link out of the volume`,
    ),
    `write ${action.messageFile} 0666`,
    ...(action.hook === undefined ? [] : [`write ${action.hook.dueFile} 0600`]),
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

/** As the node finds them: whether a mount is of a file, and where an image is while its container is launched. */
function mountsOf({ action, volumes }: ContainerInput): readonly LaunchMount[] {
  const byPath = new Map([...volumes.values()].map((volume) => [volume.path, volume]));
  return action.config.mounts.map((mount, index): LaunchMount => {
    if (mount.type === 'image') {
      const { target, options, subPath } = mount;
      const source = join(`<files of image ${mount.source}>`, subPath ?? '');
      return { type: 'bind', source, target, options, isFile: false };
    }
    const source = action.sources[index];
    if (source === undefined || source.kind === 'image') return mount;
    const volume = byPath.get(source.kind === 'volume' ? source.path : source.root);
    return { ...mount, isFile: (source.kind === 'volume' ? volume?.isFile : volume?.holdsFiles) === true };
  });
}
