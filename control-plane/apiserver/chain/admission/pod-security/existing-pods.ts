import type { JsonObject, KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type { JudgedPod } from '#api/pod-security/control.ts';
import { evaluate, reasonsText } from '#api/pod-security/evaluate.ts';
import { hasExemptRuntimeClass, type Exemptions } from '#api/pod-security/judge.ts';
import { judgedPodIn } from '#api/pod-security/judged-pod.ts';
import { levelVersionText, type LevelVersion } from '#api/pod-security/policy.ts';
import { typed } from '#api/wire/json.ts';
import { isPodwrightError } from '#base/errors.ts';
import { TimeSlice } from '#base/time-slice.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionContext } from '#control-plane/apiserver/chain/admission/admission.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';

const pods = builtIn('', 'v1', 'pods');

/** Pods of a namespace that are judged when what it asks for changes, and for how long: as upstream's. */
export const podsJudgedMax = 3000;
export const judgingMsMax = 1000;
/** Pods that are read at once. */
const pageLength = 500;

export interface ExistingPods {
  readonly namespace: string;
  /** What they are to be from now on. */
  readonly policy: LevelVersion;
  readonly exemptions: Exemptions;
}

interface Named {
  readonly name: string;
  readonly pod: JudgedPod;
}

/** By reasons: the first pod in order of names, and how many there are. */
export type Tally = ReadonlyMap<string, { readonly name: string; readonly count: number }>;

interface Judged {
  readonly tally: Tally;
  readonly judged: number;
  /** That there are, without exempt ones. */
  readonly total: number;
}

/** What somebody is told who has a namespace ask for more than its pods are: they go on, and no other like them may come. */
export async function existingPodsWarnings(
  context: AdmissionContext,
  asked: ExistingPods,
): Promise<readonly string[]> {
  try {
    return renderWarnings(asked, await judgeExisting(context, asked));
  } catch (error) {
    if (!isPodwrightError(error)) throw error;
    return ['failed to list pods while checking new PodSecurity enforce level'];
  }
}

/** Of each controller's pods first one, for they are much alike; the others as far as there is time. */
async function judgeExisting(
  { registry, clock }: AdmissionContext,
  { namespace, policy, exemptions }: ExistingPods,
): Promise<Judged> {
  const endMs = clock.monotonic() + judgingMsMax;
  const tally = new Map<string, { readonly name: string; readonly count: number }>();
  const controllers = new Set<string>();
  const alike: Named[] = [];
  let [judged, exempt, total] = [0, 0, 0];
  const isOver = (): boolean => judged >= podsJudgedMax || clock.monotonic() >= endMs;
  const judgeOne = ({ name, pod }: Named): void => {
    judged += 1;
    const reasons = reasonsText(evaluate(policy, pod));
    if (reasons === '') return;
    const { name: first = name, count = 0 } = tally.get(reasons) ?? {};
    tally.set(reasons, { name: name < first ? name : first, count: count + 1 });
  };
  for await (const { object, ...page } of readPods(registry, namespace)) {
    total = page.total;
    const pod = judgedPodIn(object, 'spec');
    if (pod === undefined || hasExemptRuntimeClass(exemptions, pod)) {
      exempt += 1;
      continue;
    }
    if (isOver()) break;
    const named = { name: typed<KubeObject>(object).metadata?.name ?? '', pod };
    const owner = controllerRef(typed(object))?.uid;
    if (owner === undefined || !controllers.has(owner)) judgeOne(named);
    else if (alike.length < podsJudgedMax) alike.push(named);
    if (owner !== undefined) controllers.add(owner);
  }
  const slice = new TimeSlice();
  for (const named of alike) {
    if (isOver()) break;
    judgeOne(named);
    if (slice.isOver()) await slice.next();
  }
  return { tally, judged, total: total - exempt };
}

/** The pods of a namespace, some at a time, and how many there are. */
async function* readPods(
  registry: Registry,
  namespace: string,
): AsyncGenerator<{ readonly object: JsonObject; readonly total: number }> {
  const prefix = registry.prefixOf(pods, namespace);
  const slice = new TimeSlice();
  let [from, earlier]: [string | undefined, number] = [prefix, 0];
  while (from !== undefined) {
    const { values, more, remaining } = await registry.range(pods, prefix, { from, limit: pageLength });
    const total = earlier + values.length + remaining;
    for (const value of values) {
      yield { object: registry.objectOf(pods, value), total };
      if (slice.isOver()) await slice.next();
    }
    earlier += values.length;
    const last = values.at(-1);
    from = more && last !== undefined ? `${last.key}\0` : undefined;
  }
}

/** Pure. */
export function renderWarnings(
  { namespace, policy }: ExistingPods,
  { tally, judged, total }: Judged,
): readonly string[] {
  const cut = `new PodSecurity enforce level only checked against the first ${judged} of ${total} existing pods`;
  const head = `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${levelVersionText(policy)}"`;
  return [
    ...(judged < total ? [cut] : []),
    ...(tally.size > 0 ? [head] : []),
    ...[...tally]
      .map(([reasons, { name, count }]) => `${name}${andOthers(count - 1)}: ${reasons}`)
      .toSorted(),
  ];
}

function andOthers(count: number): string {
  return count === 0 ? '' : ` (and ${count} other ${count === 1 ? 'pod' : 'pods'})`;
}
