import type { ContainerState, ContainerStatus, Pod, ResourceRequirements } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import type { ContainerObservation } from '#agent/runtime/runtime.ts';
import {
  hasStarted,
  imageState,
  isReady,
  isRestarted,
  restartWait,
  type ContainerView,
} from '#agent/kubelet/sync/container-view.ts';
import type { KnownFacts } from '#agent/kubelet/sync/pod-input.ts';
import { actuatedOf } from '#agent/kubelet/render/resize.ts';

/** Container ids in statuses name the runtime: `podwright://<id>`. */
export const runtimeName = 'podwright';

export interface StatusContext {
  readonly pod: Pod;
  readonly now: number;
  readonly facts: KnownFacts;
  /** The pod ends or has ended: nothing is started again. */
  readonly isOver: boolean;
  readonly isInitialized: boolean;
  /** Of who makes its containers. Default: it has. */
  readonly hasRecursiveReadOnly?: boolean | undefined;
}

/** The status of one container, as `kubectl get pod -o yaml` shows it. */
export function containerStatus(view: ContainerView, context: StatusContext): ContainerStatus {
  const { latest, previous, reported } = view;
  const { facts } = context;
  if (latest === undefined) return unstartedStatus(view, context);
  const isWaiting = waitsForNextRun(view, context);
  const state = isWaiting ? { waiting: waitingState(view, context) } : runState(latest);
  const ended = isWaiting ? latest : previous;
  return {
    name: view.name,
    state,
    lastState: ended === undefined ? (reported?.lastState ?? {}) : runState(ended),
    ready: readiness(view, context),
    started: state.running !== undefined && hasStarted(view, facts),
    restartCount: latest.attempt,
    image: latest.image,
    imageID: latest.imageId,
    containerID: idOf(latest),
    ...resourcesOf(view, context),
    ...devicesOf(view, context),
    ...mountsOf(view, latest, context),
  };
}

/** How the mounts of a run are; only read-only ones can be so all the way down. Which image a volume is (KEP-5365). */
function mountsOf(
  { spec }: ContainerView,
  { mountedImages = [] }: ContainerObservation,
  { hasRecursiveReadOnly = true }: StatusContext,
): Pick<ContainerStatus, 'volumeMounts'> {
  const volumeMounts = (spec.volumeMounts ?? []).map((mount) => {
    const { name, mountPath, readOnly, recursiveReadOnly: asked } = mount;
    const target = mountPath.startsWith('/') ? mountPath : `/${mountPath}`;
    const image = mountedImages.find((each) => each.target === target);
    const volumeStatus = image === undefined ? {} : { volumeStatus: { image: { imageRef: image.imageId } } };
    if (readOnly !== true) return { name, mountPath, ...volumeStatus };
    const isRecursive = asked === 'Enabled' || (asked === 'IfPossible' && hasRecursiveReadOnly);
    const recursiveReadOnly = isRecursive ? ('Enabled' as const) : ('Disabled' as const);
    return { name, mountPath, readOnly, recursiveReadOnly, ...volumeStatus };
  });
  return volumeMounts.length === 0 ? {} : { volumeMounts };
}

/** What was given (`allocatedResources`), and what the container has of it (`resources`). */
function resourcesOf(
  view: ContainerView,
  { facts }: StatusContext,
): Pick<ContainerStatus, 'resources' | 'allocatedResources'> {
  if (view.kind === 'ephemeral') return {};
  const given = facts.resize.allocated.containers.get(view.name) ?? {};
  const resources = ownOf(actuatedOf(view, facts.resize), given);
  const { requests } = given;
  return {
    resources,
    ...(requests === undefined || Object.keys(requests).length === 0 ? {} : { allocatedResources: requests }),
  };
}

/** Without the limits of its pod that hold for it. */
function ownOf(
  { limits, ...others }: ResourceRequirements,
  given: ResourceRequirements,
): ResourceRequirements {
  if (limits === undefined || given.limits === undefined) return others;
  const own = Object.entries(limits).filter(([name]) => given.limits?.[name] !== undefined);
  return { ...others, limits: Object.fromEntries(own) };
}

/** Whether the devices that it was given work (KEP-4680). */
function devicesOf(
  { name }: ContainerView,
  { facts }: StatusContext,
): Pick<ContainerStatus, 'allocatedResourcesStatus'> {
  const health = facts.deviceHealths?.get(name);
  return health === undefined ? {} : { allocatedResourcesStatus: health };
}

function unstartedStatus(view: ContainerView, context: StatusContext): ContainerStatus {
  const { reported } = view;
  // Runs whose records are gone with the disk or at the end of the pod: what was reported last stays true.
  if (reported?.state?.terminated !== undefined) return reported;
  const lost = reported?.containerID !== undefined && reported.state?.running !== undefined;
  return {
    name: view.name,
    state: lost && context.isOver ? { terminated: lostRun } : { waiting: waitingState(view, context) },
    lastState: lost && !context.isOver ? { terminated: lostRun } : (reported?.lastState ?? {}),
    ready: false,
    started: false,
    restartCount: reported?.restartCount ?? 0,
    image: view.spec.image ?? '',
    imageID: reported?.imageID ?? '',
    ...resourcesOf(view, context),
    ...devicesOf(view, context),
  };
}

const lostRun = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
} as const;

/** Whether an ended run is to be followed by another, so that the container shows as waiting for it. */
function waitsForNextRun(view: ContainerView, context: StatusContext): boolean {
  if (view.latest?.state.state !== 'exited' || context.isOver) return false;
  if (view.kind === 'init' && view.current === undefined) return !context.isInitialized;
  if (!isRestarted(view, context.pod, context.facts)) return false;
  const { dueMs } = restartWait(view, context.facts);
  // Kubernetes shows the exit itself until the back-off starts to bite.
  return view.current === undefined || context.now < dueMs || hasStartProblem(view, context);
}

function hasStartProblem(view: ContainerView, { now, facts }: StatusContext): boolean {
  return facts.startFailures.has(view.name) || imageState(view, now, facts).state !== 'present';
}

/** Why a container does not run. */
function waitingState(
  view: ContainerView,
  context: StatusContext,
): { readonly reason: string; readonly message?: string } {
  const { facts, now, pod, isInitialized } = context;
  const hasInit = (pod.spec?.initContainers?.length ?? 0) > 0;
  const before =
    hasInit && (view.kind === 'main' || !isInitialized) ? 'PodInitializing' : 'ContainerCreating';
  if (view.kind === 'main' && !isInitialized) return { reason: before };
  const { ms, dueMs } = restartWait(view, facts);
  if (view.current?.state.state === 'exited' && now < dueMs) {
    const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
    const who = `container=${view.name} pod=${name}_${namespace}(${uid})`;
    return {
      reason: 'CrashLoopBackOff',
      message: `back-off ${formatGoSeconds(ms)} restarting failed ${who}`,
    };
  }
  const failure = facts.startFailures.get(view.name);
  if (failure !== undefined) return { reason: failure.reason, message: failure.message };
  // Policy Always needs no record of a pull before its turn has come.
  const image = imageState(view, now, facts);
  if (image.state === 'failed') return { reason: image.reason, message: image.message };
  return (image.state === 'present' ? undefined : lastPullOf(view)) ?? { reason: before };
}

const pullReasons = ['ErrImagePull', 'ImagePullBackOff'];

/** What an earlier agent told of a pull that failed is so until the next has ended. */
function lastPullOf({ reported, spec }: ContainerView): ReturnType<typeof waitingState> | undefined {
  const { reason = '', message } = reported?.state?.waiting ?? {};
  if (reported?.image !== spec.image || !pullReasons.includes(reason)) return undefined;
  return { reason, ...(message === undefined ? {} : { message }) };
}

/** `10s`, `1m20s`, `5m0s`, as Go prints a duration. */
function formatGoSeconds(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

function runState(run: ContainerObservation): ContainerState {
  const { state } = run;
  if (state.state === 'created') return { waiting: { reason: 'ContainerCreating' } };
  if (state.state === 'running') return { running: { startedAt: formatTime(state.startedAtMs) } };
  return {
    terminated: {
      exitCode: state.exitCode,
      ...(state.signal === undefined ? {} : { signal: state.signal }),
      reason: state.reason,
      ...(state.message === '' ? {} : { message: state.message }),
      startedAt: formatTime(state.startedAtMs),
      finishedAt: formatTime(state.finishedAtMs),
      containerID: idOf(run),
    },
  };
}

function readiness(view: ContainerView, { facts }: StatusContext): boolean {
  // A finished init container counts as ready.
  if (view.kind === 'init') {
    return view.latest?.state.state === 'exited' && view.latest.state.exitCode === 0;
  }
  return view.kind !== 'ephemeral' && isReady(view, facts);
}

/** `podwright://ID`, or as the runtime that is asked by CRI has it. */
export function idOf(run: ContainerObservation): string {
  return run.shownId ?? `${runtimeName}://${run.id}`;
}
