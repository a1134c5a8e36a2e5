import { kindKey } from '#api/kinds/rules-of.ts';
import { at, memberOf, nameOrPrefix, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import { withPriority } from '#api/kinds/core/pod-admission.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionAttributes, AdmissionContext, AdmissionPlugin } from './admission.ts';
import { makesPod, updatesPod } from './pod.ts';

/** Built-in priority classes (scheduling/v1 SystemPriorityClasses). */
export const systemPriorities: Readonly<Record<string, number>> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};

const priorityClasses = builtIn('scheduling.k8s.io', 'v1', 'priorityclasses');

/** A pod has the priority of its class, or of the one that is for all; one class may be that. What was given once stays. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  handles: (attributes) => {
    if (updatesPod(attributes)) return 'atOnce';
    return makesPod(attributes) || writesClass(attributes) ? 'mayWait' : 'no';
  },
  admit: (context, { attributes, object = {}, old }) => {
    if (updatesPod(attributes)) return withPriorityOf(object, old);
    return makesPod(attributes)
      ? priorityOf(context, object).then((found) => withPriority(object, found))
      : undefined;
  },
  validate: (context, { attributes, object = {} }) =>
    writesClass(attributes) ? checkGlobalDefault(context, object) : undefined,
};

function writesClass({ operation, kind, subresource }: AdmissionAttributes): boolean {
  const isWrite = operation === 'create' || operation === 'update';
  return isWrite && subresource === '' && kindKey(kind) === kindKey(priorityClasses);
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

async function checkGlobalDefault(context: AdmissionContext, object: JsonObject): Promise<void> {
  if (object['globalDefault'] !== true) return;
  const name = nameOrPrefix(object);
  const others = await context.registry.readAll(priorityClasses, '');
  const other = others.find((found) => found['globalDefault'] === true && nameOrPrefix(found) !== name);
  if (other === undefined) return;
  const cause = `PriorityClass ${nameOrPrefix(other)} is already marked as default. Only one default can exist`;
  throw forbidden(priorityClasses, name, cause);
}

async function priorityOf(
  context: AdmissionContext,
  pod: JsonObject,
): Promise<{ readonly value: number; readonly preemptionPolicy: string }> {
  const name = stringOf(at(pod, 'spec.priorityClassName'));
  const fallback = { value: 0, preemptionPolicy: 'PreemptLowerPriority' };
  const system = memberOf(systemPriorities, name);
  if (system !== undefined) return { ...fallback, value: system };
  if (name !== '') {
    const entry = await context.registry.read(priorityClasses, '', name);
    if (entry !== undefined) return classPriority(entry.object);
    throw forbidden(
      { group: '', resource: 'pods' },
      nameOrPrefix(pod),
      `no PriorityClass with name ${name} was found`,
    );
  }
  const classes = await context.registry.readAll(priorityClasses, '');
  const global = classes
    .filter((found) => found['globalDefault'] === true)
    .toSorted((a, b) => numberOf(a['value']) - numberOf(b['value']))[0];
  return global === undefined ? fallback : classPriority(global);
}

function classPriority(found: JsonObject): { readonly value: number; readonly preemptionPolicy: string } {
  const preemptionPolicy = stringOf(found['preemptionPolicy']) || 'PreemptLowerPriority';
  return { value: numberOf(found['value']), preemptionPolicy };
}
