/** All pods of a node: those that the API has for it, and its static ones, which the API shows as mirrors. */
import type { Pod } from '#api/generated/objects.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { PodSource } from '#agent/kubelet/sync/pod-intake.ts';
import { configAnnotations, fullNameOf, isMirror } from './static-pod.ts';
import type { StaticPods } from './static-pods.ts';

export interface PodSources {
  readonly fromApi: PodSource;
  /** Undefined: there are none. */
  readonly fromFiles: PodSource | undefined;
  list(): readonly Pod[];
  byName(namespace: string, name: string): Pod | undefined;
  /** The object that a pod's status is written to, of one that the API has; undefined: of a static pod that has no mirror yet. */
  objectOf(pod: Pod): Pod | undefined;
}

export function joinSources(informer: WritableInformer<Pod>, statics: StaticPods | undefined): PodSources {
  const list = (): readonly Pod[] => [
    ...(statics?.list() ?? []),
    ...informer.list().filter((pod) => !isMirror(pod)),
  ];
  return {
    fromApi: {
      list,
      onChange: (handler) =>
        informer.onChange(({ key, old, current }) => {
          const [before, now] = [old, current].map((pod) =>
            pod === undefined || isMirror(pod) ? undefined : pod,
          );
          if (before !== undefined || now !== undefined) handler({ key, old: before, current: now });
        }),
    },
    fromFiles: statics && { list, onChange: (handler) => statics.onChange(handler) },
    list,
    byName: (namespace, name) => {
      const key = `${namespace}/${name}`;
      const own = statics?.list().find((pod) => fullNameOf(pod) === key);
      if (own !== undefined) return own;
      const pod = informer.get(key);
      return pod === undefined || isMirror(pod) ? undefined : pod;
    },
    objectOf: (pod) => {
      if (pod.metadata?.annotations?.[configAnnotations.source] !== 'file') return pod;
      const mirror = informer.get(fullNameOf(pod));
      return mirror?.metadata?.annotations?.[configAnnotations.mirror] === pod.metadata.uid
        ? mirror
        : undefined;
    },
  };
}
