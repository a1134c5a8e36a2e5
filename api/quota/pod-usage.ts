import { mayBeOfClass } from '#api/device/extended-resources.ts';
import type { Pod } from '#api/generated/objects.ts';
import { parseQuantity, type Quantity } from '#api/meta/quantity.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { podTaken } from '#api/pod/requests.ts';
import { at, objectOf, objectsOf, stringOf, typed } from '#api/wire/json.ts';

const native = ['cpu', 'memory', 'ephemeral-storage'];
/** What each container has to say where a quota limits it; a mistake of upstream's first quotas that stays for these (validationSet). */
const required = /^(?:(requests|limits)\.)?(cpu|memory)$/;

/** Whether pods use what a quota limits by this name, beside their number. */
export function isPodResource(name: string): boolean {
  const [, field = '', rest = ''] = /^(?:(requests|limits)\.)?(.+)$/.exec(name) ?? [];
  if (native.includes(rest)) return true;
  if (rest.startsWith('hugepages-')) return field !== 'limits';
  return field === 'requests' && mayBeOfClass(rest);
}

/** How much a pod that is not over takes of each of these. */
export function podUsage(pod: JsonObject): ReadonlyMap<string, Quantity> {
  const usage = new Map<string, Quantity>([['pods', parseQuantity('1')]]);
  for (const [name, amount] of podTaken(typed<Pod>(pod), 'requests')) {
    for (const called of [name, `requests.${name}`]) if (isPodResource(called)) usage.set(called, amount);
  }
  for (const [name, amount] of podTaken(typed<Pod>(pod), 'limits')) {
    if (isPodResource(`limits.${name}`)) usage.set(`limits.${name}`, amount);
  }
  return usage;
}

/** What of the limited resources some containers do not say: `must specify limits.memory for: a,b; …`; undefined: they say it all. */
export function unsaidOf(pod: JsonObject, names: Iterable<string>): string | undefined {
  const spec = at(pod, 'spec');
  if (saysAsWhole(spec)) return undefined;
  const containers = ['containers', 'initContainers'].flatMap((list) => objectsOf(at(spec, list)));
  const unsaid = [...new Set(names)].toSorted().flatMap((name) => {
    const [, field = 'requests', resource = ''] = required.exec(name) ?? [];
    const says = (holder: unknown): boolean => at(holder, ['resources', field, resource]) !== undefined;
    if (resource === '') return [];
    const silent = containers.filter((container) => !says(container)).map((one) => stringOf(one['name']));
    return silent.length === 0 ? [] : [`${name} for: ${[...new Set(silent)].toSorted().join(',')}`];
  });
  return unsaid.length === 0 ? undefined : `must specify ${unsaid.join('; ')}`;
}

/** Of a pod that says anything as a whole its containers need not say a thing (IsPodLevelResourcesSet of component-helpers). */
function saysAsWhole(spec: unknown): boolean {
  return ['requests', 'limits']
    .flatMap((field) => Object.keys(objectOf(at(spec, ['resources', field]))))
    .some((name) => name === 'cpu' || name === 'memory' || name.startsWith('hugepages-'));
}

/** Whether the pod's time is limited: it is of the scope Terminating, and may come to be when it runs. */
export function endsByItself(pod: JsonObject): boolean {
  return at(pod, 'spec.activeDeadlineSeconds') !== undefined;
}

/**
 * Until when the pod takes what it asks for (unix ms): one that is over has given it back; one that should have been gone for as long as it
 * was given to go is stuck, on a node that is lost, and stands in nobody's way (QuotaV1Pod).
 */
export function takesUntilMs(pod: JsonObject): number {
  const phase = at(pod, 'status.phase');
  if (phase === 'Succeeded' || phase === 'Failed') return -Infinity;
  const dueMs = Date.parse(stringOf(at(pod, 'metadata.deletionTimestamp')));
  const seconds = at(pod, 'metadata.deletionGracePeriodSeconds');
  return Number.isNaN(dueMs) || typeof seconds !== 'number' ? Infinity : dueMs + seconds * 1000;
}
