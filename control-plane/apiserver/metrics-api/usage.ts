import { at, isObject, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/*
 * Objects of metrics.k8s.io/v1beta1, of what nodes say of themselves in /stats/summary.
 */

export const metricsGroup = 'metrics.k8s.io';
export const metricsVersion = 'v1beta1';
const apiVersion = `${metricsGroup}/${metricsVersion}`;
/** Over which CPU was counted: a node keeps samples that long. */
const window = '10s';
const verbs = ['get', 'list'];

/** What its discovery document lists. */
export const metricsResources: readonly JsonObject[] = [
  { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs },
  { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs },
];

/** NodeMetrics; undefined where the node does not say. */
export function nodeMetrics(node: JsonObject, summary: JsonObject | undefined): JsonObject | undefined {
  const own = objectOf(summary?.['node']);
  const usage = usageOf(own);
  return (
    usage && {
      kind: 'NodeMetrics',
      apiVersion,
      metadata: metadataOf(node, own),
      timestamp: timeOf(own),
      window,
      usage,
    }
  );
}

/** PodMetrics of a pod that runs; undefined where its node does not say it of each of its containers. */
export function podMetrics(pod: JsonObject, summary: JsonObject | undefined): JsonObject | undefined {
  const uid = at(pod, 'metadata.uid');
  const own = objectsOf(summary?.['pods']).find((each) => at(each, 'podRef.uid') === uid);
  const containers = objectsOf(own?.['containers']).map((container) => {
    const usage = usageOf(container);
    return usage && { name: stringOf(container['name']), usage };
  });
  const [first] = objectsOf(own?.['containers']);
  if (first === undefined || containers.some((each) => each === undefined)) return undefined;
  return {
    ...{ kind: 'PodMetrics', apiVersion, metadata: metadataOf(pod, first), timestamp: timeOf(first) },
    ...{ window, containers },
  };
}

/** A list of them. */
export function metricsList(kind: 'NodeMetrics' | 'PodMetrics', items: readonly JsonObject[]): JsonObject {
  const shown = items.map(({ kind: _kind, apiVersion: _version, ...rest }) => rest);
  return { kind: `${kind}List`, apiVersion, metadata: {}, items: shown };
}

function metadataOf(object: JsonObject, subject: JsonObject): JsonObject {
  const { name, namespace, labels } = objectOf(object['metadata']);
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    creationTimestamp: timeOf(subject),
    ...(isObject(labels) ? { labels: stringMapOf(labels) } : {}),
  };
}

function timeOf(subject: JsonObject): string {
  return stringOf(at(subject, 'memory.time') ?? at(subject, 'cpu.time')).replace(/\.\d+Z$/, 'Z');
}

function usageOf(subject: JsonObject): JsonObject | undefined {
  const cores = at(subject, 'cpu.usageNanoCores');
  const bytes = at(subject, 'memory.workingSetBytes');
  if (typeof cores !== 'number' || typeof bytes !== 'number') return undefined;
  return { cpu: `${Math.round(cores)}n`, memory: `${Math.round(bytes / 1024)}Ki` };
}
