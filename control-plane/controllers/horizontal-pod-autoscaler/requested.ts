import type { Pod } from '#api/generated/objects.ts';
import { quantityToMilli, tryParseQuantity } from '#api/meta/quantity.ts';
import { isSidecar, podRequests } from '#api/pod/requests.ts';

/** Thousandths of the unit that the pod, or one of its containers, asks for; a text where it does not say. */
export function requestedMilli(pod: Pod, resource: string, container: string | undefined): number | string {
  const { name: podName = '' } = pod.metadata ?? {};
  if (container === undefined && Object.keys(pod.spec?.resources?.requests ?? {}).length > 0) {
    const whole = podRequests(pod).get(resource);
    return whole === undefined
      ? `missing pod-level request for ${resource} in Pod ${podName}`
      : quantityToMilli(whole);
  }
  const running = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter(isSidecar)];
  const counted = running.filter(({ name }) => container === undefined || name === container);
  if (counted.length === 0 && container !== undefined)
    return `container ${container} not found in Pod ${podName}`;
  let sum = 0;
  for (const { name, resources } of counted) {
    const asked = tryParseQuantity(resources?.requests?.[resource]);
    if (asked === undefined) return `missing request for ${resource} in container ${name} of Pod ${podName}`;
    sum += quantityToMilli(asked);
  }
  return sum;
}
