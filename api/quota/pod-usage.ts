import type { Pod } from '#api/generated/objects.ts';
import { parseQuantity, type Quantity } from '#api/meta/quantity.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { podTaken } from '#api/pod/requests.ts';
import { isExtendedResource } from '#api/validation/resource-name.ts';
import { at, objectsOf, stringOf, typed } from '#api/wire/json.ts';

const native = ['cpu', 'memory', 'ephemeral-storage'];
/** What each container has to say where a quota limits it; a mistake of upstream's first quotas that stays for these (validationSet). */
const required = /^(?:(requests|limits)\.)?(cpu|memory)$/;

/** Whether pods use what a quota limits by this name, beside their number. */
export function isPodResource(name: string): boolean {
  const [, field = '', rest = ''] = /^(?:(requests|limits)\.)?(.+)$/.exec(name) ?? [];
  if (native.includes(rest)) return true;
  if (rest.startsWith('hugepages-')) return field !== 'limits';
  return field === 'requests' && isExtendedResource(rest);
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
  const containers = ['containers', 'initContainers'].flatMap((list) => objectsOf(at(spec, list)));
  const unsaid = [...new Set(names)].toSorted().flatMap((name) => {
    const [, field = 'requests', resource = ''] = required.exec(name) ?? [];
    const says = (holder: unknown): boolean => at(holder, ['resources', field, resource]) !== undefined;
    // What the pod says as a whole its containers need not say.
    if (resource === '' || says(spec)) return [];
    const silent = containers.filter((container) => !says(container)).map((one) => stringOf(one['name']));
    return silent.length === 0 ? [] : [`${name} for: ${[...new Set(silent)].toSorted().join(',')}`];
  });
  return unsaid.length === 0 ? undefined : `must specify ${unsaid.join('; ')}`;
}

/** Whether the pod still takes what it asks for. */
export function isRunningOrWill(pod: JsonObject): boolean {
  const phase = at(pod, 'status.phase');
  return phase !== 'Succeeded' && phase !== 'Failed';
}
