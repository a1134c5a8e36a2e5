import { at, objectOf, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';
import { compareQuantity, tryParseQuantity } from '#api/meta/quantity.ts';

/** PodStatus.qosClass. */
export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const compute = ['cpu', 'memory'] as const;

/**
 * The quality-of-service class of a pod: Guaranteed when every container limits cpu and memory and requests just that,
 * BestEffort when none asks for either, Burstable otherwise. (pkg/apis/core/v1/helper/qos)
 */
export function qosClass(pod: Pod | JsonObject): QosClass {
  const podResources = objectOf(at(pod, 'spec.resources'));
  const holders =
    Object.keys(podResources).length > 0
      ? [podResources]
      : containersOf(pod).map((c) => objectOf(c['resources']));
  const isBestEffort = holders.every((resources) =>
    compute.every(
      (name) =>
        !isPositive(at(resources, ['requests', name])) && !isPositive(at(resources, ['limits', name])),
    ),
  );
  if (isBestEffort) return 'BestEffort';
  return holders.every((resources) => compute.every((name) => isGuaranteed(resources, name)))
    ? 'Guaranteed'
    : 'Burstable';
}

function containersOf(pod: Pod | JsonObject): readonly JsonObject[] {
  return [...objectsOf(at(pod, 'spec.initContainers')), ...objectsOf(at(pod, 'spec.containers'))];
}

function isPositive(value: unknown): boolean {
  return (tryParseQuantity(value)?.nanos ?? 0n) > 0n;
}

function isGuaranteed(resources: JsonObject, name: string): boolean {
  const limit = tryParseQuantity(at(resources, ['limits', name]));
  if (limit === undefined || limit.nanos <= 0n) return false;
  const request = tryParseQuantity(at(resources, ['requests', name])) ?? limit;
  return compareQuantity(request, limit) === 0;
}
