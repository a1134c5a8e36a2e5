import { findKind, type Kind } from '#api/kinds.ts';
import { at, objectOf, withPath } from '#api/json.ts';
import type { JsonObject } from '#api/object.ts';

/** Two versions of one kind: how the one that is served reads and writes the one that is stored. */
interface Conversion {
  readonly stored: string;
  readonly fromStored: (object: JsonObject) => JsonObject;
  readonly toStored: (object: JsonObject) => JsonObject;
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

const conversions: Readonly<Record<string, Conversion>> = {
  'events.k8s.io/v1/events': {
    stored: '/v1/events',
    fromStored: (event) =>
      renameFields(
        event,
        eventFields.map(([served, stored]) => [stored, served]),
      ),
    toStored: (event) => renameFields(event, eventFields),
  },
  'autoscaling/v1/horizontalpodautoscalers': {
    stored: 'autoscaling/v2/horizontalpodautoscalers',
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
};

const conversionOfKind = new WeakMap<
  Kind,
  { readonly conversion: Conversion | undefined; readonly stored: Kind }
>();

function lookUp(kind: Kind): { readonly conversion: Conversion | undefined; readonly stored: Kind } {
  let found = conversionOfKind.get(kind);
  if (found === undefined) {
    const conversion = conversions[`${kind.group}/${kind.version}/${kind.resource}`];
    const [group = '', version = '', resource = ''] = (conversion?.stored ?? '').split('/');
    found = { conversion, stored: findKind(group, version, resource) ?? kind };
    conversionOfKind.set(kind, found);
  }
  return found;
}

/** The kind as which objects of this kind are stored: itself, but for second versions of a kind. */
export function storedKind(kind: Kind): Kind {
  return lookUp(kind).stored;
}

/** An object of the stored kind, as the kind asked for. kind and apiVersion are the caller's to set. */
export function fromStored(kind: Kind, object: JsonObject): JsonObject {
  return lookUp(kind).conversion?.fromStored(object) ?? object;
}

/** The reverse. */
export function toStored(kind: Kind, object: JsonObject): JsonObject {
  return lookUp(kind).conversion?.toStored(object) ?? object;
}

function renameFields(
  object: JsonObject,
  names: readonly (readonly [from: string, to: string])[],
): JsonObject {
  const renamed = new Map(names);
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [renamed.get(name) ?? name, value]),
  );
}
