import { describeError, PodwrightError } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { ActionOutcome } from '#agent/kubelet/sync/outcome.ts';
import type { ApplyContext } from './apply-context.ts';

/** Has drivers make ready what the pod's claims were given. */
export async function prepareClaims(
  pod: Pod,
  { ports: { claims, clock, events } }: ApplyContext,
  signal: AbortSignal,
): Promise<ActionOutcome> {
  const atMs = clock.now();
  try {
    if (claims === undefined)
      throw new PodwrightError('E_UNSUPPORTED', 'spec.resourceClaims is not supported by this node');
    return { kind: 'claimsPrepared', prepared: await claims.prepare(pod, signal) };
  } catch (error) {
    signal.throwIfAborted();
    const message = describeError(error);
    events.warning(pod, 'FailedPrepareDynamicResources', `Failed to prepare dynamic resources: ${message}`);
    return { kind: 'claimsFailed', message, atMs };
  }
}
