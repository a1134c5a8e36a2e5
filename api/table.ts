import { columnFacts } from './facts.ts';
import { at, typed } from './json.ts';
import type { Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';
import { ageOfObject, clusterCells, nameOf } from './table/cluster.ts';
import * as core from './table/core.ts';
import { podCells, podRowConditions } from './table/pod.ts';
import * as workload from './table/workload.ts';

/** A column of a Table (meta.v1.TableColumnDefinition); priority 1 shows with `-o wide` only. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

/** A row of a Table; the caller adds `object`. */
export interface TableRow {
  readonly cells: readonly unknown[];
  readonly conditions?: readonly JsonObject[];
}

/** The columns of a kind's Table; a kind without a printer of its own has Name and Created At. */
export function tableColumns(kind: Pick<Kind, 'group' | 'version' | 'resource'>): readonly TableColumn[] {
  const path = `${kind.group === '' ? '' : kind.group}/${kind.version}/${kind.resource}`;
  const columns = columnFacts().columns[path] ?? [
    ['Name', 'string', 0],
    ['Created At', 'date', 0],
  ];
  return columns.map(([name, type, priority, format]) => ({
    name,
    type,
    format: format ?? (name === 'Name' ? 'name' : ''),
    description: '',
    priority,
  }));
}

/** The cells (and conditions) of one object; `now` is in milliseconds since the epoch. */
export function tableRow(
  kind: Pick<Kind, 'group' | 'version' | 'kind' | 'resource'>,
  object: JsonObject,
  now: number,
): TableRow {
  const key = `${kind.group}/${kind.kind}`;
  const print = printers[key] ?? clusterCells[key];
  const cells = print === undefined ? plainCells(kind, object, now) : print(object, now);
  const conditions = key === '/Pod' ? podRowConditions(typed(object)) : undefined;
  return { cells: cells.map((cell) => cell ?? ''), ...(conditions === undefined ? {} : { conditions }) };
}

/** Every kind that has more to show than its name and age, and does so from its typed form. */
const printers: Readonly<Record<string, (object: JsonObject, now: number) => readonly unknown[]>> = {
  '/Pod': (object, now) => podCells(typed(object), now),
  '/ConfigMap': (object, now) => core.configMapCells(typed(object), now),
  '/Secret': (object, now) => core.secretCells(typed(object), now),
  '/Namespace': (object, now) => core.namespaceCells(typed(object), now),
  '/Service': (object, now) => core.serviceCells(typed(object), now),
  '/Node': (object, now) => core.nodeCells(typed(object), now),
  '/Event': (object, now) => core.eventCells(typed(object), now),
  'events.k8s.io/Event': (object, now) => core.eventCells(typed(coreEventOf(object)), now),
  '/Endpoints': (object, now) => core.endpointsCells(typed(object), now),
  'discovery.k8s.io/EndpointSlice': (object, now) => core.endpointSliceCells(typed(object), now),
  '/PersistentVolume': (object, now) => core.persistentVolumeCells(typed(object), now),
  '/PersistentVolumeClaim': (object, now) => core.persistentVolumeClaimCells(typed(object), now),
  '/ResourceQuota': (object, now) => core.resourceQuotaCells(typed(object), now),
  '/PodTemplate': (object) => workload.podTemplateCells(typed(object)),
  '/ReplicationController': (object, now) => workload.replicationControllerCells(typed(object), now),
  'apps/Deployment': (object, now) => workload.deploymentCells(typed(object), now),
  'apps/ReplicaSet': (object, now) => workload.replicaSetCells(typed(object), now),
  'apps/StatefulSet': (object, now) => workload.statefulSetCells(typed(object), now),
  'apps/DaemonSet': (object, now) => workload.daemonSetCells(typed(object), now),
  'apps/ControllerRevision': (object, now) => workload.controllerRevisionCells(typed(object), now),
  'batch/Job': (object, now) => workload.jobCells(typed(object), now),
  'batch/CronJob': (object, now) => workload.cronJobCells(typed(object), now),
  'policy/PodDisruptionBudget': (object, now) => workload.disruptionBudgetCells(typed(object), now),
  'autoscaling/HorizontalPodAutoscaler': (object, now) => workload.autoscalerCells(typed(object), now),
  'autoscaling/Scale': (scale, now) => [
    nameOf(scale),
    at(scale, 'spec.replicas') ?? 0,
    at(scale, 'status.replicas') ?? 0,
    ageOfObject(scale, now),
  ],
};

/** A kind without a printer: its name, then its age, or its timestamp where the column is a date. */
function plainCells(
  kind: Pick<Kind, 'group' | 'version' | 'resource'>,
  object: JsonObject,
  now: number,
): readonly unknown[] {
  return tableColumns(kind).map(({ name, type }) => {
    if (name === 'Name') return nameOf(object);
    if (type === 'date') return at(object, 'metadata.creationTimestamp');
    return name === 'Age' ? ageOfObject(object, now) : '';
  });
}

/** An events.k8s.io Event under the names of the core one. */
function coreEventOf(event: JsonObject): JsonObject {
  return {
    ...event,
    involvedObject: event['regarding'] ?? {},
    message: event['note'],
    source: event['deprecatedSource'],
    firstTimestamp: event['deprecatedFirstTimestamp'],
    lastTimestamp: event['deprecatedLastTimestamp'],
    count: event['deprecatedCount'],
    reportingComponent: event['reportingController'],
  };
}
