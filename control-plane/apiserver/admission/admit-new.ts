import { admitCreate } from '#api/admission.ts';
import { at, nameOrPrefix, numberOf, stringOf, memberOf } from '#api/json.ts';
import { kindKey, rulesOf } from '#api/kinds/rules-of.ts';
import type { AdmissionOptions } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/object.ts';
import { forbidden, namespaceTerminating, notFound } from '#api/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { CreateInput } from '#control-plane/apiserver/create.ts';
import { randomSuffix } from '#control-plane/apiserver/name-suffix.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { applyLimitRanges } from './limit-range.ts';

/** Built-in priority classes (scheduling/v1 SystemPriorityClasses). */
export const systemPriorities: Readonly<Record<string, number>> = {
  'system-node-critical': 2_000_001_000,
  'system-cluster-critical': 2_000_000_000,
};

const pods = builtIn('', 'v1', 'pods');
const namespaces = builtIn('', 'v1', 'namespaces');
const serviceAccounts = builtIn('', 'v1', 'serviceaccounts');
const priorityClasses = builtIn('scheduling.k8s.io', 'v1', 'priorityclasses');

/**
 * What has to be known of the rest of the cluster before an object may be made: its namespace is there and stays, a pod's service
 * account and priority class exist, limits hold.
 * @throws {E_API} 403 or 404
 */
export async function admitNew(context: ServerContext, input: CreateInput): Promise<JsonObject> {
  const { kind, namespace, object, user } = input;
  if (kind.namespaced) await checkNamespace(context, input);
  const signed = rulesOf(kind).signRequester?.(object, user) ?? object;
  const admit = particular.get(kindKey(kind));
  return admit === undefined
    ? admitCreate(kind, signed, { storageProtection: false })
    : admit(context, signed, namespace);
}

/** Kinds about which the rest of the cluster is asked, by group and name. */
const particular: ReadonlyMap<
  string,
  (context: ServerContext, object: JsonObject, namespace: string) => Promise<JsonObject>
> = new Map([['/Pod', admitPod]]);

async function admitPod(context: ServerContext, pod: JsonObject, namespace: string): Promise<JsonObject> {
  const admitted = admitCreate(pods, pod, await podOptions(context, pod, namespace));
  return applyLimitRanges(context, namespace, admitted);
}

async function checkNamespace(
  context: ServerContext,
  { kind, namespace, object }: CreateInput,
): Promise<void> {
  const entry = await context.registry.read(namespaces, '', namespace);
  if (entry === undefined) throw notFound(namespaces, namespace);
  if (at(entry.object, 'metadata.deletionTimestamp') === undefined) return;
  throw namespaceTerminating(kind, nameOrPrefix(object), namespace);
}

async function podOptions(
  context: ServerContext,
  pod: JsonObject,
  namespace: string,
): Promise<AdmissionOptions> {
  const isMirror = at(pod, ['metadata', 'annotations', 'kubernetes.io/config.mirror']) !== undefined;
  const hasToken = !isMirror && (await wantsToken(context, pod, namespace));
  const priority = await priorityOf(context, pod);
  return { priority, ...(hasToken ? { tokenVolumeSuffix: randomSuffix() } : {}) };
}

async function wantsToken(context: ServerContext, pod: JsonObject, namespace: string): Promise<boolean> {
  const account = stringOf(at(pod, 'spec.serviceAccountName')) || 'default';
  const entry = await context.registry.read(serviceAccounts, namespace, account);
  if (entry === undefined) {
    const cause = `error looking up service account ${namespace}/${account}: serviceaccount ${JSON.stringify(account)} not found`;
    throw forbidden({ group: '', resource: 'pods' }, nameOrPrefix(pod), cause);
  }
  const own = at(pod, 'spec.automountServiceAccountToken') ?? entry.object['automountServiceAccountToken'];
  return own !== false;
}

async function priorityOf(
  context: ServerContext,
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
