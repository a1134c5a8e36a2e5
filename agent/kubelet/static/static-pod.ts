/** A static pod: what a node makes of a manifest, without any server (Kubernetes, "Create static Pods"). Pure. */
import { createHash } from 'node:crypto';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { invalid } from '#api/errors/status.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { referencesOf } from '#api/pod/references.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { objectsOfDocument, splitDocuments } from '#api/wire/documents.ts';
import { typed } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';

/** Annotations of static pods and their mirrors (pkg/kubelet/types). */
export const configAnnotations = {
  hash: 'kubernetes.io/config.hash',
  source: 'kubernetes.io/config.source',
  seen: 'kubernetes.io/config.seen',
  mirror: 'kubernetes.io/config.mirror',
} as const;

export interface Manifest {
  readonly text: string;
  /** Its path. */
  readonly file: string;
}

/**
 * The pod: of this node by name, and another (by its uid) with each change of the file. What is in the API no static pod names: it is
 * to run where there is no API.
 * @throws {E_INVALID} with all that is wrong, for anything but one Pod, and for a pod that names objects
 */
export function staticPodOf({ text, file }: Manifest, nodeName: string, nowMs: number): Pod {
  const [document, ...more] = splitDocuments(text).flatMap(objectsOfDocument);
  const kind = document === undefined ? undefined : findKindByName('v1', 'Pod');
  const isPod = document?.apiVersion === 'v1' && document.kind === 'Pod';
  if (document === undefined || kind === undefined || !isPod || more.length > 0)
    throw new PodwrightError('E_INVALID', 'a manifest is one object of kind Pod, apiVersion v1');
  const defaulted = applyDefaults(kind, decodeRequest(kind, document, 'Strict').object);
  const given = typed<Pod>(defaulted);
  const { name = '', namespace = 'default', annotations = {} } = given.metadata ?? {};
  // Never one that the text gives: a change of the text would change nothing then.
  const uid = createHash('md5').update(`${nodeName}\0${file}\0${text}`).digest('hex');
  const told = {
    [configAnnotations.hash]: uid,
    [configAnnotations.source]: 'file',
    [configAnnotations.seen]: new Date(nowMs).toISOString(),
  };
  const named: JsonObject = {
    ...defaulted,
    metadata: {
      ...given.metadata,
      name: `${name}-${nodeName.toLowerCase()}`,
      namespace,
      annotations: { ...annotations, ...told },
    },
    spec: {
      containers: [],
      ...given.spec,
      nodeName,
      tolerations: [...(given.spec?.tolerations ?? []), staysOn],
    },
  };
  const pod = prepareCreate(kind, named, { now: nowMs, uid, namespace });
  const errors = validateCreate(kind, pod);
  if (errors.length > 0) throw invalid(kind, name, errors);
  const [reference] = referencesOf(typed<Pod>(pod));
  if (reference !== undefined)
    throw new PodwrightError('E_INVALID', `a static pod may not refer to objects of the API: ${reference}`);
  return typed<Pod>(pod);
}

/** No taint ends it: it is the node's own. */
const staysOn = { operator: 'Exists', effect: 'NoExecute' } as const;

export function isMirror({ metadata }: Pod): boolean {
  return metadata?.annotations?.[configAnnotations.mirror] !== undefined;
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
