import * as kinds from '#api/schema/kind-ref.ts';
import type {
  DaemonSet,
  Deployment,
  DeploymentCondition,
  EndpointSlice,
  Job,
  Pod,
  PodGroup,
  ResourceQuota,
  Service,
  StatefulSet,
} from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { isActive, isPodReady, isTerminal } from '#api/pod/state.ts';
import { definitionName, ownPlurals } from '#test/simulation/users/own-kinds.ts';
import type { SimulatedCluster } from '#test/simulation/world/cluster.ts';
import type { Held, Ledger } from './ledger.ts';

const serviceLabel = 'kubernetes.io/service-name';

/** What is not yet as users asked for it; empty: the cluster is at rest. */
export function unrestOf(cluster: SimulatedCluster): readonly string[] {
  const { ledger } = cluster.judge;
  return [
    ...ledger.all('namespaces').flatMap((one) => (isGoing(one) ? [`${one.key} goes and is not gone`] : [])),
    ...ledger.all('deployments').flatMap((one) => deploymentUnrest(one, ledger)),
    ...ledger.all('statefulsets').flatMap((one) => statefulSetUnrest(one)),
    ...ledger.all('daemonsets').flatMap((one) => daemonSetUnrest(one)),
    ...ledger.all('jobs').flatMap((one) => jobUnrest(one, ledger)),
    ...ledger.all('pods').flatMap((one) => podUnrest(one, cluster)),
    ...ledger.all('resourcequotas').flatMap((one) => quotaUnrest(one, ledger)),
    ...ledger.all('services').flatMap((one) => serviceUnrest(one, ledger)),
    ...ledger.all('podgroups').flatMap((one) => gangUnrest(one, ledger)),
    ...ledger.all('customresourcedefinitions').flatMap((one) => (isGoing(one) ? [`${one.key} goes`] : [])),
    ...orphans(ledger),
    ...nodeUnrest(cluster),
  ];
}

const cached = [
  [kinds.pods, 'pods'],
  [kinds.nodes, 'nodes'],
  [kinds.services, 'services'],
  [kinds.deployments, 'deployments'],
  [kinds.replicaSets, 'replicasets'],
  [kinds.statefulSets, 'statefulsets'],
  [kinds.daemonSets, 'daemonsets'],
  [kinds.controllerRevisions, 'controllerrevisions'],
  [kinds.jobs, 'jobs'],
  [kinds.podDisruptionBudgets, 'poddisruptionbudgets'],
  [kinds.resourceQuotas, 'resourcequotas'],
  [kinds.namespaces, 'namespaces'],
  [kinds.podGroups, 'podgroups'],
] as const;

/** Where a cache of the loops is other than the disc. */
export function staleCaches(cluster: SimulatedCluster): readonly string[] {
  const { loopInformers, judge } = cluster;
  if (loopInformers === undefined) return [];
  return cached.flatMap(([kind, resource]) => {
    const cache = loopInformers.for<{
      readonly metadata?: {
        readonly name?: string;
        readonly namespace?: string;
        readonly resourceVersion?: string;
      };
    }>(kind as never);
    const have = cache
      .list()
      .map(
        ({ metadata: { name, namespace, resourceVersion } = {} }) =>
          `${namespace ?? ''}/${name} ${resourceVersion}`,
      );
    const want = judge.ledger
      .all(resource)
      .map(({ metadata: { name, namespace }, revision }) => `${namespace ?? ''}/${name} ${revision}`);
    const lacks = want.filter((one) => !have.includes(one));
    const more = have.filter((one) => !want.includes(one));
    return [
      ...lacks.map((one) => `a cache of ${resource} lacks ${one}`),
      ...more.map((one) => `a cache of ${resource} has ${one}, which is not there`),
    ];
  });
}

function isGoing({ metadata }: Held): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** More than the room that a quota or the nodes leave nobody gets. */
function isShort({ metadata }: Held, ledger: Ledger): boolean {
  return ledger.all('resourcequotas').some((quota) => quota.metadata.namespace === metadata.namespace);
}

/** Of one that was complete and then wants more there is no deadline: it is not said to have failed (deployment/util's DeploymentTimedOut). */
function hasGivenUp(progress: DeploymentCondition | undefined): boolean {
  return progress?.status === 'False' || progress?.reason === 'NewReplicaSetAvailable';
}

function deploymentUnrest(held: Held, ledger: Ledger): readonly string[] {
  const { spec, status, metadata } = held.object as Deployment;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    return [`${held.key} was not looked at`];
  const want = spec?.replicas ?? 1;
  // The last that is written of one that does not come to be.
  const progress = findCondition(status?.conditions, 'Progressing');
  const isAll = (status?.availableReplicas ?? 0) >= want && (status?.updatedReplicas ?? 0) >= want;
  if (isShort(held, ledger)) return isAll || hasGivenUp(progress) ? [] : [`${held.key} has not given up yet`];
  return status?.availableReplicas === want || want === 0
    ? (status?.replicas ?? 0) === want
      ? []
      : [`${held.key} has ${status?.replicas} of ${want} pods`]
    : [`${held.key} has ${status?.availableReplicas ?? 0} of ${want} available pods`];
}

function statefulSetUnrest(held: Held): readonly string[] {
  const { spec, status, metadata } = held.object as StatefulSet;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    return [`${held.key} was not looked at`];
  const want = spec?.replicas ?? 1;
  return (status?.replicas ?? 0) <= want ? [] : [`${held.key} has ${status?.replicas} of ${want} pods`];
}

function daemonSetUnrest(held: Held): readonly string[] {
  const { status, metadata } = held.object as DaemonSet;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  return (status?.observedGeneration ?? 0) < (metadata?.generation ?? 0)
    ? [`${held.key} was not looked at`]
    : [];
}

function jobUnrest(held: Held, ledger: Ledger): readonly string[] {
  const { spec, status } = held.object as Job;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  const done = status?.conditions?.some(
    ({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True',
  );
  if (done === true) {
    const isMany = (status?.succeeded ?? 0) > (spec?.completions ?? 1);
    return isMany ? [`${held.key} has ${status?.succeeded} of ${spec?.completions} completions`] : [];
  }
  if (spec?.suspend === true) return [];
  return isShort(held, ledger) ? [] : [`${held.key} is not done`];
}

/** What it says is used is what is there. */
function quotaUnrest(held: Held, ledger: Ledger): readonly string[] {
  const { status } = held.object as ResourceQuota;
  const used = Number(status?.used?.['count/pods'] ?? 0);
  const { length } = podsIn(ledger, held.metadata.namespace);
  return used === length ? [] : [`${held.key} says ${used} pods are used, of ${length}`];
}

/** Its addresses are those of the pods that are ready. */
function serviceUnrest(held: Held, ledger: Ledger): readonly string[] {
  const { namespace, name = '' } = held.metadata;
  const app = (held.object as Service).spec?.selector?.['app'];
  if (app === undefined) return [];
  const want = podsIn(ledger, namespace)
    .filter((pod) => pod.metadata?.labels?.['app'] === app && isActive(pod) && isPodReady(pod))
    .map(({ status }) => status?.podIP ?? '');
  const have = ledger
    .all('endpointslices')
    .filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[serviceLabel] === name)
    .flatMap(({ object }) => (object as unknown as EndpointSlice).endpoints ?? [])
    .flatMap(({ addresses, conditions }) => (conditions?.ready === true ? addresses : []));
  const [more, less] = [have.filter((ip) => !want.includes(ip)), want.filter((ip) => !have.includes(ip))];
  return more.length + less.length === 0
    ? []
    : [`${held.key} leads to ${have.join(', ') || 'nobody'}, and not to ${want.join(', ') || 'nobody'}`];
}

/** So many as it asks for are on nodes, or none of them; who comes later than that may wait for room. */
function gangUnrest(held: Held, ledger: Ledger): readonly string[] {
  const least = (held.object as unknown as PodGroup).spec.schedulingPolicy.gang?.minCount ?? 0;
  const pods = podsIn(ledger, held.metadata.namespace).filter(
    (pod) => pod.spec?.schedulingGroup?.podGroupName === held.metadata.name && isActive(pod),
  );
  // It is kept while it has pods.
  if (isGoing(held)) return pods.length > 0 ? [] : [`${held.key} goes and is not gone`];
  const { length } = pods.filter(isOnNode);
  return length === 0 || length >= least || pods.length < least
    ? []
    : [`${held.key} has ${length} pods on nodes, and wants ${least} of ${pods.length} or none`];
}

function podsIn(ledger: Ledger, namespace: string | undefined): readonly Pod[] {
  return ledger
    .all('pods')
    .filter(({ metadata }) => metadata.namespace === namespace)
    .map(({ object }) => object as Pod);
}

function isOnNode({ spec }: Pod): boolean {
  return (spec?.nodeName ?? '') !== '';
}

function podUnrest(held: Held, cluster: SimulatedCluster): readonly string[] {
  const pod = held.object as Pod;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  if (isTerminal(pod)) return [];
  if (pod.spec?.schedulingGroup !== undefined && !isOnNode(pod)) return []; // With its gang.
  const node = cluster.nodes.find(({ name }) => name === pod.spec?.nodeName);
  if (node === undefined) return [`${held.key} is on no node`];
  const runs = node.runtime
    .observe(held.metadata.uid ?? '')
    ?.containers.some(({ state }) => state.state === 'running');
  if (runs !== true) return [`${held.key} is ${pod.status?.phase} and does not run`];
  return isActive(pod) && !isPodReady(pod) ? [`${held.key} runs and is not ready`] : [];
}

/** Whose owner is gone. */
function orphans(ledger: Ledger): readonly string[] {
  const uids = new Set<string>();
  for (const { metadata } of ledger.everything()) if (metadata.uid !== undefined) uids.add(metadata.uid);
  const found: string[] = [];
  for (const held of ledger.everything()) {
    const { key, metadata } = held;
    const { ownerReferences = [] } = metadata;
    const isOrphan = ownerReferences.length > 0 && ownerReferences.every(({ uid }) => !uids.has(uid));
    if (isOrphan) found.push(`${key} outlives its owner`);
    const { namespace } = metadata;
    if (isUndefined(held, ledger)) found.push(`${key} outlives its definition`);
    if (namespace !== undefined && ledger.get(`/registry/namespaces/${namespace}`) === undefined)
      found.push(`${key} outlives its namespace`);
  }
  return found;
}

function isUndefined({ resource }: Held, ledger: Ledger): boolean {
  if (!ownPlurals.includes(resource)) return false;
  const name = definitionName(resource);
  return !ledger.all('customresourcedefinitions').some(({ metadata }) => metadata.name === name);
}

/** Pods that run and are not there any more. */
function nodeUnrest({ nodes, judge: { ledger } }: SimulatedCluster): readonly string[] {
  const uids = new Set(ledger.all('pods').map(({ metadata }) => metadata.uid));
  return nodes.flatMap(({ name, runtime }) =>
    runtime
      .observeAll()
      .filter(({ uid }) => !uids.has(uid))
      .map((pod) => `${name} keeps ${pod.namespace}/${pod.name}, which is gone`),
  );
}
