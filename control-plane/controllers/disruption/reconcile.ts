import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import {
  deployments,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '#api/schema/kind-ref.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import type { Pod, PodDisruptionBudget } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { formatTime } from '#api/meta/time.ts';
import { goSelector } from '#api/meta/go-selector.ts';
import { observedCondition } from '#api/pod/observed-condition.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import type { Informer } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import { ownKey, runController, source, type Controller, type Source } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byLabel, selectedIn } from '#control-plane/controllers/pods/by-label.ts';
import { byNamespace } from '#control-plane/controllers/pods/owner-keys.ts';
import { createScaleAsker } from './asked-scales.ts';
import { FirstSeen } from './first-seen.ts';
import {
  awaitedTarget,
  goesByScales,
  planBudget,
  severalText,
  staleTargetMs,
  type AskedScales,
  type BudgetPlan,
} from './plan.ts';
import { createScaleFinder, type ScaleCaches } from './scale-finder.ts';

const askAgainMs = 15_000;
const noScales: AskedScales = new Map();

/** Keeps the status of disruption budgets, which the eviction subresource spends. */
export function runDisruptionBudgets(context: ControllerContext): Controller {
  const { informers, clock, logger, client } = context;
  const budgets = informers.for(podDisruptionBudgets, { indexes: { namespace: byNamespace } });
  const podInformer = informers.for(pods, { indexes: { label: byLabel } });
  const caches: ScaleCaches = {
    deployments: informers.for(deployments),
    replicaSets: informers.for(replicaSets),
    statefulSets: informers.for(statefulSets),
    replicationControllers: informers.for(replicationControllers),
  };
  const asker = createScaleAsker(client, clock);
  const recorder = context.recorder('controllermanager');
  const firstSeen = new FirstSeen(clock);

  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const budget = budgets.get(key);
    if (budget === undefined) return firstSeen.forget(key);
    const { spec, metadata } = budget;
    const near = podInformer.byIndex(
      'label',
      selectedIn(metadata?.namespace, labelSelectorFromObject(spec?.selector)),
    );
    const covered = near.filter((pod) => covers(budget, pod));
    const asked = goesByScales(budget) ? await asker.ask(covered) : noScales;
    const scaleOf = createScaleFinder(caches, asked);
    const waited = firstSeen.waited(key, budget.status?.disruptedPods ?? {});
    const plan = planBudget({ budget, pods: covered, scaleOf, waited, nowMs: clock.now() });
    tellOf(recorder, budget, { plan, podCount: covered.length });
    if (!equalJson(plan.status, budget.status)) {
      try {
        const next = { ...budget, status: plan.status };
        budgets.observe(await client.update(podDisruptionBudgets, next, { subresource: 'status' }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    // Nobody tells when a kind, or an owner, that was asked for in vain is there.
    const againMs = plan.againMs ?? (plan.failure === undefined || asked.size === 0 ? undefined : askAgainMs);
    return againMs === undefined ? undefined : { kind: 'again', afterMs: againMs };
  };
  const covering = (pod: Pod | undefined): readonly PodDisruptionBudget[] =>
    pod === undefined
      ? []
      : budgets.byIndex('namespace', pod.metadata?.namespace ?? '').filter((budget) => covers(budget, pod));
  const tellOfSeveral = (pod: Pod, covered: readonly PodDisruptionBudget[]): void => {
    const message = severalText(pod, covered);
    if (message !== undefined)
      recorder.record({ kind: pods, object: pod }, 'Warning', 'MultiplePodDisruptionBudgets', message);
  };
  return runController({
    name: 'disruption-controller',
    clock,
    logger,
    sources: [
      ownKey(budgets),
      source(podInformer, ({ old, current }) => {
        const now = covering(current);
        if (current !== undefined) tellOfSeveral(current, now);
        return new Set([...covering(old), ...now].map(objectKey));
      }),
      scaleSource(budgets, caches.deployments),
      scaleSource(budgets, caches.replicaSets),
      scaleSource(budgets, caches.statefulSets),
      scaleSource(budgets, caches.replicationControllers),
    ],
    reconcile,
  });
}

/** Says in Events what keeps a budget from being right. */
function tellOf(
  recorder: EventRecorder,
  budget: PodDisruptionBudget,
  { plan, podCount }: { readonly plan: BudgetPlan; readonly podCount: number },
): void {
  const regarding = { kind: podDisruptionBudgets, object: budget };
  if (podCount === 0) recorder.record(regarding, 'Normal', 'NoPods', 'No matching pods found');
  if (plan.noController !== undefined)
    recorder.record(regarding, 'Warning', 'NoControllers', plan.noController);
  if (plan.failure !== undefined) {
    const message = `Failed to calculate the number of expected pods: ${plan.failure}`;
    recorder.record(regarding, 'Warning', 'CalculateExpectedPodCountFailed', message);
  }
  if (plan.unmanaged.length > 0)
    recorder.record(regarding, 'Warning', 'UnmanagedPods', unmanagedText(budget));
  for (const pod of plan.notDeleted) {
    const message = `Pod was expected by PDB ${objectKey(budget)} to be deleted but it wasn't`;
    recorder.record({ kind: pods, object: pod }, 'Warning', 'NotDeleted', message);
  }
}

/** Takes DisruptionTarget back from pods whose deletion did not come. */
export function runStaleDisruptions({ informers, client, clock, logger }: ControllerContext): Controller {
  const podInformer = informers.for(pods);
  const firstSeen = new FirstSeen(clock);
  return runController({
    name: 'stale-disruption-controller',
    clock,
    logger,
    sources: [
      source(podInformer, ({ key, current }) =>
        current !== undefined && awaitedTarget(current) !== undefined ? [key] : [],
      ),
    ],
    reconcile: async (key) => {
      const pod = podInformer.get(key);
      const target = pod === undefined ? undefined : awaitedTarget(pod);
      if (pod === undefined || target === undefined) return firstSeen.forget(key);
      const leftMs = staleTargetMs - (firstSeen.waited(key, { target }).get('target') ?? 0);
      if (leftMs > 0) return { kind: 'again', afterMs: leftMs };
      const { namespace, name = '', uid } = pod.metadata ?? {};
      const lastTransitionTime = formatTime(clock.now());
      const condition = observedCondition(pod, {
        type: 'DisruptionTarget',
        status: 'False',
        reason: null,
        message: null,
        lastTransitionTime,
      });
      const body = { metadata: { uid }, status: { conditions: [condition] } };
      try {
        await client.patch(pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      return undefined;
    },
  });
}

function unmanagedText({ spec }: PodDisruptionBudget): string {
  return (
    `Pods selected by this PodDisruptionBudget (selector: ${goSelector(spec?.selector)}) were found to be unmanaged. ` +
    'As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. ' +
    'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
  );
}

/** policy/v1: an empty selector covers every pod of the namespace, none covers no pod. */
function covers({ spec }: PodDisruptionBudget, pod: Pod): boolean {
  return (
    spec?.selector !== undefined &&
    matchesLabels(labelSelectorFromObject(spec.selector), pod.metadata?.labels)
  );
}

/** What is scaled changes the budgets of its namespace. */
function scaleSource<
  T extends KubeObject & { readonly spec?: { readonly replicas?: number | undefined } | undefined },
>(budgets: WritableInformer<PodDisruptionBudget>, scaled: Informer<T>): Source {
  return source(scaled, ({ old, current }) =>
    old?.spec?.replicas === current?.spec?.replicas
      ? []
      : budgets.byIndex('namespace', (current ?? old)?.metadata?.namespace ?? '').map(objectKey),
  );
}
