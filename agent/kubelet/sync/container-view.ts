import { createHash } from 'node:crypto';
import type { ContainerStatus, Pod } from '#api/generated/objects.ts';
import { backoffMs } from '#base/backoff.ts';
import type { ContainerObservation, PodObservation, SandboxObservation } from '#agent/runtime/runtime.ts';
import { imagesState, volumeImagesOf, type ImageNeed, type ImageState } from './image-needs.ts';
import { containersOf, type KnownFacts, type PodFacts, type SpecContainer } from './pod-input.ts';

/** A container of the spec beside what the runtime knows of it. */
export interface ContainerView extends SpecContainer {
  readonly name: string;
  /** The newest run, of this sandbox or an earlier one. */
  readonly latest: ContainerObservation | undefined;
  /** The newest run if it belongs to the present sandbox, and began after all containers were last to be restarted. */
  readonly current: ContainerObservation | undefined;
  /** The run before the newest, as far as it is still on the node. */
  readonly previous: ContainerObservation | undefined;
  readonly reported: ContainerStatus | undefined;
  /** Of the volumes that it mounts. */
  readonly volumeImages: readonly ImageNeed[];
  /** The newest run is of before a container's end that restarts them all (KEP-5532), or is that end. */
  readonly isOutdated: boolean;
}

/** The CrashLoopBackOff of Kubernetes: at once, 10 s, 20 s, … 5 min; a run of 10 min starts it anew. */
export const crashBackoff = { initialMs: 10_000, factor: 2, maxMs: 300_000 } as const;
export const crashBackoffResetMs = 600_000;

/** The containers of a pod in starting order, each with its runs. */
export function viewContainers(pod: Pod, actual: PodObservation): readonly ContainerView[] {
  const restart = restartOfAll(pod, actual);
  return containersOf(pod).map((container) => viewContainer(container, pod, { actual, restart }));
}

interface RestartOfAll {
  readonly id: string;
  readonly atMs: number;
}

/** The newest run whose end restarts all containers of the pod by its rules; undefined: there is none. */
function restartOfAll(pod: Pod, { containers }: PodObservation): RestartOfAll | undefined {
  const asking = new Map(
    containersOf(pod)
      .filter(({ spec }) => spec.restartPolicyRules?.some(({ action }) => action === 'RestartAllContainers'))
      .map((container) => [container.spec.name, container.spec]),
  );
  const ends = containers.flatMap(({ id, name, state }): readonly RestartOfAll[] => {
    const spec = asking.get(name);
    const isSo =
      spec !== undefined &&
      state.state === 'exited' &&
      ruleFor(spec, state.exitCode) === 'RestartAllContainers';
    return isSo ? [{ id, atMs: state.finishedAtMs }] : [];
  });
  return ends.toSorted((a, b) => a.atMs - b.atMs).at(-1);
}

interface Runs {
  readonly actual: PodObservation;
  readonly restart: RestartOfAll | undefined;
}

function viewContainer(container: SpecContainer, pod: Pod, { actual, restart }: Runs): ContainerView {
  const name = container.spec.name;
  const runs = actual.containers.filter((c) => c.name === name).toSorted((a, b) => a.attempt - b.attempt);
  const latest = runs.at(-1);
  // Ephemeral ones end with the others, and are not started again.
  const isOutdated =
    latest !== undefined &&
    restart !== undefined &&
    (latest.id === restart.id || beganMs(latest.state) < restart.atMs);
  return {
    ...container,
    name,
    latest,
    current: latest !== undefined && !isOutdated && belongsTo(latest, actual.sandbox) ? latest : undefined,
    previous: runs.at(-2),
    reported: reportedStatuses(pod).find((status) => status.name === name),
    volumeImages: volumeImagesOf(pod, container.spec),
    isOutdated,
  };
}

function beganMs(state: ContainerObservation['state']): number {
  return state.state === 'created' ? Infinity : state.startedAtMs;
}

/** Records may be lost with the node's disk or a reboot: neither the count that the API knows nor that of the logs is undercut. */
export function nextAttempt({ name, latest, reported }: ContainerView, facts: PodFacts): number {
  const lostAttempt = reported?.containerID === undefined ? -1 : reported.restartCount;
  return Math.max(latest?.attempt ?? -1, lostAttempt, facts.loggedAttempts?.get(name) ?? -1) + 1;
}

/** Containers die with their sandbox, so a run that ended before the present sandbox was made is of an earlier one. */
function belongsTo(run: ContainerObservation, sandbox: SandboxObservation | undefined): boolean {
  if (sandbox === undefined) return false;
  return run.state.state !== 'exited' || run.state.finishedAtMs >= sandbox.createdAtMs;
}

function reportedStatuses(pod: Pod): readonly ContainerStatus[] {
  const {
    initContainerStatuses = [],
    containerStatuses = [],
    ephemeralContainerStatuses = [],
  } = pod.status ?? {};
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}

export function isRunning(view: ContainerView): boolean {
  return view.latest !== undefined && view.latest.state.state !== 'exited';
}

/** The newest run's end, or undefined while it runs or was never started. */
export function exitOf(
  view: ContainerView,
): (ContainerObservation['state'] & { state: 'exited' }) | undefined {
  return view.latest?.state.state === 'exited' ? view.latest.state : undefined;
}

/** Whether the pod's policy starts a container again that ended so, or it was ended for that. */
export function isRestarted(view: ContainerView, pod: Pod, facts: PodFacts): boolean {
  const exit = exitOf(view);
  if (exit === undefined || view.kind === 'ephemeral') return false;
  if (view.isOutdated || isEndedForResize(view, facts)) return true;
  if (view.kind === 'sidecar') return true;
  const own = restartPolicyOf(view, pod, exit.exitCode);
  if (own === 'Always') return view.kind === 'main' || exit.exitCode !== 0;
  return own === 'OnFailure' && exit.exitCode !== 0;
}

function isEndedForResize({ latest }: ContainerView, facts: PodFacts): boolean {
  return latest !== undefined && facts.resize.restarts.has(latest.id);
}

/** The container's own policy and rules (KEP-5307) before the pod's. */
function restartPolicyOf(view: ContainerView, pod: Pod, exitCode: number): string {
  if (ruleFor(view.spec, exitCode) === 'Restart') return 'Always';
  return view.spec.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
}

/** What the first rule that an exit code is in says. */
function ruleFor({ restartPolicyRules = [] }: SpecContainer['spec'], exitCode: number): string | undefined {
  return restartPolicyRules.find(({ exitCodes }) => {
    const isIn = exitCodes?.values?.includes(exitCode) === true;
    return isIn === (exitCodes?.operator !== 'NotIn');
  })?.action;
}

/** How long a container that ended waits for its next run, and until when. */
export function restartWait(
  view: ContainerView,
  facts: PodFacts & Partial<Pick<KnownFacts, 'restartBackoffMaxMs'>>,
): { readonly ms: number; readonly dueMs: number } {
  const exit = exitOf(view);
  if (exit === undefined || view.latest === undefined) return { ms: 0, dueMs: 0 };
  if (isEndedForResize(view, facts)) return { ms: 0, dueMs: 0 };
  const ranLong = exit.finishedAtMs - exit.startedAtMs >= crashBackoffResetMs;
  const failures = ranLong ? 0 : view.latest.attempt - (facts.backoffBase.get(view.name) ?? 0);
  const ms = Math.min(backoffMs(crashBackoff, failures), facts.restartBackoffMaxMs ?? crashBackoff.maxMs);
  return { ms, dueMs: exit.finishedAtMs + ms };
}

/** Whether a run of the container counts as started: its hook has returned and its startup probe has passed. */
export function hasStarted(view: ContainerView, facts: PodFacts): boolean {
  const run = view.current;
  if (run === undefined || run.state.state !== 'running') return false;
  const hook = facts.postStart.get(run.id);
  if (hook !== undefined && hook !== 'done') return false;
  return facts.probes.get(run.id)?.hasStarted ?? view.spec.startupProbe === undefined;
}

export function isReady(view: ContainerView, facts: PodFacts): boolean {
  const run = view.current;
  if (run === undefined || !hasStarted(view, facts)) return false;
  return facts.probes.get(run.id)?.isReady ?? view.spec.readinessProbe === undefined;
}

/** Where the images of a container stand before its next start. */
export function imageState(view: ContainerView, now: number, facts: KnownFacts): ImageState {
  const { name: key, spec, volumeImages } = view;
  const { image = '', imagePullPolicy: policy } = spec;
  const own = { key, image, policy, attempt: nextAttempt(view, facts) };
  return imagesState([...volumeImages, own], now, facts);
}

/** The id of one run of a container: 64 hex digits, the same whenever it is asked for. */
export function containerId(podUid: string, name: string, attempt: number): string {
  return createHash('sha256').update(`${podUid}\0${name}\0${attempt}`).digest('hex');
}
