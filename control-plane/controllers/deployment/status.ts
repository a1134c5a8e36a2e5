import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSet,
} from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { findCondition, withCondition, withoutCondition } from '#api/meta/condition.ts';
import { availableOf, fencepostsOf } from './rolling.ts';

/** The value of progressDeadlineSeconds that means: no deadline. */
const noDeadline = 2_147_483_647;

interface Rollout {
  readonly deployment: Deployment;
  readonly newReplicaSet: ReplicaSet | undefined;
  readonly oldReplicaSets: readonly ReplicaSet[];
  /** What became of making the new one, where this pass did. */
  readonly creation?: Creation | undefined;
  readonly nowMs: number;
}

/** Whether a ReplicaSet was made; `refusal`: why not. */
export interface Creation {
  readonly name: string;
  readonly refusal?: string | undefined;
}

/** In the words of event and condition. */
export function describeNotCreated({ name, refusal = '' }: Creation): string {
  return `Failed to create new replica set ${JSON.stringify(name)}: ${refusal}`;
}

/** The status that the ReplicaSets amount to. */
export function computeDeploymentStatus(rollout: Rollout): DeploymentStatus {
  const { deployment, newReplicaSet, oldReplicaSets } = rollout;
  const all = newReplicaSet === undefined ? oldReplicaSets : [...oldReplicaSets, newReplicaSet];
  const sum = (read: (one: ReplicaSet) => number): number => all.reduce((total, one) => total + read(one), 0);
  const counts = {
    replicas: sum(({ status }) => status?.replicas ?? 0),
    updatedReplicas: newReplicaSet?.status?.replicas ?? 0,
    readyReplicas: sum(({ status }) => status?.readyReplicas ?? 0),
    availableReplicas: sum(availableOf),
  };
  const wanted = sum(({ spec }) => spec?.replicas ?? 0);
  const unavailableReplicas = Math.max(0, wanted - counts.availableReplicas);
  const { collisionCount } = deployment.status ?? {};
  const next: DeploymentStatus = {
    observedGeneration: deployment.metadata?.generation,
    ...omitZero({ ...counts, unavailableReplicas }),
    terminatingReplicas: terminatingOf(all),
    ...(collisionCount === undefined ? {} : { collisionCount }),
  };
  return { ...next, conditions: computeConditions(rollout, next) };
}

/** Pods that go: zero is told, too, and nothing as long as one of the ReplicaSets does not say. */
function terminatingOf(all: readonly ReplicaSet[]): number | undefined {
  return all.reduce<number | undefined>((sum, { status }) => {
    const count = status?.terminatingReplicas;
    return sum === undefined || count === undefined ? undefined : sum + count;
  }, 0);
}

/** When the progress deadline will have passed, from now; undefined when nothing is to be waited for. */
export function progressDeadlineMs(
  deployment: Deployment,
  status: DeploymentStatus,
  nowMs: number,
): number | undefined {
  const progressing = findCondition(status.conditions, 'Progressing');
  const seconds = deadlineSeconds(deployment);
  if (seconds === undefined || deployment.spec?.paused === true || isComplete(deployment, status))
    return undefined;
  if (progressing?.lastUpdateTime === undefined || progressing.status === 'False') return undefined;
  if (progressing.reason === available) return undefined; // That of a rollout that is over.
  // One second more: times on the wire have no fraction.
  return Math.max(1000, Date.parse(progressing.lastUpdateTime) + seconds * 1000 - nowMs + 1000);
}

/** All replicas are of the new template and available, and none else is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const { replicas = 1 } = deployment.spec ?? {};
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0)
  );
}

function computeConditions(rollout: Rollout, next: DeploymentStatus): readonly DeploymentCondition[] {
  const { deployment, newReplicaSet, oldReplicaSets, nowMs } = rollout;
  const stamp = { lastUpdateTime: formatTime(nowMs) };
  let conditions = deployment.status?.conditions ?? [];
  const progressing = progressingCondition(rollout, next);
  if (progressing === 'none') conditions = withoutCondition(conditions, 'Progressing');
  else if (progressing !== 'unchanged') conditions = atEnd(conditions, { ...stamp, ...progressing }, nowMs);
  conditions = setUnlessSame(conditions, { ...stamp, ...availableCondition(deployment, next) }, nowMs);
  const failure = [newReplicaSet, ...oldReplicaSets]
    .map((one) => findCondition(one?.status?.conditions, 'ReplicaFailure'))
    .find((condition) => condition !== undefined);
  return failure === undefined
    ? withoutCondition(conditions, 'ReplicaFailure')
    : setUnlessSame(conditions, { ...stamp, ...failure }, nowMs);
}

function availableCondition(deployment: Deployment, next: DeploymentStatus): DeploymentCondition {
  const { replicas = 1 } = deployment.spec ?? {};
  const isAvailable = (next.availableReplicas ?? 0) >= replicas - fencepostsOf(deployment).unavailable;
  return isAvailable
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
}

/** The reason of Progressing once a rollout is over, and of one that took too long. */
const available = 'NewReplicaSetAvailable';
const timedOut = 'ProgressDeadlineExceeded';

function progressingCondition(
  { deployment, newReplicaSet, creation, nowMs }: Rollout,
  next: DeploymentStatus,
): DeploymentCondition | 'unchanged' | 'none' {
  const before = findCondition(deployment.status?.conditions, 'Progressing');
  const deadline = deadlineSeconds(deployment);
  if (deadline === undefined) return before === undefined ? 'unchanged' : 'none';
  const name = newReplicaSet?.metadata?.name;
  const subject =
    name === undefined ? `Deployment "${deployment.metadata?.name ?? ''}"` : `ReplicaSet "${name}"`;
  const condition = (status: string, reason: string, message: string): DeploymentCondition | 'unchanged' =>
    before?.status === status && before.reason === reason
      ? 'unchanged'
      : { type: 'Progressing', status, reason, message };
  if (creation?.refusal !== undefined)
    return condition('False', 'ReplicaSetCreateError', describeNotCreated(creation));
  if (deployment.spec?.paused === true) {
    // That it did not come on in time is not covered up.
    return before?.reason === timedOut
      ? 'unchanged'
      : condition('Unknown', 'DeploymentPaused', 'Deployment is paused');
  }
  if (before?.reason === 'DeploymentPaused') {
    return condition('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  // A rollout that is over stays so: pods that go and come, and more replicas of the same template, are no rollout.
  const isOver = before?.reason === available && (next.replicas ?? 0) === (next.updatedReplicas ?? 0);
  if (isOver && creation === undefined) return 'unchanged';
  if (isComplete(deployment, next)) {
    return condition('True', available, `${subject} has successfully progressed.`);
  }
  if (creation !== undefined)
    return condition('True', 'NewReplicaSetCreated', `Created new replica set "${creation.name}"`);
  if (hasProgressed(deployment, next)) {
    // lastUpdateTime says when it last moved: set anew even when the text is the same.
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${subject} is progressing.`,
    };
  }
  if (before === undefined && name !== undefined) {
    return condition('True', 'FoundNewReplicaSet', `Found new replica set "${name}"`);
  }
  if (before?.reason !== available && isPastDeadline(before, deadline, nowMs)) {
    return condition('False', timedOut, `${subject} has timed out progressing.`);
  }
  return 'unchanged';
}

function hasProgressed(deployment: Deployment, next: DeploymentStatus): boolean {
  const before = deployment.status ?? {};
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (next.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(next) < old(before) ||
    (next.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function isPastDeadline(before: DeploymentCondition | undefined, seconds: number, nowMs: number): boolean {
  if (before?.lastUpdateTime === undefined) return false;
  return before.reason === timedOut || Date.parse(before.lastUpdateTime) + seconds * 1000 < nowMs;
}

function deadlineSeconds(deployment: Deployment): number | undefined {
  const seconds = deployment.spec?.progressDeadlineSeconds ?? 600;
  return seconds === noDeadline ? undefined : seconds;
}

/** A condition of the same reason keeps its times and its words, as a 1.36 keeps them. */
function setUnlessSame(
  conditions: readonly DeploymentCondition[],
  wanted: DeploymentCondition,
  nowMs: number,
): readonly DeploymentCondition[] {
  const before = findCondition(conditions, wanted.type);
  return before?.status === wanted.status && before.reason === wanted.reason
    ? conditions
    : atEnd(conditions, wanted, nowMs);
}

/** Whatever changed is the last of them, as `kubectl describe` shows them. */
function atEnd(
  conditions: readonly DeploymentCondition[],
  wanted: DeploymentCondition,
  nowMs: number,
): readonly DeploymentCondition[] {
  const set = withCondition(conditions, wanted, nowMs);
  return [...withoutCondition(set, wanted.type), ...set.filter(({ type }) => type === wanted.type)];
}

function omitZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [name, count === 0 ? undefined : count]),
  );
}
