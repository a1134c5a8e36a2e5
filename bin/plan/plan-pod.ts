/** A pod's plan as text: the node's own pure functions one after another, on assumptions that the header names. */
import type { Pod } from '#api/objects.ts';
import { refusalOf } from '#agent/kubelet/admission.ts';
import { renderSandbox } from '#agent/kubelet/container-config.ts';
import { podHostname, renderHosts, renderResolvConf } from '#agent/kubelet/host-files.ts';
import { containersOf } from '#agent/kubelet/pod-input.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import { planSandbox, type SandboxPlan } from '#agent/runtime/plan-sandbox.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';
import { PodwrightError } from '#base/errors.ts';
import { renderSupervisorArguments } from '#native/launch/launcher.linux.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import { cgroupRoot, directories, dns, node, nodeAssumptions, runtimePaths } from './assumed-node.ts';
import { planCgroups } from './plan-cgroup.ts';
import { planContainerText } from './plan-container.ts';
import type { ImageSource } from './plan-image.ts';
import { planVolumes } from './plan-volumes.ts';
import type { Manifest } from './read-pods.ts';
import type { PlannedNetwork } from './recorder.ts';

export interface PlanContext {
  readonly manifest: Manifest;
  readonly images: ImageSource;
  readonly network: PlannedNetwork;
  readonly architecture: Architecture;
}

/** @throws {E_INVALID, E_UNSUPPORTED, E_NOT_FOUND} where the node would not run the pod, with the node's words */
export async function planPod(pod: Pod, context: PlanContext, signal: AbortSignal): Promise<string> {
  const refusal = refusalOf(pod, [], node);
  if (refusal !== undefined) throw new PodwrightError('E_INVALID', `${refusal.reason}: ${refusal.message}`);
  const names = podHostname(pod, dns.clusterDomain);
  const config = renderSandbox({ pod, attempt: 0, hostname: names.hostname, pidsMax: node.podPidsMax });
  const plan = planSandbox(config, runtimePaths);
  const volumes = planVolumes(pod);
  const { lines: network, ips } =
    plan.network === undefined
      ? { lines: ["none: the pod is on the node's network"], ips: node.ips }
      : await context.network.add(plan.network, signal);
  const paths = podPaths(pod, directories);
  const file = (path: string, content: string): readonly string[] => [
    `write ${path} 0644`,
    ...content
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
  ];
  const containers = [];
  for (const { kind, spec } of containersOf(pod)) {
    const input = { pod, kind, container: spec, sandbox: { config, plan, ips }, volumes };
    containers.push(await planContainerText(input, context));
  }
  const assumptions = [
    ...nodeAssumptions,
    `pod uid ${config.uid}, address ${ips.join(', ')}`,
    ...containers.flatMap((each) => each.assumptions),
  ];
  return [
    `# plan of pod ${config.namespace}/${config.name}`,
    ...[...new Set(assumptions)].map((line) => `# assuming: ${line}`),
    ...section(
      'volumes',
      [...volumes.values()].flatMap((volume) => volume.lines),
    ),
    ...section(`sandbox ${plan.id}`, renderSandboxSteps(config, plan)),
    ...section('network', network),
    ...section(
      `cgroups below ${cgroupRoot}`,
      planCgroups([...plan.cgroups, ...containers.map(({ cgroup }) => cgroup)]),
    ),
    ...section('files of the pod', [
      ...file(paths.hosts, renderHosts(pod, names, { ips, hostFile: node.hostsFile })),
      ...file(paths.resolvConf, renderResolvConf(pod, dns)),
      ...file(paths.hostname, names.hostname),
    ]),
    ...containers.flatMap(({ sections }) => sections.flatMap(({ title, lines }) => section(title, lines))),
    '',
  ].join('\n');
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return ['', `== ${title}`, ...(lines.length === 0 ? ['nothing'] : lines)];
}

/** In the order of agent/runtime/sandbox.ts, as far as there is one. */
function renderSandboxSteps(config: SandboxConfig, plan: SandboxPlan): readonly string[] {
  const { sharedMemory, netnsPath } = plan;
  const supervisor = { ...plan.supervisor, cgroup: `${cgroupRoot}/${plan.supervisorCgroup}` };
  return [
    `write ${plan.podDirectory}/sandbox.json 0600`,
    ...(netnsPath === undefined ? [] : [`create network namespace ${netnsPath}`]),
    ...(sharedMemory === undefined
      ? []
      : [`mount tmpfs on ${sharedMemory.path} nosuid,nodev,noexec mode=1777,size=${sharedMemory.sizeBytes}`]),
    `mkdir ${supervisor.directory} 0700`,
    `start supervisor ${renderSupervisorArguments(supervisor).join(' ')}`,
    ...(config.sharePidNamespace && !config.hostPid ? ['  its first child is pid 1 of the pod'] : []),
  ];
}
