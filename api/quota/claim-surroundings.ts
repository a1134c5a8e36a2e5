import { extendedClaimAnnotation } from '#api/device/extended-resources.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf, stringOf, typed } from '#api/wire/json.ts';
import type { ClaimSurroundings } from './claim-usage.ts';
import { usageOf, type Usage } from './usage.ts';

const pods = { group: '', resource: 'pods' };

/** Where it is looked up what claims go by. */
export interface ClaimSources {
  readonly classNamed: (name: string) => JsonObject | undefined;
  readonly podNamed: (namespace: string, name: string) => JsonObject | undefined;
  /** All claims of the namespace. */
  readonly claimsOf: (namespace: string) => readonly JsonObject[];
  readonly nowMs: number;
}

/** What of extended resources claims take goes by (getVerifiedPodUsage of upstream's resource_claims.go). */
export function claimSurroundings(around: ClaimSources): ClaimSurroundings {
  return {
    extendedNameOf: (className) => {
      const name = stringOf(at(around.classNamed(className), 'spec.extendedResourceName'));
      return name === '' ? undefined : name;
    },
    podUsageOf: (claim) => podUsageOf(claim, around),
  };
}

/** The uid of the pod that the claim says it was made for. */
function podUidOf(claim: JsonObject): string | undefined {
  if (at(claim, ['metadata', 'annotations', extendedClaimAnnotation]) !== 'true') return undefined;
  const owner = controllerOf(claim);
  return owner === undefined ? undefined : stringOf(owner['uid']);
}

function controllerOf(claim: JsonObject): JsonObject | undefined {
  const owner = objectsOf(at(claim, 'metadata.ownerReferences')).find((one) => one['controller'] === true);
  return owner?.['kind'] === 'Pod' && owner['apiVersion'] === 'v1' ? owner : undefined;
}

/** Anybody may annotate a claim: the pod has to be there, and to name it, or to have none older. */
function podUsageOf(claim: JsonObject, { podNamed, claimsOf, nowMs }: ClaimSources): Usage | undefined {
  const uid = podUidOf(claim);
  if (uid === undefined) return undefined;
  const namespace = stringOf(at(claim, 'metadata.namespace'));
  const pod = podNamed(namespace, stringOf(controllerOf(claim)?.['name']));
  if (pod === undefined || at(pod, 'metadata.uid') !== uid) return undefined;
  const named = typed<Pod>(pod).status?.extendedResourceClaimStatus?.resourceClaimName;
  const isIts =
    named === undefined
      ? claimsOf(namespace).every((other) => podUidOf(other) !== uid || !isBefore(other, claim))
      : named === at(claim, 'metadata.name');
  return isIts ? usageOf(pods, pod, nowMs) : undefined;
}

function isBefore(a: JsonObject, b: JsonObject): boolean {
  const [bornA, bornB] = [a, b].map((one) => stringOf(at(one, 'metadata.creationTimestamp')));
  const [nameA, nameB] = [a, b].map((one) => stringOf(at(one, 'metadata.name')));
  if (bornA === bornB) return (nameA ?? '') < (nameB ?? '');
  return bornB === '' || (bornA !== '' && (bornA ?? '') < (bornB ?? ''));
}
