import { at, memberOf, nameOrPrefix, numberOf, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import { withPriority } from '#api/kinds/core/pod-admission.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionPlugin,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { makes, writes } from '#control-plane/apiserver/chain/admission/made.ts';
import { podGroups } from '#control-plane/apiserver/chain/admission/groups/pod-group-workload-exists.ts';
import { makesPod, pods, updatesPod } from './pod.ts';

/** Built-in priority classes (scheduling/v1 SystemPriorityClasses). */
export const systemPriorities: Readonly<Record<string, number>> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};

const priorityClasses = builtIn('scheduling.k8s.io', 'v1', 'priorityclasses');

/** A pod, or a PodGroup, has the priority of its class, or of the one that is for all; one class may be that. What was given once stays. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  handles: (attributes) => {
    if (updatesPod(attributes)) return 'atOnce';
    return makesPod(attributes) || makes(podGroups, attributes) || writesClass(attributes) ? 'mayWait' : 'no';
  },
  admit: (context, { attributes, object = {}, old }) => {
    if (updatesPod(attributes)) return withPriorityOf(object, old);
    if (makes(podGroups, attributes))
      return priorityOf(context, object, podGroups).then((found) => prioritizedGroup(object, found));
    return makesPod(attributes)
      ? priorityOf(context, object, pods).then((found) => prioritized(object, found))
      : undefined;
  },
  validate: (context, { attributes, object = {} }) =>
    writesClass(attributes) ? checkGlobalDefault(context, attributes, object) : undefined,
};

function writesClass(attributes: AdmissionAttributes): boolean {
  return writes(priorityClasses, attributes);
}

/** An updated pod with the priority that it had, where the update does not name one. */
function withPriorityOf(pod: JsonObject, old: JsonObject | undefined): JsonObject {
  const spec = objectOf(pod['spec']);
  const before = objectOf(at(old, 'spec'));
  const kept = (['priority', 'preemptionPolicy'] as const).filter(
    (field) => spec[field] === undefined && before[field] !== undefined,
  );
  if (kept.length === 0) return pod;
  return { ...pod, spec: { ...spec, ...Object.fromEntries(kept.map((field) => [field, before[field]])) } };
}

/** One class is for all; of several that a race left, the one of the lowest value is, and may be written. */
async function checkGlobalDefault(
  context: AdmissionContext,
  { operation }: AdmissionAttributes,
  object: JsonObject,
): Promise<void> {
  if (object['globalDefault'] !== true) return;
  const name = nameOrPrefix(object);
  const found = await globalDefault(context);
  if (found === undefined || (operation === 'update' && nameOrPrefix(found) === name)) return;
  const cause = `PriorityClass ${nameOrPrefix(found)} is already marked as default. Only one default can exist`;
  throw forbidden(priorityClasses, name, cause);
}

async function globalDefault({ registry }: AdmissionContext): Promise<JsonObject | undefined> {
  const classes = await registry.readAll(priorityClasses, '');
  return classes
    .filter((found) => found['globalDefault'] === true)
    .toSorted((a, b) => numberOf(a['value']) - numberOf(b['value']))[0];
}

/** What a class says, and its name, which is '' where there is none. */
interface PodPriority {
  readonly name: string;
  readonly value: number;
  readonly preemptionPolicy: string;
}

/** The pod with its class and what that says. Pure. @throws {E_API} 403 where it says something else itself */
export function prioritized(pod: JsonObject, { name, ...priority }: PodPriority): JsonObject {
  const spec = objectOf(pod['spec']);
  const { priority: value, preemptionPolicy: policy } = spec;
  const refuse = (what: string, computed: string | number): Error =>
    forbidden(
      pods,
      nameOrPrefix(pod),
      `the ${what} must not be provided in pod spec; priority admission controller computed ${computed} from the given PriorityClass name`,
    );
  if (value !== undefined && value !== priority.value)
    throw refuse(`integer value of priority (${numberOf(value)})`, priority.value);
  if (policy !== undefined && policy !== priority.preemptionPolicy)
    throw refuse(`string value of PreemptionPolicy (${stringOf(policy)})`, priority.preemptionPolicy);
  return withPriority(name === '' ? pod : withPath(pod, 'spec.priorityClassName', name), priority);
}

/** A PodGroup with the priority of its class, which its pods need not have. Pure. @throws {E_API} 403 where it says another itself */
function prioritizedGroup(group: JsonObject, { name, value }: PodPriority): JsonObject {
  const given = at(group, 'spec.priority');
  if (given !== undefined && given !== value)
    throw forbidden(
      podGroups,
      nameOrPrefix(group),
      `the integer value of priority (${numberOf(given)}) must not be provided in pod group spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  const prioritized = withPath(group, 'spec.priority', value);
  return name === '' ? prioritized : withPath(prioritized, 'spec.priorityClassName', name);
}

/** By the class that a pod or PodGroup names, or the one that is for all. */
async function priorityOf(context: AdmissionContext, object: JsonObject, kind: Kind): Promise<PodPriority> {
  const name = stringOf(at(object, 'spec.priorityClassName'));
  const fallback = { name, value: 0, preemptionPolicy: 'PreemptLowerPriority' };
  const system = memberOf(systemPriorities, name);
  if (system !== undefined) return { ...fallback, value: system };
  if (name === '') {
    const found = await globalDefault(context);
    return found === undefined ? fallback : classPriority(found);
  }
  const entry = await context.registry.read(priorityClasses, '', name);
  if (entry !== undefined) return classPriority(entry.object);
  throw forbidden(kind, nameOrPrefix(object), `no PriorityClass with name ${name} was found`);
}

function classPriority(found: JsonObject): PodPriority {
  const preemptionPolicy = stringOf(found['preemptionPolicy']) || 'PreemptLowerPriority';
  return { name: nameOrPrefix(found), value: numberOf(found['value']), preemptionPolicy };
}
