import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, objectOf, objectsOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';

/*
 * A HorizontalPodAutoscaler of v1, whose objects are stored as v2 (pkg/apis/autoscaling/v1/conversion.go): v1 knows one metric, and has
 * whatever else there is as JSON in annotations, so that who writes it back takes nothing away.
 */
const prefix = 'autoscaling.alpha.kubernetes.io';
const annotations = {
  metrics: `${prefix}/metrics`,
  currentMetrics: `${prefix}/current-metrics`,
  conditions: `${prefix}/conditions`,
  behavior: `${prefix}/behavior`,
} as const;

/** Upstream fills it in as it converts: who applies without it in another version takes nothing away. */
const cpuPercentDefault = 80;

/** Of a metric, by the kind of its source: what its fields are called in v1, and where they are in v2. */
type Fields = readonly (readonly [name: string, path: string])[];
const metric: Fields = [['metricName', 'metric.name']];
const specFields: Readonly<Record<string, Fields>> = {
  Object: [
    ['target', 'describedObject'],
    ...metric,
    ['targetValue', 'target.value'],
    ['selector', 'metric.selector'],
    ['averageValue', 'target.averageValue'],
  ],
  Pods: [...metric, ['targetAverageValue', 'target.averageValue'], ['selector', 'metric.selector']],
  Resource: [
    ['name', 'name'],
    ['targetAverageUtilization', 'target.averageUtilization'],
    ['targetAverageValue', 'target.averageValue'],
  ],
  ContainerResource: [
    ['name', 'name'],
    ['targetAverageUtilization', 'target.averageUtilization'],
    ['targetAverageValue', 'target.averageValue'],
    ['container', 'container'],
  ],
  External: [
    ...metric,
    ['metricSelector', 'metric.selector'],
    ['targetValue', 'target.value'],
    ['targetAverageValue', 'target.averageValue'],
  ],
};

/** What is measured is called as what is to be, but for the word. */
function currentOf(fields: Fields): Fields {
  return fields.map(([name, path]) => [
    path.startsWith('target.') ? name.replace(/^target/, 'current') : name,
    path.replace(/^target\./, 'current.'),
  ]);
}

const targetTypes = [
  ['averageUtilization', 'Utilization'],
  ['averageValue', 'AverageValue'],
  ['value', 'Value'],
] as const;

/** `containerResource` of ContainerResource. */
function sourceName(type: string): string {
  return type.charAt(0).toLowerCase() + type.slice(1);
}

function metricToV1(given: JsonObject, isCurrent: boolean): JsonObject {
  const type = stringOf(given['type']);
  const fields = specFields[type] ?? [];
  const source = given[sourceName(type)];
  const members = (isCurrent ? currentOf(fields) : fields)
    .map(([name, path]) => [name, at(source, path)] as const)
    .filter(([, value]) => value !== undefined);
  return { type, [sourceName(type)]: Object.fromEntries(members) };
}

function metricToV2(given: JsonObject, isCurrent: boolean): JsonObject {
  const type = stringOf(given['type']);
  const fields = specFields[type] ?? [];
  let source: JsonObject = isCurrent ? { current: {} } : { target: {} };
  for (const [name, path] of isCurrent ? currentOf(fields) : fields) {
    const value = at(given[sourceName(type)], name);
    if (value !== undefined) source = withPath(source, path, value);
  }
  if (!isCurrent) {
    const found = targetTypes.find(([name]) => at(source, ['target', name]) !== undefined);
    if (found !== undefined) source = withPath(source, 'target.type', found[1]);
    if (found?.[0] === 'averageValue') source = withPath(source, 'target.value', undefined);
  }
  return { type, [sourceName(type)]: source };
}

/** The one that v1 has a field for. */
function isCpuShare(given: JsonObject): boolean {
  const share = at(given, 'resource.target.averageUtilization');
  return given['type'] === 'Resource' && at(given, 'resource.name') === 'cpu' && share !== undefined;
}

/** As v1 shows what is stored. Pure. */
export function autoscalerToV1(scaler: JsonObject): JsonObject {
  const { metrics, behavior, ...spec } = objectOf(scaler['spec']);
  const { currentMetrics, conditions, ...status } = objectOf(scaler['status']);
  const cpu = objectsOf(metrics).find(isCpuShare);
  const others = objectsOf(metrics).filter((each) => each !== cpu);
  const used = objectsOf(currentMetrics).find((each) => at(each, 'resource.name') === 'cpu');
  const kept: Record<string, string> = {};
  const keep = (name: string, value: unknown): void => void (kept[name] = JSON.stringify(value));
  if (others.length > 0)
    keep(
      annotations.metrics,
      others.map((each) => metricToV1(each, false)),
    );
  if (objectsOf(currentMetrics).length > 0)
    keep(
      annotations.currentMetrics,
      objectsOf(currentMetrics).map((each) => metricToV1(each, true)),
    );
  if (objectsOf(conditions).length > 0) keep(annotations.conditions, conditions);
  if (behavior !== undefined) keep(annotations.behavior, behavior);
  const shown = {
    ...scaler,
    spec: withPath(spec, 'targetCPUUtilizationPercentage', at(cpu, 'resource.target.averageUtilization')),
    status: withPath(
      status,
      'currentCPUUtilizationPercentage',
      at(used, 'resource.current.averageUtilization'),
    ),
  };
  if (Object.keys(kept).length === 0) return shown;
  const own = stringMapOf(at(scaler, 'metadata.annotations'));
  return withPath(shown, 'metadata.annotations', { ...own, ...kept });
}

/** Whether an object of v1 has metrics that v1 cannot say: then it need not have a share of CPU. */
export function hasOtherMetrics(scaler: JsonObject): boolean {
  return objectsOf(parsed(stringMapOf(at(scaler, 'metadata.annotations'))[annotations.metrics])).length > 0;
}

/** As an object of v1 is stored. What an annotation holds that is no such JSON is left out, as upstream does. Pure. */
export function autoscalerFromV1(scaler: JsonObject): JsonObject {
  const { targetCPUUtilizationPercentage: percent, ...spec } = objectOf(scaler['spec']);
  const { currentCPUUtilizationPercentage: _percent, ...status } = objectOf(scaler['status']);
  const given = stringMapOf(at(scaler, 'metadata.annotations'));
  const read = (name: string): unknown => parsed(given[name]);
  const others = objectsOf(read(annotations.metrics)).map((each) => metricToV2(each, false));
  const share = percent ?? (others.length === 0 ? cpuPercentDefault : undefined);
  const target = { type: 'Utilization', averageUtilization: share };
  const cpu = share === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', target } }];
  const behavior = read(annotations.behavior);
  const current = objectsOf(read(annotations.currentMetrics)).map((each) => metricToV2(each, true));
  const conditions = objectsOf(read(annotations.conditions));
  const stored = {
    ...scaler,
    spec: { ...spec, metrics: [...cpu, ...others], ...(isObject(behavior) ? { behavior } : {}) },
    status: {
      ...status,
      ...(current.length === 0 ? {} : { currentMetrics: current }),
      ...(conditions.length === 0 ? {} : { conditions }),
    },
  };
  const names: ReadonlySet<string> = new Set(Object.values(annotations));
  const left = Object.entries(given).filter(([name]) => !names.has(name));
  if (left.length === Object.keys(given).length) return stored;
  return withPath(stored, 'metadata.annotations', left.length === 0 ? undefined : Object.fromEntries(left));
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
