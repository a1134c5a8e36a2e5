/** Which images of a node are removed, and when: the kubelet's image garbage collection. Pure. */

/** KubeletConfiguration: imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge, imageMaximumGCAge. */
export interface ImageGcPolicy {
  /** Of the disk in use, from which on unused images are removed; 100: never. */
  readonly highThresholdPercent: number;
  /** Down to which they are. */
  readonly lowThresholdPercent: number;
  /** No image goes that is younger. */
  readonly minAgeMs: number;
  /** An image that is unused for longer goes, whatever room there is; 0: none does. */
  readonly maxAgeMs: number;
}

/** The kubelet's defaults. */
export const defaultImageGcPolicy: ImageGcPolicy = {
  highThresholdPercent: 85,
  lowThresholdPercent: 80,
  minAgeMs: 120_000,
  maxAgeMs: 0,
};

/** What is known of an image since this agent runs. */
export interface ImageUse {
  readonly id: string;
  readonly detectedMs: number;
  /** 0: not since this agent runs. */
  readonly lastUsedMs: number;
}

export interface Disk {
  readonly bytes: number;
  readonly availableBytes: number;
}

/**
 * What is known after a look: images that came are detected now (those that were there at the first look, long ago), those that a container is
 * made of are used now, and those that went are forgotten.
 */
export function observeImages(
  known: ReadonlyMap<string, ImageUse>,
  seen: { readonly ids: readonly string[]; readonly used: ReadonlySet<string>; readonly isFirst: boolean },
  now: number,
): ReadonlyMap<string, ImageUse> {
  return new Map(
    seen.ids.map((id) => {
      const before = known.get(id) ?? { id, detectedMs: seen.isFirst ? 0 : now, lastUsedMs: 0 };
      return [id, seen.used.has(id) ? { ...before, lastUsedMs: now } : before];
    }),
  );
}

/** Images that may go, the one unused for longest first: not used now, nor younger than the least age. */
export function removableImages(
  images: Iterable<ImageUse>,
  { minAgeMs }: Pick<ImageGcPolicy, 'minAgeMs'>,
  now: number,
): readonly ImageUse[] {
  return [...images]
    .filter(({ lastUsedMs, detectedMs }) => lastUsedMs < now && now - detectedMs >= minAgeMs)
    .toSorted((a, b) => a.lastUsedMs - b.lastUsedMs || a.detectedMs - b.detectedMs);
}

/** Images that nobody used for too long. An agent that is younger than that cannot know. */
export function agedImages(
  images: Iterable<ImageUse>,
  { maxAgeMs }: Pick<ImageGcPolicy, 'maxAgeMs'>,
  { now, startedMs }: { readonly now: number; readonly startedMs: number },
): readonly ImageUse[] {
  if (maxAgeMs === 0 || now - startedMs <= maxAgeMs) return [];
  return [...images].filter(
    ({ lastUsedMs, detectedMs }) => now - Math.max(lastUsedMs, detectedMs) > maxAgeMs,
  );
}

/** Bytes to be freed, so that the disk is used no more than the lower threshold; 0 below the higher one. */
export function bytesToFree(disk: Disk, policy: ImageGcPolicy): number {
  if (policy.highThresholdPercent === 100 || usedPercent(disk) < policy.highThresholdPercent) return 0;
  return Math.max(
    0,
    Math.floor((disk.bytes * (100 - policy.lowThresholdPercent)) / 100) - disk.availableBytes,
  );
}

export function usedPercent({ bytes, availableBytes }: Disk): number {
  return 100 - Math.floor((Math.min(availableBytes, bytes) * 100) / bytes);
}

/** The kubelet's words. */
export function insufficientMessage(disk: Disk, freedBytes: number): string {
  const size = formatSize(disk.bytes);
  return (
    `Insufficient free disk space on the node's image filesystem (${usedPercent(disk)}% of ${size} used). ` +
    `Failed to free sufficient space by deleting unused images (freed ${freedBytes} bytes). ` +
    'Investigate disk usage, as it could be used by active images, logs, volumes, or other data.'
  );
}

/** As `12.3 GiB`. */
function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}
