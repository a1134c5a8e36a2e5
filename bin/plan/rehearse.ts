/** A rehearsal: what the node's own planner does for a pod until nothing is left to do, on a node where each action succeeds at once. */
import type { Action, ActionOf, StartAction } from '#agent/kubelet/render/action.ts';
import { imageState, viewContainers } from '#agent/kubelet/sync/container-view.ts';
import { fold } from '#agent/kubelet/sync/fold.ts';
import type { Outcome } from '#agent/kubelet/sync/outcome.ts';
import { plan } from '#agent/kubelet/sync/plan.ts';
import {
  containersOf,
  emptyObservation,
  type Intent,
  type KnownFacts,
  type PodFacts,
} from '#agent/kubelet/sync/pod-input.ts';
import { initialFacts } from '#agent/kubelet/sync/pod-memory.ts';
import { renderAction, type ReadIntent, type SandboxReading } from '#agent/kubelet/render/render-action.ts';
import type { RenderInput } from '#agent/kubelet/render/render-input.ts';
import type { StartReading } from '#agent/kubelet/render/render-start.ts';
import type { ContainerObservation, PodObservation, SandboxObservation } from '#agent/runtime/runtime.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import type { Pod } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { directories, dns, node } from './assumed-node.ts';

/** What actions find and make: everything that a plan has to assume. */
export interface AssumedPod {
  readonly mounted: MountedVolumes;
  /** By container name; none for what is no name of an image. */
  readonly imageIds: ReadonlyMap<string, string>;
  runSandbox(action: Extract<Action, { kind: 'runSandbox' }>): Promise<SandboxObservation>;
  read(container: string): StartReading;
}

/** What is done for a pod that is new, where nothing goes wrong. */
export type RehearsedAction = ActionOf<'prepareVolumes' | 'runSandbox' | 'pullImage' | 'startContainer'>;

interface State {
  readonly facts: PodFacts;
  readonly actual: PodObservation;
}

/** More than any pod takes: two for each of its init containers, and some. */
const roundsMax = 10_000;
const now = 0;

/** The actions in the order in which the node carries them out. @throws {E_INVALID} with the node's words, for what it does not start */
export async function rehearsePod(pod: Pod, assumed: AssumedPod): Promise<readonly RehearsedAction[]> {
  const actions: RehearsedAction[] = [];
  let state: State = { facts: initialFacts(pod, now), actual: emptyObservation(pod) };
  for (let round = 0; round < roundsMax; round++) {
    const { intents } = plan({ pod, isPresent: true }, state.actual, now, knownFacts(state, assumed));
    if (intents.length === 0) {
      checkStarted(pod, state, assumed);
      return actions;
    }
    const input = inputOf(pod, state);
    const planned = intents.map((intent) => rehearsed(renderAction(readIntent(intent, pod, assumed), input)));
    for (const action of planned) state = await carryOut(action, pod, { state, assumed });
    actions.push(...planned);
  }
  throw new PodwrightError('E_INTERNAL', `plan pod ${pod.metadata?.name ?? ''}: no end`);
}

function checkStarted(pod: Pod, state: State, assumed: AssumedPod): void {
  const waiting = viewContainers(pod, state.actual).find(({ latest }) => latest === undefined);
  if (waiting === undefined) return;
  const image = imageState(waiting, now, knownFacts(state, assumed));
  const why = image.state === 'failed' ? `${image.reason}: ${image.message}` : 'it is not started';
  throw new PodwrightError('E_INVALID', `container ${waiting.name}: ${why}`);
}

function knownFacts({ facts }: State, { imageIds }: AssumedPod): KnownFacts {
  const { name: nodeName, ips: hostIps } = node;
  return { ...facts, nodeName, hostIps, presentImages: imageIds, isStatusCurrent: true };
}

function inputOf(pod: Pod, { facts, actual }: State): RenderInput {
  const { mounted, volumeChanges, resize } = facts;
  return { pod, allocated: resize.allocated, actual, mounted, volumeChanges, node, dns, directories };
}

function readIntent(intent: Intent, pod: Pod, assumed: AssumedPod): ReadIntent {
  switch (intent.kind) {
    case 'startContainer':
      return { ...intent, reading: assumed.read(intent.container) };
    case 'runSandbox':
      return { ...intent, reading: readSandbox(pod) };
    default:
      return intent;
  }
}

function readSandbox({ spec }: Pod): SandboxReading {
  const { runtimeClassName: name = '' } = spec ?? {};
  if (name === '') return { handler: '' };
  return { problem: `spec.runtimeClassName: ${name}: who makes its containers is known in a cluster` };
}

/** @throws {E_INVALID} with the node's words, for what it does not start */
function rehearsed(action: Action): RehearsedAction {
  switch (action.kind) {
    case 'prepareVolumes':
    case 'runSandbox':
    case 'pullImage':
    case 'startContainer':
      return action;
    case 'failSandbox':
    case 'failStart':
      throw new PodwrightError('E_INVALID', action.message);
    case 'prepareClaims':
      throw new PodwrightError(
        'E_INVALID',
        'spec.resourceClaims: what claims are given is known in a cluster',
      );
    case 'refreshVolumes':
    case 'unprepareClaims':
    case 'removeVolumes':
    case 'stopSandbox':
    case 'startHook':
    case 'stopContainer':
    case 'resize':
    case 'removeContainer':
    case 'removePod':
    case 'deleteObject':
      throw new PodwrightError('E_INTERNAL', `plan pod: ${action.kind} of a pod that is new`);
    default:
      return unreachable(action);
  }
}

async function carryOut(
  action: RehearsedAction,
  pod: Pod,
  { state, assumed }: { readonly state: State; readonly assumed: AssumedPod },
): Promise<State> {
  const learn = (...outcomes: readonly Outcome[]): PodFacts => outcomes.reduce(fold, state.facts);
  const { actual } = state;
  switch (action.kind) {
    case 'prepareVolumes': {
      const { atChange } = action.volumes;
      return { actual, facts: learn({ kind: 'volumesMounted', mounted: assumed.mounted, atChange }) };
    }
    case 'runSandbox': {
      const sandbox = await assumed.runSandbox(action);
      const { resources } = action;
      return { actual: { ...actual, sandbox }, facts: learn({ kind: 'sandboxRunning', resources }) };
    }
    case 'pullImage': {
      const { container, image, attempt } = action;
      const imageId = assumed.imageIds.get(container) ?? '';
      const pull = { container, image, attempt };
      return { actual, facts: learn({ kind: 'pullBegun', ...pull }, { kind: 'pullDone', ...pull, imageId }) };
    }
    case 'startContainer': {
      const containers = [...actual.containers, observationOf(action, pod)];
      return { actual: { ...actual, containers }, facts: learn(...outcomesOf(action)) };
    }
    default:
      return unreachable(action);
  }
}

/** It starts well, and its hook and its startup probe are content with it. */
function outcomesOf({ container, config: { id }, resources, hook }: StartAction): readonly Outcome[] {
  return [
    { kind: 'containerStarted', container, id, resources, hasHook: hook !== undefined },
    { kind: 'hookEnded', id, failure: undefined },
    { kind: 'probesBegun', id, fact: { hasStarted: true, isReady: true, failure: undefined } },
  ];
}

/** An init container has ended well, the others run. */
function observationOf({ container, config }: StartAction, pod: Pod): ContainerObservation {
  const { id, name, attempt, image, imageId, stdio } = config;
  const isInit = containersOf(pod).some(({ kind, spec }) => kind === 'init' && spec.name === container);
  const times = { startedAtMs: now, finishedAtMs: now };
  const end = { exitCode: 0, signal: undefined, reason: 'Completed', message: '' } as const;
  return {
    id,
    name,
    attempt,
    image,
    imageId,
    logPath: stdio.logPath,
    state: isInit ? { state: 'exited', ...times, ...end } : { state: 'running', startedAtMs: now, pid: 1 },
  };
}
