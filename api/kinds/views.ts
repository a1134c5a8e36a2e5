import type { JsonObject } from '#api/meta/object.ts';
import type { GroupVersionKind } from '#api/schema/type-source.ts';
import { autoscalerFromV1, autoscalerToV1 } from './autoscaling/v1-view.ts';

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
      fromStored: autoscalerToV1,
      toStored: autoscalerFromV1,
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
