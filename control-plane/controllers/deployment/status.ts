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
  readonly nowMs: number;
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
    ...(collisionCount === undefined ? {} : { collisionCount }),
  };
  return { ...next, conditions: computeConditions(rollout, next) };
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
  else if (progressing !== 'unchanged')
    conditions = withCondition(conditions, { ...stamp, ...progressing }, nowMs);
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

function progressingCondition(
  { deployment, newReplicaSet, nowMs }: Rollout,
  next: DeploymentStatus,
): DeploymentCondition | 'unchanged' | 'none' {
  const before = findCondition(deployment.status?.conditions, 'Progressing');
  const deadline = deadlineSeconds(deployment);
  if (deadline === undefined) return before === undefined ? 'unchanged' : 'none';
  const name = newReplicaSet?.metadata?.name;
  const subject =
    name === undefined ? `Deployment "${deployment.metadata?.name ?? ''}"` : `ReplicaSet "${name}"`;
  const condition = (status: string, reason: string, message: string): DeploymentCondition | 'unchanged' =>
    before?.status === status && before.reason === reason && before.message === message
      ? 'unchanged'
      : { type: 'Progressing', status, reason, message };
  if (deployment.spec?.paused === true) {
    return condition('Unknown', 'DeploymentPaused', 'Deployment is paused');
  }
  if (before?.reason === 'DeploymentPaused') {
    return condition('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  if (isComplete(deployment, next)) {
    return condition('True', 'NewReplicaSetAvailable', `${subject} has successfully progressed.`);
  }
  if (before === undefined && name !== undefined) {
    return condition('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`);
  }
  if (hasProgressed(deployment, next)) {
    // lastUpdateTime says when it last moved: set anew even when the text is the same.
    return {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${subject} is progressing.`,
    };
  }
  if (before?.reason !== 'NewReplicaSetAvailable' && isPastDeadline(before, deadline, nowMs)) {
    return condition('False', 'ProgressDeadlineExceeded', `${subject} has timed out progressing.`);
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
  return before.status === 'False' || Date.parse(before.lastUpdateTime) + seconds * 1000 < nowMs;
}

function deadlineSeconds(deployment: Deployment): number | undefined {
  const seconds = deployment.spec?.progressDeadlineSeconds ?? 600;
  return seconds === noDeadline ? undefined : seconds;
}

/** A condition that says the same keeps its times. */
function setUnlessSame(
  conditions: readonly DeploymentCondition[],
  wanted: DeploymentCondition,
  nowMs: number,
): readonly DeploymentCondition[] {
  const before = findCondition(conditions, wanted.type);
  return before?.status === wanted.status &&
    before.reason === wanted.reason &&
    before.message === wanted.message
    ? conditions
    : withCondition(conditions, wanted, nowMs);
}

function omitZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [name, count === 0 ? undefined : count]),
  );
}
