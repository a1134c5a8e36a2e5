import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createDemoImage, demoImageKey, demoImageName } from '#agent/runtime/images/demo-image.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';

/**
 * So that a first pod needs no registry. A node that cannot have it goes without; why is what is returned. It is made when a container
 * first needs it: two megabytes and 300 files, on each node.
 *
 * @param noteFile what it became on this machine before
 */
export async function ensureDemoImage(
  { images }: Pick<Runtime, 'images'>,
  { noteFile, logger }: { readonly noteFile: string; readonly logger: Logger },
): Promise<string | undefined> {
  if (images.importWhenUsed === undefined || images.resolve(demoImageName) !== undefined) return undefined;
  try {
    const own = { key: await demoImageKey(), noteFile, make: () => createDemoImage() };
    await images.importWhenUsed(own, new AbortController().signal);
    return undefined;
  } catch (error) {
    logger.warn({ error: describeError(error) }, 'no demo image');
    return describeError(error);
  }
}
