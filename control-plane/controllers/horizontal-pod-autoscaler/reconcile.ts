import type { KeyOutcome } from '#base/keyed-queue.ts';
import { describeError } from '#base/errors.ts';
import { objectKey } from '#api/meta/object.ts';
import { horizontalPodAutoscalers, pods } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { describeRefusal, isConflict, isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, source, type Controller } from '#client/controller.ts';
import { updateScale } from '#client/subresources/scale.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byLabel } from '#control-plane/controllers/pods/by-label.ts';
import type { ScaleMemory } from './behavior.ts';
import { createTargetFinder, type FoundTarget } from './find-target.ts';
import { afterRescale, planAutoscaler, type AutoscalerPlan, type AutoscalerState } from './plan.ts';
import { autoscalerDefaults, type Autoscaler, type AutoscalerSettings } from './settings.ts';

/** Scales whatever has a Scale by what its pods, or other things, use. */
export function runHorizontalPodAutoscalers(
  context: ControllerContext,
  given: Partial<AutoscalerSettings> = {},
): Controller {
  const { informers, clock, logger, client } = context;
  const settings = { ...autoscalerDefaults, ...given };
  const scalers = informers.for(horizontalPodAutoscalers);
  const podInformer = informers.for(pods, { indexes: { label: byLabel } });
  const recorder = context.recorder('horizontal-pod-autoscaler');
  const targets = createTargetFinder({ client, clock, pods: podInformer });
  const memories = new Map<string, ScaleMemory>();

  const scaleTo = async (
    state: AutoscalerState,
    plan: AutoscalerPlan,
    { ref, scale }: FoundTarget,
  ): Promise<AutoscalerPlan> => {
    if (plan.rescale === undefined) return plan;
    try {
      await updateScale(client, ref, scale, plan.rescale.to);
      return afterRescale(state, plan);
    } catch (error) {
      return afterRescale(state, plan, describeRefusal(error));
    }
  };
  const write = async (scaler: Autoscaler, { status }: AutoscalerPlan): Promise<void> => {
    if (equalJson(status, scaler.status)) return;
    try {
      const next = { ...scaler, status };
      scalers.observe(await client.update(horizontalPodAutoscalers, next, { subresource: 'status' }));
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return; // The next look has what somebody else wrote.
      const regarding = { kind: horizontalPodAutoscalers, object: scaler };
      recorder.record(regarding, 'Warning', 'FailedUpdateStatus', describeRefusal(error));
      logger.warn({ key: objectKey(scaler), error: describeError(error) }, 'autoscaler status not written');
    }
  };
  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const scaler = scalers.get(key);
    if (scaler === undefined) {
      memories.delete(key);
      targets.forget(key);
      return undefined;
    }
    const found = await targets.find(scaler);
    const target = typeof found === 'string' ? found : await targets.measure(key, scaler, found);
    const state = { scaler, target, settings, memory: memories.get(key), nowMs: clock.now() };
    const first = planAutoscaler(state);
    const plan = typeof found === 'string' ? first : await scaleTo(state, first, found);
    memories.set(key, plan.memory);
    const regarding = { kind: horizontalPodAutoscalers, object: scaler };
    for (const { type, reason, message } of plan.events) recorder.record(regarding, type, reason, message);
    await write(scaler, plan);
    return { kind: 'again', afterMs: settings.syncPeriodMs };
  };
  return runController({
    name: 'horizontal-pod-autoscaler',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      source(scalers, ({ key, old, current }) =>
        old !== undefined && current !== undefined && equalJson(old.spec, current.spec) ? [] : [key],
      ),
      onlySynced(podInformer),
    ],
    reconcile,
  });
}
