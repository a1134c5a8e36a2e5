import type {
  PersistentVolume,
  Pod,
  PodCertificateRequest,
  ResourceSlice,
  VolumeAttachment,
} from '#api/generated/objects.ts';
import { ownFieldsOf } from '#api/meta/field-selector.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { typed } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  mirrorAll,
  type Mirrored,
  type MirrorParts,
  type MirrorSink,
} from '#control-plane/apiserver/objects/mirror.ts';
import { nameInKey, namespaceInKey } from '#control-plane/apiserver/objects/storage-key.ts';
import { nodeOf, type NodeGraph } from './node-graph.ts';

/** Keeps a graph of what is stored. Resolves when it has all of it. */
export function keepNodeGraph(parts: MirrorParts, graph: NodeGraph): Promise<Disposable> {
  return mirrorAll(parts, sinksOf(graph));
}

const pods = builtIn('', 'v1', 'pods');
const [nodeField, phaseField] = ['spec.nodeName', 'status.phase'].map((field) =>
  ownFieldsOf(pods).indexOf(field),
);

function sinksOf(graph: NodeGraph): readonly (readonly [Kind, MirrorSink])[] {
  const own = (resource: string): MirrorSink => ({
    put: ({ key, object }) =>
      graph.putOwn(`${resource}/${nameInKey(key)}`, nodeOf(typed<VolumeAttachment | ResourceSlice>(object))),
    remove: (key) => graph.putOwn(`${resource}/${nameInKey(key)}`, undefined),
  });
  return [
    [
      pods,
      {
        put: (stored) => putPod(graph, stored),
        remove: (key) => graph.removePod(podKey(key)),
      },
    ],
    [
      builtIn('', 'v1', 'persistentvolumes'),
      {
        put: ({ object }) => graph.putVolume(typed<PersistentVolume>(object)),
        remove: (key) => graph.removeVolume(nameInKey(key)),
      },
    ],
    [builtIn('storage.k8s.io', 'v1', 'volumeattachments'), own('volumeattachments')],
    [builtIn('resource.k8s.io', 'v1', 'resourceslices'), own('resourceslices')],
    [
      builtIn('certificates.k8s.io', 'v1beta1', 'podcertificaterequests'),
      {
        put: ({ key, object }) =>
          graph.putOwn(`${certificates}/${podKey(key)}`, typed<PodCertificateRequest>(object).spec.nodeName),
        remove: (key) => graph.putOwn(`${certificates}/${podKey(key)}`, undefined),
      },
    ],
  ];
}

const certificates = 'podcertificaterequests';
const debugged = '"ephemeralContainers":';

/** Most writes of pods are of their status, and change nothing here: these are told apart without parsing. */
function putPod(graph: NodeGraph, stored: Mirrored): void {
  const key = podKey(stored.key);
  const { fields } = stored;
  const node = fields[nodeField ?? -1] ?? '';
  const phase = fields[phaseField ?? -1] ?? '';
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  // Containers for debugging come later than the pod, and may name what it does not.
  const isDebugged = Buffer.from(
    stored.bytes.buffer,
    stored.bytes.byteOffset,
    stored.bytes.byteLength,
  ).includes(debugged);
  if (!isDebugged && graph.isTied(key, { node, isOver })) return;
  graph.putPod(key, typed<Pod>(stored.object));
}

function podKey(key: string): string {
  return `${namespaceInKey(key)}/${nameInKey(key)}`;
}
