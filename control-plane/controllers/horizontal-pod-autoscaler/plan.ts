import type {
  AutoscalingV2HorizontalPodAutoscalerStatus,
  HorizontalPodAutoscalerCondition,
  MetricStatus,
  Pod,
  Scale,
} from '#api/generated/objects.ts';
import { withCondition } from '#api/meta/condition.ts';
import { quantityToNumber, tryParseQuantity } from '#api/meta/quantity.ts';
import { formatTime } from '#api/meta/time.ts';
import { limitReplicas, withScaled, type Said, type ScaleMemory } from './behavior.ts';
import { proposeReplicas, type Proposal, type Reading } from './propose.ts';
import type { Tolerances } from './replicas.ts';
import type { Autoscaler, AutoscalerSettings } from './settings.ts';

type Status = AutoscalingV2HorizontalPodAutoscalerStatus;

/** To be told of the autoscaler. */
export interface ToTell extends Said {
  readonly type: 'Normal' | 'Warning';
}

/** How its target is to be scaled. */
export interface Rescale {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface AutoscalerPlan {
  readonly status: Status;
  readonly events: readonly ToTell[];
  /** Written before the status, which then says what became of it (`afterRescale`). */
  readonly rescale: Rescale | undefined;
  readonly memory: ScaleMemory;
}

/** What is known of whom it scales. */
export interface Target {
  readonly scale: Scale;
  /** All that its selector selects; or what keeps us from finding them. */
  readonly pods: readonly Pod[] | Unselectable;
  /** One for each metric, where they are asked for (`needsMetrics`). */
  readonly readings: readonly Reading[];
}

/** Why its pods are not to be measured. */
export interface Unselectable {
  readonly reason: 'SelectorRequired' | 'InvalidSelector' | 'AmbiguousSelector';
  readonly text: string;
}

export interface AutoscalerState {
  readonly scaler: Autoscaler;
  /** A text where there is no scale to be had. */
  readonly target: Target | string;
  readonly settings: AutoscalerSettings;
  readonly memory: ScaleMemory | undefined;
  readonly nowMs: number;
}

/** Whether what is used matters: not for a target that is switched off, or out of bounds. */
export function needsMetrics({ spec }: Autoscaler, scale: Scale): boolean {
  const { replicas = 0 } = scale.spec ?? {};
  return replicas >= minimumOf(spec) && replicas <= spec.maxReplicas;
}

/** What becomes of an autoscaler and of its target (reconcileAutoscaler). Pure. */
export function planAutoscaler(state: AutoscalerState): AutoscalerPlan {
  const { scaler, target, memory: known = noMemory } = state;
  const status: Status = { ...scaler.status, desiredReplicas: scaler.status?.desiredReplicas ?? 0 };
  if (typeof target === 'string') {
    const message = `the HPA controller was unable to get the target's current scale: ${target}`;
    return {
      status: withSaid(state, status, ['AbleToScale', 'False', { reason: 'FailedGetScale', message }]),
      events: [{ type: 'Warning', reason: 'FailedGetScale', message: target }],
      rescale: undefined,
      memory: known,
    };
  }
  const { replicas: current = 0 } = target.scale.spec ?? {};
  // The first look counts as a recommendation of what is there: nothing is scaled down at once by a new controller.
  const memory =
    known.recommendations.length === 0
      ? { ...known, recommendations: [{ replicas: current, atMs: state.nowMs }] }
      : known;
  const message = "the HPA controller was able to get the target's current scale";
  const reached = withSaid(state, status, ['AbleToScale', 'True', { reason: 'SucceededGetScale', message }]);
  const minimum = minimumOf(scaler.spec);
  if (current === 0 && minimum > 0) {
    const off = withSaid(state, reached, ['ScalingActive', 'False', disabled]);
    return done(state, { status: off, memory, desired: 0, current, metrics: undefined });
  }
  if (needsMetrics(scaler, target.scale)) return byMetrics(state, target, { status: reached, memory });
  const isAbove = current > scaler.spec.maxReplicas;
  const desired = isAbove ? scaler.spec.maxReplicas : minimum;
  const reason = `Current number of replicas ${isAbove ? 'above Spec.MaxReplicas' : 'below Spec.MinReplicas'}`;
  return done(state, { status: reached, memory, desired, current, metrics: undefined, reason });
}

/** The plan as it is once its target was scaled, or could not be: a text says why. */
export function afterRescale(state: AutoscalerState, plan: AutoscalerPlan, failure?: string): AutoscalerPlan {
  const { rescale, status } = plan;
  if (rescale === undefined) return plan;
  const { from, to, reason } = rescale;
  if (failure !== undefined) {
    const message = `the HPA controller was unable to update the target scale: ${failure}`;
    const text = `New size: ${to}; reason: ${reason}; error: ${failure}`;
    const { desiredReplicas = 0, lastScaleTime } = state.scaler.status ?? {};
    const kept = { ...status, desiredReplicas, lastScaleTime };
    return {
      ...plan,
      rescale: undefined,
      status: withSaid(state, kept, ['AbleToScale', 'False', { reason: 'FailedUpdateScale', message }]),
      events: [...plan.events, { type: 'Warning', reason: 'FailedRescale', message: text }],
    };
  }
  const message = `the HPA controller was able to update the target scale to ${to}`;
  const text = `New size: ${to}; reason: ${reason}`;
  return {
    rescale: undefined,
    status: withSaid(state, status, ['AbleToScale', 'True', { reason: 'SucceededRescale', message }]),
    events: [...plan.events, { type: 'Normal', reason: 'SuccessfulRescale', message: text }],
    memory: withScaled(state.scaler, plan.memory, { from, to, atMs: state.nowMs }),
  };
}

const noMemory: ScaleMemory = { recommendations: [], ups: [], downs: [] };

const disabled: Said = {
  reason: 'ScalingDisabled',
  message: 'scaling is disabled since the replica count of the target is zero',
};

interface Begun {
  readonly status: Status;
  readonly memory: ScaleMemory;
}

function byMetrics(state: AutoscalerState, target: Target, begun: Begun): AutoscalerPlan {
  const { scaler, settings, nowMs } = state;
  const { scale, pods, readings } = target;
  const { replicas: current = 0 } = scale.spec ?? {};
  if (isUnselectable(pods)) return unselectable(state, pods, { ...begun, current });
  const around = {
    ...{ pods, settings, nowMs, specReplicas: current },
    ...{ statusReplicas: scale.status?.replicas ?? 0, tolerances: tolerancesOf(scaler, settings) },
  };
  const namespace = scaler.metadata?.namespace ?? '';
  const proposals = (scaler.spec.metrics ?? []).map((metric, index) =>
    proposeReplicas(metric, readings[index] ?? unread, { namespace, around }),
  );
  const verdict = judge(proposals, current);
  const metrics = proposals.map((one): MetricStatus => (one.kind === 'count' ? one.status : { type: '' }));
  const warned = proposals.flatMap((one): readonly ToTell[] =>
    one.kind === 'count' ? [] : [{ type: 'Warning', reason: one.reason, message: one.text }],
  );
  if (verdict.kind === 'unknown') {
    const status = { ...begun.status, currentReplicas: current, currentMetrics: metrics };
    const events: readonly ToTell[] = [...warned, failedToCompute(verdict.text)];
    const said = withSaid(state, status, ['ScalingActive', 'False', verdict.said]);
    return { status: said, events, rescale: undefined, memory: begun.memory };
  }
  const message = `the HPA was able to successfully calculate a replica count from ${verdict.name}`;
  const active = withSaid(state, begun.status, [
    'ScalingActive',
    'True',
    { reason: 'ValidMetricFound', message },
  ]);
  const limited = limitReplicas(scaler, {
    ...{ currentReplicas: current, desiredReplicas: verdict.replicas },
    ...{ minReplicas: minimumOf(scaler.spec), settings, memory: begun.memory, nowMs },
  });
  const able = withSaid(state, active, ['AbleToScale', 'True', limited.able]);
  const { isLimited, ...why } = limited.limit;
  const status = withSaid(state, able, ['ScalingLimited', isLimited ? 'True' : 'False', why]);
  const reason = reasonOf(verdict, current);
  const { memory, replicas: desired } = limited;
  const plan = done(state, { status, memory, desired, current, metrics, reason });
  return { ...plan, events: [...warned, ...plan.events] };
}

/** Nothing is said of what metrics leave as it is: what was recommended lately may still change it. */
function reasonOf(
  { replicas, name }: Extract<Verdict, { readonly kind: 'known' }>,
  current: number,
): string | undefined {
  if (replicas === current) return undefined;
  return replicas > current ? `${name} above target` : 'All metrics below target';
}

type Verdict =
  | { readonly kind: 'known'; readonly replicas: number; readonly name: string }
  | { readonly kind: 'unknown'; readonly text: string; readonly said: Said };

/** The most that any metric calls for; while one of them is not known, nothing goes. */
function judge(proposals: readonly Proposal[], current: number): Verdict {
  const counts = proposals.flatMap((one) => (one.kind === 'count' ? [one] : []));
  const failures = proposals.flatMap((one) => (one.kind === 'failure' ? [one] : []));
  const [first, ...others] = counts;
  const [failure] = failures;
  const most = others.reduce((a, b) => (b.replicas > (a?.replicas ?? 0) ? b : a), first);
  if (most !== undefined && (failure === undefined || most.replicas >= current))
    return { kind: 'known', replicas: most.replicas, name: most.name };
  const counted = `${failures.length} invalid out of ${proposals.length}`;
  const text = `invalid metrics (${counted}), first error is: ${failure?.whole ?? 'no metrics'}`;
  const message = `the HPA was unable to compute the replica count: ${failure?.text ?? 'no metrics'}`;
  return {
    kind: 'unknown',
    text,
    said: { reason: failure?.reason ?? 'InvalidMetricSourceType', message },
  };
}

function unselectable(
  state: AutoscalerState,
  { reason, text }: Unselectable,
  { status, memory, current }: Begun & { readonly current: number },
): AutoscalerPlan {
  const said: Said =
    reason === 'SelectorRequired'
      ? { reason: 'InvalidSelector', message: "the HPA target's scale is missing a selector" }
      : { reason, message: text };
  const before = { ...status, currentReplicas: current, currentMetrics: undefined };
  return {
    status: withSaid(state, before, ['ScalingActive', 'False', said]),
    events: [{ type: 'Warning', reason, message: text }, failedToCompute(text)],
    rescale: undefined,
    memory,
  };
}

function isUnselectable(pods: Target['pods']): pods is Unselectable {
  return 'reason' in pods;
}

function failedToCompute(message: string): ToTell {
  return { type: 'Warning', reason: 'FailedComputeMetricsReplicas', message };
}

const unread: Reading = { kind: 'failure', text: 'nobody asked for it' };

interface Outcome {
  readonly status: Status;
  readonly memory: ScaleMemory;
  readonly current: number;
  readonly desired: number;
  readonly metrics: readonly MetricStatus[] | undefined;
  readonly reason?: string | undefined;
}

function done(
  { nowMs, scaler }: AutoscalerState,
  { status, memory, current, desired, metrics, reason = '' }: Outcome,
): AutoscalerPlan {
  const isChange = desired !== current;
  return {
    status: {
      ...status,
      observedGeneration: scaler.metadata?.generation,
      currentReplicas: current,
      desiredReplicas: desired,
      currentMetrics: metrics,
      ...(isChange ? { lastScaleTime: formatTime(nowMs) } : {}),
    },
    events: [],
    rescale: isChange ? { from: current, to: desired, reason } : undefined,
    memory,
  };
}

function withSaid(
  { nowMs }: Pick<AutoscalerState, 'nowMs'>,
  status: Status,
  [type, value, said]: readonly [type: string, status: string, said: Said],
): Status {
  const condition: HorizontalPodAutoscalerCondition = { type, status: value, ...said };
  return { ...status, conditions: withCondition(status.conditions, condition, nowMs) };
}

function minimumOf({ minReplicas = 1 }: Autoscaler['spec']): number {
  return minReplicas;
}

function tolerancesOf({ spec: { behavior } }: Autoscaler, { tolerance }: AutoscalerSettings): Tolerances {
  const own = (text: string | undefined): number => {
    const amount = tryParseQuantity(text);
    return amount === undefined ? tolerance : quantityToNumber(amount);
  };
  return { up: own(behavior?.scaleUp?.tolerance), down: own(behavior?.scaleDown?.tolerance) };
}
