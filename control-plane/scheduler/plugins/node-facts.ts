import { findUntoleratedTaint } from '#api/pod/tolerations.ts';
import type { Taint } from '#api/generated/objects.ts';
import { passes, scoreMax, type FilterPlugin, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';

export const nodeNameFilter: FilterPlugin = {
  name: 'NodeName',
  mayHelp: (pod, event) => event.kind === 'node' && event.current.metadata?.name === pod.spec?.nodeName,
  filter: ({ pod }) => {
    const wanted = pod.spec?.nodeName;
    if (wanted === undefined || wanted === '') return undefined;
    return (node) => (node.name === wanted ? passes : ["node(s) didn't match the requested node name"]);
  },
};

const cordonTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** A cordoned node takes only pods that tolerate the taint that stands for it. */
export const nodeUnschedulableFilter: FilterPlugin = {
  name: 'NodeUnschedulable',
  mayHelp: (_pod, event) =>
    event.kind === 'node' &&
    event.current.spec?.unschedulable !== true &&
    (event.old === undefined || event.old.spec?.unschedulable === true),
  filter: ({ pod }) => {
    if (findUntoleratedTaint(pod.spec?.tolerations, [cordonTaint], ['NoSchedule']) === undefined)
      return undefined;
    return ({ node }) => (node.spec?.unschedulable === true ? ['node(s) were unschedulable'] : passes);
  },
};

const mebibyte = 1_048_576;
// Bounds of kube-scheduler's ImageLocality: below the first per container an image does not matter, above the second it matters fully.
const sizeMinBytes = 23 * mebibyte;
const sizeMaxBytes = 1000 * mebibyte;

/** Prefers nodes that have the images already. */
export const imageLocalityScore: ScorePlugin = {
  name: 'ImageLocality',
  weight: 1,
  normalization: 'none',
  score: ({ pod }) => {
    const images = (pod.spec?.containers ?? []).map(({ image = '' }) => normalizedImage(image));
    if (images.length === 0) return undefined;
    return ({ imageSizes }) => {
      let bytes = 0;
      for (const image of images) bytes += imageSizes.get(image) ?? 0;
      const max = sizeMaxBytes * images.length;
      const clamped = Math.min(Math.max(bytes, sizeMinBytes), max);
      return (scoreMax * (clamped - sizeMinBytes)) / (max - sizeMinBytes);
    };
  },
};

/** With the tag that is meant when none is written. */
function normalizedImage(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}
