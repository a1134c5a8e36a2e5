import { defaultPodSpec } from './defaults/pod.ts';
import { applyRules, holdersAt } from './defaults/rule.ts';
import { defaultLimits, kindRules } from './defaults/rules.ts';
import { applyWorkloadDefaults } from './defaults/workload.ts';
import { draftOf, objectOf, setOwn, stringMapOf, type Draft } from './json.ts';
import type { Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';

/**
 * A copy of a decoded object with the kind's defaults filled in, for every write (create, update, patch).
 * What depends on the rest of the cluster (addresses, classes, service accounts) is no default: see admission.
 */
export function applyDefaults(kind: Pick<Kind, 'group' | 'kind'>, object: JsonObject): JsonObject {
  const draft = draftOf(object);
  const key = `${kind.group}/${kind.kind}`;
  applyRules(draft, kindRules[key] ?? []);
  applyWorkloadDefaults(key, draft);
  particular[key]?.(draft);
  return draft;
}

/** Defaults that are no rule of one field. */
const particular: Readonly<Record<string, (object: Draft) => void>> = {
  '/Pod': (pod) => holdersAt(pod, 'spec').forEach(defaultPodSpec),
  '/LimitRange': (range) => holdersAt(range, 'spec.limits[]').forEach(defaultLimits),
  '/Namespace': labelNamespace,
  '/Secret': foldStringData,
  '/Service': (service) => holdersAt(service, 'spec').forEach(dropAffinityConfig),
};

/** A configuration that nothing reads would come to life with the next change of the affinity. */
function dropAffinityConfig(spec: Draft): void {
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
}

function labelNamespace(namespace: Draft): void {
  const metadata = objectOf(namespace['metadata']);
  if (typeof metadata['name'] !== 'string' || metadata['name'] === '') return;
  const labels = { ...objectOf(metadata['labels']), 'kubernetes.io/metadata.name': metadata['name'] };
  namespace['metadata'] = { ...metadata, labels };
}

/** stringData is write-only: it ends up in data, over what data says. */
function foldStringData(secret: Draft): void {
  const entries = Object.entries(stringMapOf(secret['stringData']));
  delete secret['stringData'];
  if (entries.length === 0) return;
  const data: Draft = { ...objectOf(secret['data']) };
  for (const [key, text] of entries) setOwn(data, key, new TextEncoder().encode(text).toBase64());
  secret['data'] = data;
}
