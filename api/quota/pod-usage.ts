import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  addQuantity,
  compareQuantity,
  parseQuantity,
  zeroQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';

/** What a pod asks for or is limited to of one resource; `missing` are the containers that do not say. */
export interface Usage {
  readonly total: Quantity;
  readonly missing: readonly string[];
}

/** Requests or limits of a resource: the pod's own, or all containers together, or the one init container that takes more. */
export function podUsage(pod: JsonObject, field: 'requests' | 'limits', resource: string): Usage {
  const whole = at(pod, ['spec', 'resources', field, resource]);
  if (whole !== undefined) return { total: parseQuantity(stringOf(whole)), missing: [] };
  const missing: string[] = [];
  const amount = (container: JsonObject): Quantity => {
    const value = at(container, ['resources', field, resource]);
    if (value === undefined) missing.push(stringOf(container['name']));
    return value === undefined ? zeroQuantity : parseQuantity(stringOf(value));
  };
  const spec = objectOf(pod['spec']);
  const running = objectsOf(spec['containers']).map(amount).reduce(addQuantity, zeroQuantity);
  const total = objectsOf(spec['initContainers'])
    .map(amount)
    .reduce((most, own) => (compareQuantity(own, most) > 0 ? own : most), running);
  return { total, missing };
}

/** Whether the pod still takes what it asks for. */
export function isRunningOrWill(pod: JsonObject): boolean {
  const phase = at(pod, 'status.phase');
  return phase !== 'Succeeded' && phase !== 'Failed';
}
