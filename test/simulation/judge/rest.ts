import * as kinds from '#api/schema/kind-ref.ts';
import type { DaemonSet, Deployment, Job, Pod, StatefulSet } from '#api/generated/objects.ts';
import { isActive, isPodReady, isTerminal } from '#api/pod/state.ts';
import type { SimulatedCluster } from '#test/simulation/world/cluster.ts';
import type { Held, Ledger } from './ledger.ts';

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
    ...orphans(ledger),
    ...nodeUnrest(cluster),
  ];
}

/** Where a cache of the loops is other than the disc. */
export function staleCaches(cluster: SimulatedCluster): readonly string[] {
  const { loopInformers, judge } = cluster;
  if (loopInformers === undefined) return [];
  const watched = [
    [kinds.pods, 'pods'],
    [kinds.deployments, 'deployments'],
    [kinds.replicaSets, 'replicasets'],
    [kinds.statefulSets, 'statefulsets'],
    [kinds.daemonSets, 'daemonsets'],
    [kinds.jobs, 'jobs'],
    [kinds.podDisruptionBudgets, 'poddisruptionbudgets'],
    [kinds.namespaces, 'namespaces'],
  ] as const;
  return watched.flatMap(([kind, resource]) => {
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

function deploymentUnrest(held: Held, ledger: Ledger): readonly string[] {
  const { spec, status, metadata } = held.object as Deployment;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    return [`${held.key} was not looked at`];
  const want = spec?.replicas ?? 1;
  if (isShort(held, ledger)) return [];
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
  return isShort(held, ledger) ? [] : [`${held.key} is not done`];
}

function podUnrest(held: Held, cluster: SimulatedCluster): readonly string[] {
  const pod = held.object as Pod;
  if (isGoing(held)) return [`${held.key} goes and is not gone`];
  if (isTerminal(pod)) return [];
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
  for (const { key, metadata } of ledger.everything()) {
    const { ownerReferences = [] } = metadata;
    const isOrphan = ownerReferences.length > 0 && ownerReferences.every(({ uid }) => !uids.has(uid));
    if (isOrphan) found.push(`${key} outlives its owner`);
    const { namespace } = metadata;
    if (namespace !== undefined && ledger.get(`/registry/namespaces/${namespace}`) === undefined)
      found.push(`${key} outlives its namespace`);
  }
  return found;
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
