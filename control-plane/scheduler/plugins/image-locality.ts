import { scoreMax, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';

const mebibyte = 1_048_576;
// Bounds of kube-scheduler's ImageLocality: below the first an image does not matter, above the second for each container it matters fully.
const sizeMinBytes = 23 * mebibyte;
const sizeMaxBytes = 1000 * mebibyte;

/**
 * Prefers nodes that have the images already, of containers and (since 1.36) of volumes. An image counts by the share of the nodes that have it, so that not all pods run to the one
 * node that was first.
 */
export const imageLocalityScore: ScorePlugin = {
  name: 'ImageLocality',
  weight: 1,
  normalization: 'none',
  score: ({ pod: { spec }, snapshot }) => {
    const images = [
      ...[...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ image = '' }) => image),
      ...(spec?.volumes ?? []).flatMap(({ image }) => (image === undefined ? [] : [image.reference ?? ''])),
    ].map(normalizedImage);
    if (images.length === 0) return undefined;
    const { nodes, nodesWithImage } = snapshot;
    const counted = new Map<string, number>();
    const shareOf = (image: string): number => {
      const known = counted.get(image);
      if (known !== undefined) return known;
      const count = nodesWithImage?.(image) ?? nodes.filter(({ imageSizes }) => imageSizes.has(image)).length;
      const share = count / Math.max(1, nodes.length);
      counted.set(image, share);
      return share;
    };
    const wanted = images.filter((image) => shareOf(image) > 0);
    if (wanted.length === 0) return undefined;
    const max = sizeMaxBytes * images.length;
    return ({ imageSizes }) => {
      let bytes = 0;
      for (const image of wanted) bytes += Math.floor((imageSizes.get(image) ?? 0) * shareOf(image));
      const clamped = Math.min(Math.max(bytes, sizeMinBytes), max);
      return Math.floor((scoreMax * (clamped - sizeMinBytes)) / (max - sizeMinBytes));
    };
  },
};

/** With the tag that is meant when none is written. */
function normalizedImage(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}
