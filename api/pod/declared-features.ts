/** What nodes say that they can do (status.declaredFeatures), and who needs it. Source: component-helpers nodedeclaredfeatures 1.36. Pure. */
import { at, equalStored, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { qosClass } from './qos.ts';

export type DeclaredFeature =
  | 'GuaranteedQoSPodCPUResize'
  | 'InPlacePodLevelResourcesVerticalScaling'
  | 'RestartAllContainersOnContainerExits';

/** What a node has to declare so that a pod on it may be changed so, in order. */
export function featuresOfUpdate(old: JsonObject, pod: JsonObject): readonly DeclaredFeature[] {
  return [
    ...(resizesCpuOfGuaranteed(old, pod) ? (['GuaranteedQoSPodCPUResize'] as const) : []),
    ...(equalStored(at(old, 'spec.resources'), at(pod, 'spec.resources'))
      ? []
      : (['InPlacePodLevelResourcesVerticalScaling'] as const)),
  ];
}

function resizesCpuOfGuaranteed(old: JsonObject, pod: JsonObject): boolean {
  if ((at(old, 'status.qosClass') ?? qosClass(old)) !== 'Guaranteed') return false;
  const cpuOf = (container: JsonObject | undefined): bigint =>
    tryParseQuantity(at(container, 'resources.requests.cpu'))?.nanos ?? 0n;
  const given = objectsOf(at(pod, 'spec.containers'));
  return objectsOf(at(old, 'spec.containers')).some(
    (container, index) => cpuOf(container) !== cpuOf(given[index]),
  );
}
