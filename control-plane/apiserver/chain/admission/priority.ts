import { at, memberOf, nameOrPrefix, numberOf, stringOf } from '#api/wire/json.ts';
import { withPriority } from '#api/kinds/core/pod-admission.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionContext, AdmissionPlugin } from './admission.ts';
import { makesPod } from './pod.ts';

/** Built-in priority classes (scheduling/v1 SystemPriorityClasses). */
export const systemPriorities: Readonly<Record<string, number>> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};

const priorityClasses = builtIn('scheduling.k8s.io', 'v1', 'priorityclasses');

/** A pod has the priority of its class, or of the one that is for all. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  handles: (attributes) => (makesPod(attributes) ? 'mayWait' : 'no'),
  admit: async (context, { object: pod = {} }) => withPriority(pod, await priorityOf(context, pod)),
};

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
