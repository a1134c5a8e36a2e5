import { cidrContains, parseCidr, parseIp, type Cidr } from '#base/ip.ts';
import type { IPAddress, PersistentVolumeClaim, Pod, ServiceCIDR } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { findCondition } from '#api/meta/condition.ts';
import { isTerminal } from '#api/pod/state.ts';

export const claimFinalizer = 'kubernetes.io/pvc-protection';
export const volumeFinalizer = 'kubernetes.io/pv-protection';
export const attributesFinalizer = 'kubernetes.io/vac-protection';
export const cidrFinalizer = 'networking.k8s.io/service-cidr-finalizer';

/** What is due for the finalizer that keeps an object while something uses it: who goes unused is let go. Pure. */
export function planProtection(
  { metadata }: KubeObject,
  finalizer: string,
  isUsed: () => boolean,
): 'add' | 'remove' | 'none' {
  const isProtected = metadata?.finalizers?.includes(finalizer) === true;
  if (metadata?.deletionTimestamp === undefined) return isProtected ? 'none' : 'add';
  return isProtected && !isUsed() ? 'remove' : 'none';
}

/**
 * The claims that a pod uses, as `namespace/name`. One without a node uses none yet: its kubelet would not start it with a claim that goes. An
 * ended pod uses those that it names until it is deleted, its own (`ephemeral`) no more (pvc-protection-controller of
 * kube-controller-manager 1.36). Pure.
 */
export function claimsOf(pod: Pod): readonly string[] {
  const { namespace = '', name: podName = '' } = pod.metadata ?? {};
  if ((pod.spec?.nodeName ?? '') === '') return [];
  return (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim: claim, ephemeral }) => {
    if (claim !== undefined) return [`${namespace}/${claim.claimName}`];
    return ephemeral === undefined || isTerminal(pod) ? [] : [`${namespace}/${podName}-${name}`];
  });
}

/** The classes of attributes that a claim is to have, has and is being given (KEP-3751). Pure. */
export function attributesClassesOf({ spec, status }: PersistentVolumeClaim): readonly string[] {
  const named = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return [...new Set(named)].flatMap((name) => (name === undefined || name === '' ? [] : [name]));
}

/** Whether addresses are in the blocks of a ServiceCIDR that no other one, ready and staying, has. Pure. */
export function holdsAddresses(
  cidr: ServiceCIDR,
  { addresses, cidrs }: { readonly addresses: readonly IPAddress[]; readonly cidrs: readonly ServiceCIDR[] },
): boolean {
  const own = blocksOf(cidr);
  const others = cidrs
    .filter(
      ({ metadata }) => metadata?.name !== cidr.metadata?.name && metadata?.deletionTimestamp === undefined,
    )
    .filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True')
    .flatMap(blocksOf);
  return addresses.some(({ metadata }) => {
    const ip = parseIp(metadata?.name ?? '');
    if (ip === undefined) return false;
    const isIn = (blocks: readonly Cidr[]): boolean => blocks.some((block) => cidrContains(block, ip));
    return isIn(own) && !isIn(others);
  });
}

function blocksOf({ spec }: ServiceCIDR): readonly Cidr[] {
  return (spec?.cidrs ?? []).flatMap((text) => parseCidr(text) ?? []);
}
