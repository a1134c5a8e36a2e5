import type { Pod } from '#api/generated/objects.ts';
import { exitOf, isRestarted, isRunning, type ContainerView } from './container-view.ts';
import type { PodFacts } from './pod-input.ts';

/** How a pod ended: nothing of it is started any more, whatever is left of it is stopped. */
export interface PodEnd {
  readonly phase: 'Succeeded' | 'Failed';
  readonly reason: string | undefined;
  readonly message: string | undefined;
}

/** The end of a pod that is over, or undefined while it lives. What was once reported as over stays so. */
export function podEndOf(
  pod: Pod,
  views: readonly ContainerView[],
  now: number,
  facts: PodFacts,
): PodEnd | undefined {
  const { phase, reason, message } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed') return { phase, reason, message };
  const { rejection } = facts;
  if (rejection !== undefined)
    return { phase: 'Failed', reason: rejection.reason, message: rejection.message };
  const deadline = deadlineMs(pod, facts);
  if (deadline !== undefined && now >= deadline) {
    return {
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
  }
  const isOver = (view: ContainerView): boolean =>
    exitOf(view) !== undefined && !isRestarted(view, pod, facts);
  const failedInit = views.some(
    (view) => view.kind === 'init' && isOver(view) && exitOf(view)?.exitCode !== 0,
  );
  const mains = views.filter((view) => view.kind === 'main');
  if (failedInit && !mains.some(isRunning)) return { phase: 'Failed', reason: undefined, message: undefined };
  if (mains.length === 0 || !mains.every(isOver)) return undefined;
  const isSuccess = mains.every((view) => exitOf(view)?.exitCode === 0);
  return { phase: isSuccess ? 'Succeeded' : 'Failed', reason: undefined, message: undefined };
}

/** When activeDeadlineSeconds ends the pod. */
export function deadlineMs(pod: Pod, facts: PodFacts): number | undefined {
  const seconds = pod.spec?.activeDeadlineSeconds;
  return seconds === undefined ? undefined : startTimeMs(pod, facts) + seconds * 1000;
}

/** When the node took the pod on. */
export function startTimeMs(pod: Pod, facts: PodFacts): number {
  const reported = Date.parse(pod.status?.startTime ?? '');
  return Number.isNaN(reported) ? facts.firstSeenAtMs : reported;
}
