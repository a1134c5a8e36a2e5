/** All pods of a node: those that the API has for it, and its static ones, which the API shows as mirrors. */
import type { Pod } from '#api/generated/objects.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { PodSource } from '#agent/kubelet/sync/pod-intake.ts';
import { configAnnotations, fullNameOf, isMirror, isStatic } from './static-pod.ts';
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

/**
 * Whoever makes a pod in the API can annotate it as a file's would be: no shortage would end it, and its status would go to a mirror that it
 * has not. Where a pod comes from the source says (as PodConfig does).
 */
const known = new WeakMap<Pod, Pod>();

function fromApi(pod: Pod): Pod {
  if (!isStatic(pod)) return pod;
  const { metadata } = pod;
  const annotations = { ...metadata?.annotations, [configAnnotations.source]: 'api' };
  const own = known.get(pod) ?? { ...pod, metadata: { ...metadata, annotations } };
  known.set(pod, own);
  return own;
}

export function joinSources(informer: WritableInformer<Pod>, statics: StaticPods | undefined): PodSources {
  const list = (): readonly Pod[] => [
    ...(statics?.list() ?? []),
    ...informer.list().flatMap((pod) => (isMirror(pod) ? [] : fromApi(pod))),
  ];
  return {
    fromApi: {
      list,
      onChange: (handler) =>
        informer.onChange(({ key, old, current }) => {
          const [before, now] = [old, current].map((pod) =>
            pod === undefined || isMirror(pod) ? undefined : fromApi(pod),
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
      return pod === undefined || isMirror(pod) ? undefined : fromApi(pod);
    },
    objectOf: (pod) => {
      if (!isStatic(pod)) return pod;
      const mirror = informer.get(fullNameOf(pod));
      return mirror?.metadata?.annotations?.[configAnnotations.mirror] === pod.metadata?.uid
        ? mirror
        : undefined;
    },
  };
}
