import { podClaimKeys } from '#api/device/pod-claims.ts';
import type { DeviceTaintRule, Pod, ResourceSlice } from '#api/generated/objects.ts';
import { deviceTaintRules, pods } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { formatTime } from '#api/meta/time.ts';
import { observedCondition } from '#api/pod/observed-condition.ts';
import type { KeyOutcome } from '#base/keyed-queue.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller, type Source } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { planDeviceEviction } from './plan.ts';
import { conditionOf, planRuleStatus, restOf, ruleStatusMs } from './rule-status.ts';
import { factsOf, poolOf, taintsOf, usersOf, watchTaints, type TaintWatch } from './taint-watch.ts';

/** Keys of pods are `namespace/name`. */
const rulePrefix = 'rule:';

/** Ends pods whose devices are not to be used any more: their drivers say so, or somebody by a rule (`hasRules`: these are served). */
export function runDeviceTaintEviction(context: ControllerContext, hasRules = false): Controller {
  const { informers, clock, logger } = context;
  const podInformer = informers.for(pods);
  const watch = watchTaints(informers, hasRules);
  const recorder = context.recorder('device-taint-eviction');
  const evicted = new Evicted(() => clock.now());
  const reconcilePod = async (key: string): Promise<KeyOutcome | undefined> => {
    const pod = podInformer.get(key);
    if (pod === undefined) return undefined;
    const used = podClaimKeys(pod).flatMap((each) => watch.claims.get(each) ?? []);
    const eviction = planDeviceEviction(pod, used, (result) => taintsOf(watch, result));
    if (eviction === undefined) return undefined;
    const afterMs = eviction.atMs - clock.now();
    if (afterMs > 0) return { kind: 'again', afterMs };
    const message = `Marking for deletion: device ${eviction.device} of claim ${eviction.claim} has a NoExecute taint`;
    recorder.record({ kind: pods, object: pod }, 'Normal', 'DeviceTaintManagerEviction', message);
    if (!(await evict(context, pod))) return undefined;
    evicted.note(eviction.rules);
    const lateMs = clock.now() - (eviction.atMs || clock.now());
    context.loopCounts?.add('device_taint_eviction_controller_pod_deletions_total');
    context.loopCounts?.observe(
      'device_taint_eviction_controller_pod_deletion_duration_seconds',
      lateMs / 1000,
    );
    return undefined;
  };
  return runController({
    name: 'device-taint-eviction-controller',
    clock,
    logger,
    sources: [
      source(podInformer, ({ key, old, current }) =>
        current !== undefined &&
        podClaimKeys(current).length > 0 &&
        old?.spec?.nodeName !== current.spec?.nodeName
          ? [key]
          : [],
      ),
      ...taintSources(watch),
      { synced: Promise.resolve(), attach: (enqueue) => evicted.attach(enqueue) },
    ],
    reconcile: (key) =>
      key.startsWith(rulePrefix)
        ? tellRule(context, watch, { name: key.slice(rulePrefix.length), evicted })
        : reconcilePod(key),
  });
}

function taintSources(watch: TaintWatch): readonly Source[] {
  const { claims, slices, rules } = watch;
  const usersOfAll = (): readonly string[] => claims.list().flatMap(usersOf);
  return [
    source(claims, ({ current }) => (current === undefined ? [] : usersOf(current))),
    source(slices, ({ old, current }) =>
      equalJson(taintsIn(old), taintsIn(current))
        ? []
        : [old, current].flatMap((slice) =>
            slice === undefined ? [] : claims.byIndex('devicePool', poolOf(slice)).flatMap(usersOf),
          ),
    ),
    ...(rules === undefined
      ? []
      : [
          // What a rule comes to is said before pods go for it.
          source(rules, ({ key, old, current }) =>
            equalJson(old?.spec, current?.spec) && old?.metadata?.uid === current?.metadata?.uid
              ? []
              : [...(current === undefined ? [] : [`${rulePrefix}${key}`]), ...usersOfAll()],
          ),
        ]),
  ];
}

/** How many pods went for each rule since the start, by its name, and until when its status waits for the cache to see them go. */
class Evicted {
  readonly #now: () => number;
  readonly #counts = new Map<string, { readonly count: number; readonly waitUntilMs: number }>();
  #enqueue: (key: string) => void = () => {};

  constructor(now: () => number) {
    this.#now = now;
  }

  attach(enqueue: (key: string) => void): Disposable {
    this.#enqueue = enqueue;
    return { [Symbol.dispose]: () => void (this.#enqueue = () => {}) };
  }

  note(rules: readonly string[]): void {
    for (const rule of rules) {
      this.#counts.set(rule, { count: this.of(rule) + 1, waitUntilMs: this.#now() + ruleStatusMs });
      this.#enqueue(`${rulePrefix}${rule}`);
    }
  }

  of(rule: string): number {
    return this.#counts.get(rule)?.count ?? 0;
  }

  restOf(rule: string): number {
    return Math.max(0, (this.#counts.get(rule)?.waitUntilMs ?? 0) - this.#now());
  }

  forget(rule: string): void {
    this.#counts.delete(rule);
  }
}

async function tellRule(
  { client, clock, informers }: ControllerContext,
  watch: TaintWatch,
  { name, evicted }: { readonly name: string; readonly evicted: Evicted },
): Promise<KeyOutcome | undefined> {
  const rule = watch.rules?.get(name);
  if (rule === undefined) {
    evicted.forget(name);
    return undefined;
  }
  const known = conditionOf(rule);
  const isTold = known !== undefined && known.observedGeneration === rule.metadata?.generation;
  const afterMs = isTold ? Math.max(restOf(rule, clock.now()), evicted.restOf(name)) : 0;
  if (afterMs > 0) return { kind: 'again', afterMs };
  const facts = factsOf(watch, rule, { pods: informers.for(pods).list(), evicted: evicted.of(name) });
  const told = planRuleStatus(rule, facts, clock.now());
  if (told !== undefined) watch.rules?.observe(await writeStatus(client, told));
  return undefined;
}

function writeStatus(client: ControllerContext['client'], rule: DeviceTaintRule): Promise<DeviceTaintRule> {
  return client.update(deviceTaintRules, rule, { subresource: 'status' });
}

/** So that its controller counts it as disrupted, then away. Whether it was there. */
async function evict({ client, clock }: ControllerContext, pod: Pod): Promise<boolean> {
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const condition = observedCondition(pod, {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByDeviceTaintManager',
    message: 'Device Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: formatTime(clock.now()),
  });
  try {
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
    await client.delete(pods, { namespace, name }, { preconditions: { uid } });
    return true;
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
    return false;
  }
}

function taintsIn(slice: ResourceSlice | undefined): readonly unknown[] {
  return (slice?.spec.devices ?? []).map(({ name, taints }) => [name, taints]);
}
