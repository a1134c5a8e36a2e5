/** Images that a container mounts: on the host for as long as its launch takes, which clones the mounts. */
import { readlink } from 'node:fs/promises';
import { describeError, PodwrightError } from '#base/errors.ts';
import { openInside } from '#native/fs/open-inside.ts';
import type { LaunchMount } from '#native/launch/launch.ts';
import { imagesDirectory } from '#agent/runtime/container-root.ts';
import type { ImageContent } from '#agent/runtime/images/image-store.ts';
import type { ContainerConfig, ContainerMount, ImageMount } from '#agent/runtime/runtime.ts';
import type { RuntimeSystem } from '#agent/runtime/system.ts';
import { containersDirectory, type PlacedContainer } from './plan-container.ts';
import type { RuntimePaths } from './plan-sandbox.ts';

export interface ImagePlaces {
  readonly images: { content(id: string): Promise<ImageContent> };
  readonly paths: RuntimePaths;
  readonly system: Pick<RuntimeSystem, 'mountImage' | 'unmount'>;
}

export interface PlacedImages extends AsyncDisposable {
  readonly config: PlacedContainer;
  /** Of the images, which the container keeps. */
  readonly layerIds: readonly string[];
}

/**
 * The container with binds of what its images have, each image mounted once. Disposing it unmounts them; what a kill leaves goes with
 * the container's directories. @throws E_NOT_FOUND for an image or a path that is not there, E_INVALID for a path that leads out
 */
export async function placeImages(config: ContainerConfig, places: ImagePlaces): Promise<PlacedImages> {
  const asked = config.mounts.filter((mount) => mount.type === 'image');
  await using undo = new AsyncDisposableStack();

  const roots = new Map<string, string>();
  const layerIds = new Set<string>();
  for (const id of new Set(asked.map(({ source }) => source))) {
    const content = await places.images.content(id);
    const directory = imagesDirectory(containersDirectory(places.paths), config.id);
    const root = `${directory}/${roots.size}`;
    await places.system.mountImage(root, content.lower);
    undo.defer(() => places.system.unmount(root));
    roots.set(id, root);
    for (const layerId of content.layerIds) layerIds.add(layerId);
  }
  const mounts: LaunchMount[] = [];
  for (const mount of config.mounts) mounts.push(isImage(mount) ? await placed(mount, roots) : mount);
  const owned = undo.move();
  return {
    config: { ...config, mounts },
    layerIds: [...layerIds],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const isImage = (mount: ContainerMount): mount is ImageMount => mount.type === 'image';

/** An overlay takes no shifted ids: in a user namespace of the pod's own the files are nobody's, and read as others may. */
async function placed(
  { source, subPath, target, options }: ImageMount,
  roots: ReadonlyMap<string, string>,
): Promise<LaunchMount> {
  const root = roots.get(source) ?? '';
  const found = await pathInside(root, { subPath, image: source });
  return { type: 'bind', source: found.path, target, options, isFile: found.isFile, isIdMapped: false };
}

/** Links are followed inside the image alone. Nobody writes to it, so that what was found is what is mounted. */
async function pathInside(
  root: string,
  { subPath, image }: { readonly subPath: string | undefined; readonly image: string },
): Promise<{ readonly path: string; readonly isFile: boolean }> {
  if (subPath === undefined || subPath === '') return { path: root, isFile: false };
  try {
    using found = openInside(root, subPath);

    const path = await readlink(`/proc/self/fd/${found.fd}`);
    return { path, isFile: found.type !== 'directory' };
  } catch (cause) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      `mount image ${image}: sub path ${JSON.stringify(subPath)} is not in it: ${describeError(cause)}`,
      { cause },
    );
  }
}
