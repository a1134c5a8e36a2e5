import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { isOpaque } from '#agent/runtime/images/lower-layers.ts';

/**
 * The id of a layer that is what it is by the layers below it, as of one that names files in directories that it says nothing of. One
 * that says all of itself goes by its diffId, so that images on other layers share it. No diffId is the same: that would be the digest
 * of a tar.
 */
export function layerIdOn(diffIds: readonly string[]): string {
  return digestOf(Buffer.from(diffIds.join(' ')));
}

/**
 * A layer laid on others, which are given as overlayfs lists lower directories: topmost first. One that is there again further down
 * shows nothing there that it does not show above (and overlayfs refuses it: ELOOP); what lies below a layer whose root is opaque is
 * hidden, which overlayfs does not look for at a root.
 */
export function layOn(below: readonly string[], directory: string): readonly string[] {
  return isOpaque(directory) ? [directory] : [directory, ...below.filter((each) => each !== directory)];
}
