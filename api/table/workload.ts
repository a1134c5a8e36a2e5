import { formatAge } from '#api/meta/age.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type {
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  HorizontalPodAutoscaler,
  Job,
  PodDisruptionBudget,
  PodTemplate,
  PodTemplateSpec,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '#api/generated/objects.ts';
import { age, containerImages, containerNames, labelText, none, selectorText, unknown } from './text.ts';

/** Cells of a deployment. */
export function deploymentCells({ metadata, spec, status }: Deployment, now: number): readonly unknown[] {
  return [
    metadata?.name,
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    status?.updatedReplicas ?? 0,
    status?.availableReplicas ?? 0,
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

/** Cells of a replica set. */
export function replicaSetCells({ metadata, spec, status }: ReplicaSet, now: number): readonly unknown[] {
  return [
    metadata?.name,
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

/** Cells of a replication controller. */
export function replicationControllerCells(
  { metadata, spec, status }: ReplicationController,
  now: number,
): readonly unknown[] {
  return [
    metadata?.name,
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.template),
    labelText(spec?.selector),
  ];
}

/** Cells of a stateful set. */
export function statefulSetCells({ metadata, spec, status }: StatefulSet, now: number): readonly unknown[] {
  return [
    metadata?.name,
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.template),
  ];
}

/** Cells of a daemon set. */
export function daemonSetCells({ metadata, spec, status }: DaemonSet, now: number): readonly unknown[] {
  return [
    metadata?.name,
    status?.desiredNumberScheduled ?? 0,
    status?.currentNumberScheduled ?? 0,
    status?.numberReady ?? 0,
    status?.updatedNumberScheduled ?? 0,
    status?.numberAvailable ?? 0,
    labelText(spec?.template.spec?.nodeSelector),
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

/** Cells of a job. */
export function jobCells(job: Job, now: number): readonly unknown[] {
  const { metadata, spec } = job;
  return [
    metadata?.name,
    jobStatus(job),
    jobCompletions(job),
    jobDuration(job, now),
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

/** Cells of a cron job. */
export function cronJobCells({ metadata, spec, status }: CronJob, now: number): readonly unknown[] {
  const lastSchedule = status?.lastScheduleTime;
  return [
    metadata?.name,
    spec?.schedule,
    spec?.timeZone ?? none,
    spec?.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False',
    status?.active?.length ?? 0,
    lastSchedule === undefined ? none : age(lastSchedule, now),
    age(metadata?.creationTimestamp, now),
    ...templateCells(spec?.jobTemplate.spec?.template),
    selectorText(spec?.jobTemplate.spec?.selector),
  ];
}

/** Cells of a pod template. */
export function podTemplateCells({ metadata, template }: PodTemplate): readonly unknown[] {
  return [metadata?.name, ...templateCells(template), labelText(template?.metadata?.labels)];
}

/** Cells of a controller revision. */
export function controllerRevisionCells(object: ControllerRevision, now: number): readonly unknown[] {
  const owner = controllerRef(object);
  const group = owner?.apiVersion.includes('/') === true ? `.${owner.apiVersion.split('/')[0]}` : '';
  const controller = owner === undefined ? none : `${owner.kind.toLowerCase()}${group}/${owner.name}`;
  return [object.metadata?.name, controller, object.revision, age(object.metadata?.creationTimestamp, now)];
}

/** Cells of a disruption budget. */
export function disruptionBudgetCells(
  { metadata, spec, status }: PodDisruptionBudget,
  now: number,
): readonly unknown[] {
  return [
    metadata?.name,
    String(spec?.minAvailable ?? 'N/A'),
    String(spec?.maxUnavailable ?? 'N/A'),
    status?.disruptionsAllowed ?? 0,
    age(metadata?.creationTimestamp, now),
  ];
}

/** Cells of an autoscaler, of v2. */
export function autoscalerCells(
  hpa: HorizontalPodAutoscaler & { readonly spec?: AutoscalerSpec | undefined },
  now: number,
): readonly unknown[] {
  const { metadata, spec, status } = hpa;
  return [
    metadata?.name,
    `${spec?.scaleTargetRef.kind}/${spec?.scaleTargetRef.name}`,
    autoscalerTargets(hpa),
    spec?.minReplicas === undefined ? '<unset>' : String(spec.minReplicas),
    spec?.maxReplicas,
    status?.currentReplicas ?? 0,
    age(metadata?.creationTimestamp, now),
  ];
}

interface AutoscalerSpec {
  readonly metrics?: readonly Metric[] | undefined;
}

interface Metric {
  readonly type: string;
  readonly [source: string]: unknown;
}

interface MetricTarget {
  readonly averageUtilization?: number;
  readonly averageValue?: string;
  readonly value?: string;
}

function autoscalerTargets(hpa: {
  readonly spec?: AutoscalerSpec | undefined;
  readonly status?: unknown;
}): string {
  const status = (hpa.status ?? {}) as { readonly currentMetrics?: readonly Metric[] | null };
  const metrics = hpa.spec?.metrics ?? [];
  const shown = metrics
    .slice(0, 2)
    .map((metric, index) => metricText(metric, status.currentMetrics?.[index]));
  const more = metrics.length > 2 ? ` + ${metrics.length - 2} more...` : '';
  return shown.length === 0 ? none : `${shown.join(', ')}${more}`;
}

function metricText(metric: Metric, currentMetric: Metric | undefined): string {
  const field = `${metric.type.charAt(0).toLowerCase()}${metric.type.slice(1)}`;
  if (metric[field] === undefined) return '<unknown type>';
  const source = (metric[field] ?? {}) as { readonly name?: string; readonly target?: MetricTarget };
  const current = ((currentMetric?.[field] ?? {}) as { readonly current?: MetricTarget }).current;
  const isResource = metric.type.endsWith('Resource');
  const prefix = isResource ? `${source.name}: ` : '';
  const { averageUtilization, averageValue, value } = source.target ?? {};
  if (averageUtilization !== undefined) {
    const now = current?.averageUtilization;
    return `${prefix}${now === undefined ? unknown : `${now}%`}/${averageUtilization}%`;
  }
  // Of what is a mean in any case, nothing says so.
  const suffix = isResource || metric.type === 'Pods' ? '' : ' (avg)';
  if (averageValue !== undefined)
    return `${prefix}${current?.averageValue ?? unknown}/${averageValue}${suffix}`;
  return `${prefix}${current?.value ?? unknown}/${value ?? (isResource ? '<auto>' : '0')}`;
}

function templateCells(template: PodTemplateSpec | undefined): readonly [string, string] {
  return [containerNames(template?.spec?.containers), containerImages(template?.spec?.containers)];
}

function jobStatus({ metadata, status }: Job): string {
  if (isConditionTrue(status?.conditions, 'Complete')) return 'Complete';
  if (isConditionTrue(status?.conditions, 'Failed')) return 'Failed';
  if (metadata?.deletionTimestamp !== undefined) return 'Terminating';
  if (isConditionTrue(status?.conditions, 'Suspended')) return 'Suspended';
  if (isConditionTrue(status?.conditions, 'FailureTarget')) return 'FailureTarget';
  if (isConditionTrue(status?.conditions, 'SuccessCriteriaMet')) return 'SuccessCriteriaMet';
  return 'Running';
}

function jobCompletions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

/** One that failed has no time of completion, and goes on (printers/internalversion, printJob). */
function jobDuration({ status }: Job, now: number): string {
  const start = Date.parse(status?.startTime ?? '');
  if (Number.isNaN(start)) return '';
  const end = Date.parse(status?.completionTime ?? '');
  return formatAge((Number.isNaN(end) ? now : end) - start);
}
