import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { Pod, PodTemplateSpec } from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';

/** A pod as its owner's template says. The name is the server's to make unless it is given. */
export function podFromTemplate(
  ownerKind: KindRef<unknown>,
  owner: KubeObject,
  template: PodTemplateSpec,
): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      namespace: owner.metadata?.namespace,
      generateName: `${owner.metadata?.name ?? ''}-`,
      labels,
      annotations,
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [ownerReference(owner, ownerKind)],
    },
    spec: template.spec,
  };
}
