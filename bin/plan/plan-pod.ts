/** A pod's plan as text: the actions of the node's own planner and what its compilers make of them, on assumptions that the header names. */
import type { ActionOf, StartAction, TextFile } from '#agent/kubelet/render/action.ts';
import { refusalOf } from '#agent/kubelet/admit/admission.ts';
import { appArmorProfileOf } from '#agent/kubelet/render/apparmor.ts';
import { imagesOfPod, isImageName } from '#agent/kubelet/sync/image-needs.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import type { StartReading } from '#agent/kubelet/render/render-start.ts';
import { planSandbox, type SandboxPlan } from '#agent/runtime/plan/plan-sandbox.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';
import type { Pod } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { renderSupervisorArguments } from '#native/launch/launcher.linux.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import { apiServerService, cgroupRoot, node, nodeAssumptions, runtimePaths } from './assumed-node.ts';
import { referencedValues } from './assumed-objects.ts';
import { planCgroups } from './plan-cgroup.ts';
import { planContainerText } from './plan-container.ts';
import type { ImageSource, PlannedImage } from './plan-image.ts';
import { planVolumes, type PlannedVolume } from './plan-volumes.ts';
import type { Manifest } from './read-pods.ts';
import type { PlannedNetwork } from './recorder.ts';
import { rehearsePod, type AssumedPod, type RehearsedAction } from './rehearse.ts';

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
  const assumed = await assumePod(pod, context, signal);
  const actions = await rehearsePod(pod, assumed);
  return renderActions(pod, actions, { assumed, architecture: context.architecture });
}

interface PlannedPod extends AssumedPod {
  readonly volumes: ReadonlyMap<string, PlannedVolume>;
  readonly images: ReadonlyMap<string, PlannedImage>;
  /** What came of the pod's ADD, and its addresses. */
  readonly network: { readonly lines: readonly string[]; readonly ips: readonly string[] };
  /** What the header has to say of each container. */
  readonly assumptions: ReadonlyMap<string, readonly string[]>;
}

async function assumePod(pod: Pod, context: PlanContext, signal: AbortSignal): Promise<PlannedPod> {
  const { manifest } = context;
  const volumes = planVolumes(pod);
  const images = new Map<string, PlannedImage>();
  const assumptions = new Map<string, readonly string[]>();
  const readings = new Map<string, StartReading>();
  for (const { spec } of containersOf(pod)) {
    const image = await context.images(pod, spec);
    const values = referencedValues(spec, pod.metadata?.namespace ?? '', manifest);
    images.set(spec.name, image);
    assumptions.set(spec.name, [image.assumption ?? [], values.assumptions].flat());
    const appArmor = appArmorProfileOf(pod, spec) === undefined ? undefined : { has: () => true };
    readings.set(spec.name, { ...values, services: [apiServerService], image: image.record, appArmor });
  }
  let network = { lines: ["none: the pod is on the node's network"] as readonly string[], ips: node.ips };
  return {
    volumes,
    images,
    assumptions,
    get network() {
      return network;
    },
    mounted: { byName: volumes, refreshAtMs: undefined },
    imageIds: new Map(
      [...imagesOfPod(pod, containersOf(pod))].flatMap(([key, image]): [string, string][] =>
        isImageName(image) ? [[key, images.get(key)?.id ?? image]] : [],
      ),
    ),
    read: (container) => readings.get(container) ?? { failure: new Error(`${container}: not in the pod`) },
    runSandbox: async ({ config }) => {
      const plan = planSandbox(config, runtimePaths);
      if (plan.network !== undefined) network = await context.network.add(plan.network, signal);
      const ips = plan.network === undefined ? [] : network.ips;
      const { id, netnsPath } = plan;
      return { id, attempt: config.attempt, state: 'ready', createdAtMs: 0, ips, netnsPath };
    },
  };
}

interface ActionsInput {
  readonly assumed: PlannedPod;
  readonly architecture: Architecture;
}

function renderActions(
  pod: Pod,
  actions: readonly RehearsedAction[],
  { assumed, architecture }: ActionsInput,
): string {
  const { volumes, network } = assumed;
  const { runs, pulls, starts } = printedOf(actions);
  const [run] = runs;
  if (run === undefined) throw new PodwrightError('E_INTERNAL', 'plan pod: it gets no sandbox');
  const { config } = run;
  const plan = planSandbox(config, runtimePaths);
  const kinds = new Map(containersOf(pod).map(({ kind, spec }) => [spec.name, kind]));
  const containers = starts.map((action) => {
    const image = assumed.images.get(action.container);
    const kind = kinds.get(action.container) ?? 'main';
    if (image === undefined) throw new PodwrightError('E_INTERNAL', `plan ${action.container}: no image`);
    return planContainerText({ action, kind, image, sandbox: { config, plan }, volumes, architecture });
  });
  const assumptions = [
    ...nodeAssumptions,
    `pod uid ${config.uid}, address ${network.ips.join(', ')}`,
    ...[...assumed.assumptions.values()].flat(),
  ];
  const files = starts[0]?.podFiles.files ?? [];
  return [
    `# plan of pod ${config.namespace}/${config.name}`,
    ...[...new Set(assumptions)].map((line) => `# assuming: ${line}`),
    ...section(
      'volumes',
      [...volumes.values()].flatMap((volume) => volume.lines),
    ),
    ...section(`sandbox ${plan.id}`, renderSandboxSteps(config, plan)),
    ...section('network', network.lines),
    ...section(
      `cgroups below ${cgroupRoot}`,
      planCgroups([...plan.cgroups, ...containers.map(({ cgroup }) => cgroup)]),
    ),
    ...(pulls.length === 0 ? [] : section('images', [...new Set(pulls.map(({ image }) => `pull ${image}`))])),
    ...section('files of the pod', files.flatMap(renderFile)),
    ...containers.flatMap(({ sections }) => sections.flatMap(({ title, lines }) => section(title, lines))),
    '',
  ].join('\n');
}

interface PrintedActions {
  readonly runs: readonly ActionOf<'runSandbox'>[];
  readonly pulls: readonly ActionOf<'pullImage'>[];
  readonly starts: readonly StartAction[];
}

/** The actions by what is printed of them: none is left out. */
function printedOf(actions: readonly RehearsedAction[]): PrintedActions {
  const runs: ActionOf<'runSandbox'>[] = [];
  const pulls: ActionOf<'pullImage'>[] = [];
  const starts: StartAction[] = [];
  for (const action of actions) {
    switch (action.kind) {
      case 'prepareVolumes':
        break; // What is made of them is known beforehand (`PlannedVolume`).
      case 'runSandbox':
        runs.push(action);
        break;
      case 'pullImage':
        pulls.push(action);
        break;
      case 'startContainer':
        starts.push(action);
        break;
      default:
        unreachable(action);
    }
  }
  return { runs, pulls, starts };
}

function renderFile({ path, content }: TextFile): readonly string[] {
  const lines = content.trimEnd().split('\n');
  return [`write ${path} 0644`, ...lines.map((line) => `  ${line}`)];
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
