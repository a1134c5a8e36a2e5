/** How the API shows static pods: by mirrors. Pure. */
import type { Pod } from '#api/generated/objects.ts';

/** Annotations of static pods and their mirrors (pkg/kubelet/types). */
export const configAnnotations = {
  hash: 'kubernetes.io/config.hash',
  source: 'kubernetes.io/config.source',
  seen: 'kubernetes.io/config.seen',
  mirror: 'kubernetes.io/config.mirror',
} as const;

export function isMirror({ metadata }: Pod): boolean {
  return metadata?.annotations?.[configAnnotations.mirror] !== undefined;
}

/** Of a file of this machine. */
export function isStatic({ metadata }: Pod): boolean {
  return metadata?.annotations?.[configAnnotations.source] === 'file';
}

/** `NAMESPACE/NAME` */
export function fullNameOf({ metadata }: Pod): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

/** The object by which the API shows a static pod. */
export function mirrorOf(pod: Pod, node: { readonly name: string; readonly uid: string }): Pod {
  const { name, namespace, labels, annotations = {} } = pod.metadata ?? {};
  const owner = { apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid, controller: true };
  return {
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      annotations: { ...annotations, [configAnnotations.mirror]: annotations[configAnnotations.hash] ?? '' },
      ownerReferences: [owner],
    },
    ...(pod.spec === undefined ? {} : { spec: pod.spec }),
  };
}

export type MirrorStep =
  | { readonly op: 'create'; readonly pod: Pod }
  /** Of the API, which has it by this uid. */
  | { readonly op: 'delete'; readonly pod: Pod }
  /** Another pod, which is no mirror, has the name. */
  | { readonly op: 'taken'; readonly pod: Pod };

/** What makes the API show these static pods, each by one mirror, and no others. `apiPods`: of the node. */
export function planMirrors(statics: readonly Pod[], apiPods: readonly Pod[]): readonly MirrorStep[] {
  const wanted = new Map(statics.map((pod) => [fullNameOf(pod), pod]));
  const there = new Map(apiPods.map((pod) => [fullNameOf(pod), pod]));
  const isOf = (pod: Pod, mirror: Pod): boolean =>
    mirror.metadata?.annotations?.[configAnnotations.mirror] === pod.metadata?.uid;
  const deletes = apiPods.filter((pod) => {
    const own = wanted.get(fullNameOf(pod));
    if (!isMirror(pod)) return false;
    return own === undefined || !isOf(own, pod) || pod.metadata?.deletionTimestamp !== undefined;
  });
  return [
    ...deletes.map((pod) => ({ op: 'delete' as const, pod })),
    ...statics.flatMap((pod): readonly MirrorStep[] => {
      const present = there.get(fullNameOf(pod));
      if (present === undefined) return [{ op: 'create', pod }];
      return isMirror(present) ? [] : [{ op: 'taken', pod }];
    }),
  ];
}
