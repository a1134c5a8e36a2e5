import { at, objectOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { GroupVersionKind } from '#api/schema/type-source.ts';

/** A version of a kind that shows what is stored as another's. Its functions are pure, and leave kind and apiVersion to the caller. */
export interface View {
  readonly stored: GroupVersionKind;
  readonly fromStored: (object: JsonObject) => JsonObject;
  readonly toStored: (object: JsonObject) => JsonObject;
}

/** The view that a built-in kind is; undefined for one whose objects are stored as they are shown. */
export function viewOf({ group, version, kind }: GroupVersionKind): View | undefined {
  return views.get(`${group}/${version}/${kind}`);
}

/** events.k8s.io/v1 field ← core v1 field (k8s.io/kubernetes pkg/apis/events/v1 conversion). */
const eventFields: readonly (readonly [served: string, stored: string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

const cpuPercent = 'spec.targetCPUUtilizationPercentage';

const views: ReadonlyMap<string, View> = new Map([
  [
    'events.k8s.io/v1/Event',
    {
      stored: { group: '', version: 'v1', kind: 'Event' },
      fromStored: (event) =>
        renameFields(
          event,
          eventFields.map(([served, stored]) => [stored, served]),
        ),
      toStored: (event) => renameFields(event, eventFields),
    },
  ],
  [
    'autoscaling/v1/HorizontalPodAutoscaler',
    {
      stored: { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
      fromStored: (scaler) => {
        const { metrics, behavior: _behavior, ...spec } = objectOf(scaler['spec']);
        const percent = at(
          Array.isArray(metrics) ? metrics[0] : undefined,
          'resource.target.averageUtilization',
        );
        const { currentMetrics: _metrics, conditions: _conditions, ...status } = objectOf(scaler['status']);
        return withPath({ ...scaler, spec, status }, cpuPercent, percent);
      },
      toStored: (scaler) => {
        const { targetCPUUtilizationPercentage: percent, ...spec } = objectOf(scaler['spec']);
        const target = { type: 'Utilization', averageUtilization: percent };
        const metrics =
          percent === undefined ? undefined : [{ type: 'Resource', resource: { name: 'cpu', target } }];
        const { currentCPUUtilizationPercentage: _percent, ...status } = objectOf(scaler['status']);
        return { ...withPath({ ...scaler, spec }, 'spec.metrics', metrics), status };
      },
    },
  ],
]);

function renameFields(
  object: JsonObject,
  names: readonly (readonly [from: string, to: string])[],
): JsonObject {
  const renamed = new Map(names);
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [renamed.get(name) ?? name, value]),
  );
}
