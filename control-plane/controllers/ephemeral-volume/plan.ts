import type { PersistentVolumeClaim, Pod } from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { isTerminal } from '#api/pod/state.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { claimNameOf, foreignClaim } from '#api/volume/claim.ts';

/** What is due for the ephemeral volumes of a pod. */
export type EphemeralStep =
  | { readonly kind: 'createClaim'; readonly volume: string; readonly claim: PersistentVolumeClaim }
  /** The claim of that name is somebody else's. */
  | { readonly kind: 'refuse'; readonly volume: string; readonly message: string };

/**
 * The claims that a pod's ephemeral volumes lack, each named after pod and volume and owned by the pod, so that it goes with it
 * (ephemeral-volume-controller of kube-controller-manager). Pure.
 */
export function planEphemeral(
  pod: Pod,
  find: (name: string) => PersistentVolumeClaim | undefined,
): readonly EphemeralStep[] {
  if (pod.metadata?.deletionTimestamp !== undefined || isTerminal(pod)) return [];
  return (pod.spec?.volumes ?? []).flatMap((volume): readonly EphemeralStep[] => {
    const template = volume.ephemeral?.volumeClaimTemplate;
    const name = claimNameOf(pod, volume);
    if (template === undefined || name === undefined) return [];
    const claim = find(name);
    if (claim !== undefined) {
      const cause = foreignClaim(pod, claim);
      return cause === undefined ? [] : [{ kind: 'refuse', volume: volume.name, message: cause }];
    }
    const { labels, annotations } = template.metadata ?? {};
    return [
      {
        kind: 'createClaim',
        volume: volume.name,
        claim: {
          metadata: {
            name,
            namespace: pod.metadata?.namespace,
            ...(labels === undefined ? {} : { labels }),
            ...(annotations === undefined ? {} : { annotations }),
            ownerReferences: [ownerReference(pod, pods)],
          },
          spec: template.spec,
        },
      },
    ];
  });
}
