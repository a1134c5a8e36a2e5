import { canBeReserved, foreignDeviceClaim, isReservedFor, namedClaim } from '#api/device/pod-claims.ts';
import type { Node, Pod, ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { allocate, type ClaimPicks } from './allocate.ts';
import {
  classedResources,
  extendedClaimOn,
  staleExtendedClaim,
  type ExtendedClaim,
} from './extended-claims.ts';
import type { DeviceLookUp } from './look-up.ts';
import { matchesSelector } from './pools.ts';
import { classNamesOf } from './wanted.ts';

/** The claims of a pod, looked up: those that have devices, and those that get some where the pod goes. */
export interface PodDeviceClaims {
  readonly allocated: readonly ResourceClaim[];
  readonly waiting: readonly ResourceClaim[];
  /** The claim for its extended resources, where a node has them by devices; undefined: by device plugins, or it asks for none. */
  readonly extendedOn: (node: Node) => ExtendedClaim | undefined;
}

export const notOnNode = 'resourceclaim not available on the node';

/** Whether a claim that was made for the pod is not seen yet: it will be, and nobody need be told. */
export function awaitsClaims(pod: Pod, look: Pick<DeviceLookUp, 'claim'>): boolean {
  const namespace = pod.metadata?.namespace ?? '';
  return (pod.spec?.resourceClaims ?? []).some((entry) => {
    const named = namedClaim(pod, entry);
    return named.kind === 'named' && named.isMade && look.claim(`${namespace}/${named.name}`) === undefined;
  });
}

/** The claims of a pod, or why no node can run it now (PreEnqueue and PreFilter of DynamicResources). Pure. */
export function deviceClaimsFor(
  pod: Pod,
  look: Pick<DeviceLookUp, 'claim' | 'deviceClass' | 'classOf' | 'extendedClaim'>,
): PodDeviceClaims | string {
  const namespace = pod.metadata?.namespace ?? '';
  const allocated: ResourceClaim[] = [];
  const waiting: ResourceClaim[] = [];
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const named = namedClaim(pod, entry);
    if (named.kind === 'awaited') return named.message;
    if (named.kind === 'none') continue;
    const claim = look.claim(`${namespace}/${named.name}`);
    const refusal =
      claim === undefined
        ? `resourceclaim ${JSON.stringify(named.name)} not found`
        : refusalOf(pod, claim, named.isMade);
    if (claim === undefined || refusal !== undefined) return refusal ?? '';
    if (claim.status?.allocation === undefined) waiting.push(claim);
    else allocated.push(claim);
  }
  for (const claim of waiting)
    for (const [request, name] of classNamesOf(claim))
      if (look.deviceClass(name) === undefined)
        return `request ${request}: device class ${name} does not exist`;
  // What was given for a node that it did not come to may not do for another.
  if (look.extendedClaim(pod) !== undefined) return staleExtendedClaim;
  return { allocated, waiting, extendedOn: (node) => extendedClaimOn(pod, node, look) };
}

/** Whether the pod has anything to do with claims of devices. */
export function usesDevices(pod: Pod, look: Pick<DeviceLookUp, 'classOf'>): boolean {
  return (pod.spec?.resourceClaims ?? []).length > 0 || classedResources(pod, look).length > 0;
}

function refusalOf(pod: Pod, claim: ResourceClaim, isMade: boolean): string | undefined {
  const foreign = isMade ? foreignDeviceClaim(pod, claim) : undefined;
  if (foreign !== undefined) return foreign;
  if (claim.metadata?.deletionTimestamp !== undefined)
    return `resourceclaim ${JSON.stringify(claim.metadata.name ?? '')} is being deleted`;
  return isReservedFor(claim, pod) || canBeReserved(claim) ? undefined : 'resourceclaim in use';
}

/**
 * Devices of a node for the claims that wait, or why it does not do. Pure.
 * @throws {E_INVALID} where a condition of a claim or class fails: it is to be mended, though another node might do
 */
export function planDevices(
  { allocated, waiting, extendedOn }: PodDeviceClaims,
  node: Node,
  look: DeviceLookUp,
): readonly ClaimPicks[] | string {
  for (const { status } of allocated) {
    const selector = status?.allocation?.nodeSelector;
    if (selector !== undefined && !matchesSelector(selector, node)) return notOnNode;
  }
  const extended = extendedOn(node);
  const claims = extended === undefined ? waiting : [...waiting, extended.claim];
  if (claims.length === 0) return [];
  const { deviceClass, taken } = look;
  const found = allocate({ claims, pools: look.poolsFor(node), deviceClass, taken });
  if (found.kind === 'allocated') return found.claims;
  if (found.kind === 'refused') return found.reason;
  throw new PodwrightError('E_INVALID', `running "DynamicResources" filter plugin: ${found.reason}`);
}
