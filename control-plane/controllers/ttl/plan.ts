/** How long a node may go by what it read (pkg/controller/ttl): nodes of large clusters ask for ConfigMaps and Secrets less often. */

/** Seconds, as text. */
export const ttlAnnotation = 'node.alpha.kubernetes.io/ttl';

/** Sizes overlap, so that a cluster at an edge does not go to and fro. */
const steps = [
  { sizeMin: 0, sizeMax: 100, ttlSeconds: 0 },
  { sizeMin: 90, sizeMax: 500, ttlSeconds: 15 },
  { sizeMin: 450, sizeMax: 1_000, ttlSeconds: 30 },
  { sizeMin: 900, sizeMax: 2_000, ttlSeconds: 60 },
  { sizeMin: 1_800, sizeMax: Infinity, ttlSeconds: 300 },
] as const;

/** The step of a cluster that was in step `step` and has so many nodes now. Pure. */
export function nextStep(step: number, nodeCount: number): number {
  const { sizeMin = 0, sizeMax = Infinity } = steps[step] ?? {};
  if (nodeCount > sizeMax) return nextStep(step + 1, nodeCount);
  return nodeCount < sizeMin ? nextStep(step - 1, nodeCount) : step;
}

export function ttlSecondsOf(step: number): number {
  return steps[step]?.ttlSeconds ?? 0;
}

/** Whether the annotation says so many seconds; what is no number says nothing. Pure. */
export function saysTtl(annotation: string | undefined, ttlSeconds: number): boolean {
  return annotation !== undefined && /^[+-]?\d+$/.test(annotation) && Number(annotation) === ttlSeconds;
}
