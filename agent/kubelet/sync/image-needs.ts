/** The images that a container takes: those that it mounts as volumes (KEP-4639), then its own. Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { isImageId, parseReference, referenceFault } from '#api/oci/reference.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { KnownFacts, SpecContainer } from './pod-input.ts';

export interface ImageNeed {
  /** In the facts: the container's name, or `volumes/NAME`, which no container has. */
  readonly key: string;
  /** The volume whose files it is; undefined: the container's own. */
  readonly volume?: string;
  readonly image: string;
  readonly policy: string | undefined;
  /** Which a pull counts for: 0 of volumes, which are pulled once for the pod. */
  readonly attempt: number;
}

/** Where an image stands before a start. */
export type ImageState =
  | {
      readonly state: 'present';
      readonly imageId: string;
      /** Of the volumes that it mounts, by their names. */
      readonly volumeImages?: ReadonlyMap<string, string>;
    }
  | { readonly state: 'wanted'; readonly need: ImageNeed }
  | { readonly state: 'pulling' }
  | {
      readonly state: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly retryAtMs: number;
    };

const volumeKey = (name: string): string => `volumes/${name}`;

/** Of the volumes that a container mounts, in their order in the pod. */
export function volumeImagesOf(pod: Pod, { volumeMounts = [] }: SpecContainer['spec']): readonly ImageNeed[] {
  const mounted = new Set(volumeMounts.map(({ name }) => name));
  return imagesOfVolumes(pod).filter(({ volume = '' }) => mounted.has(volume));
}

function imagesOfVolumes({ spec }: Pod): readonly ImageNeed[] {
  return (spec?.volumes ?? []).flatMap(({ name, image }) =>
    image === undefined
      ? []
      : [
          {
            key: volumeKey(name),
            volume: name,
            image: image.reference ?? '',
            policy: image.pullPolicy,
            attempt: 0,
          },
        ],
  );
}

/** What images the pod names, by their keys. */
export function imagesOfPod(pod: Pod, containers: readonly SpecContainer[]): ReadonlyMap<string, string> {
  return new Map([
    ...containers.map(({ spec }): [string, string] => [spec.name, spec.image ?? '']),
    ...imagesOfVolumes(pod).map(({ key, image }): [string, string] => [key, image]),
  ]);
}

/** The first of them that is not there; of all that are, the container's own with those of its volumes. */
export function imagesState(
  needs: readonly ImageNeed[],
  now: number,
  facts: Pick<KnownFacts, 'pulls' | 'presentImages' | 'lockedImages'>,
): ImageState {
  const volumeImages = new Map<string, string>();
  let own = '';
  for (const need of needs) {
    const state = imageStateOf(need, now, facts);
    if (state.state !== 'present') return state;
    if (need.volume === undefined) own = state.imageId;
    else volumeImages.set(need.volume, state.imageId);
  }
  return { state: 'present', imageId: own, ...(volumeImages.size === 0 ? {} : { volumeImages }) };
}

/** How long a failed pull is shown as ErrImagePull before it becomes ImagePullBackOff. */
const pullErrorShownMs = 1000;

function imageStateOf(
  need: ImageNeed,
  now: number,
  facts: Pick<KnownFacts, 'pulls' | 'presentImages' | 'lockedImages'>,
): ImageState {
  const { image, policy, key, attempt } = need;
  const pull = facts.pulls.get(key);
  const present = facts.presentImages.get(key);
  if (present !== undefined && policy !== 'Always') return { state: 'present', imageId: present };
  if (!isImageName(image)) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${referenceFault(image)}`;
    return { state: 'failed', reason: 'InvalidImageName', message, retryAtMs: Infinity };
  }
  const locked = facts.lockedImages?.get(key);
  if (policy === 'Never' && locked === undefined) {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    return { state: 'failed', reason: 'ErrImageNeverPull', message, retryAtMs: now + 10_000 };
  }
  if (pull?.state === 'pulling') return { state: 'pulling' };
  // It may have been removed since: nothing holds an image before its container is there, nor a volume's between two runs.
  const isThere = (present ?? locked) !== undefined;
  if (pull?.state === 'done' && pull.attempt === attempt && isThere)
    return { state: 'present', imageId: pull.imageId };
  if (pull?.state !== 'failed' || now >= pull.retryAtMs) return { state: 'wanted', need };
  const { reason, retryAtMs } = pull;
  if (reason === 'ErrImageNeverPull') return { state: 'failed', reason, message: pull.message, retryAtMs };
  const shownUntil = pull.failedAtMs + pullErrorShownMs;
  if (now < shownUntil)
    return { state: 'failed', reason: pull.reason, message: pull.message, retryAtMs: shownUntil };
  const message = `Back-off pulling image "${image}": ${pull.reason}: ${pull.message}`;
  return { state: 'failed', reason: 'ImagePullBackOff', message, retryAtMs: pull.retryAtMs };
}

export function isImageName(image: string): boolean {
  try {
    parseReference(image);
    return true;
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) return isImageId(image);
    throw error;
  }
}
