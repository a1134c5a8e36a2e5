import { formatReference, isImageId, parseReference, repositoryOf } from '#api/oci/reference.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';

/** The image that a reference means: an id with or without its algorithm, a digest of a repository, or a name. */
export function findImage<T extends Pick<ImageRecord, 'id' | 'digests' | 'names'>>(
  images: readonly T[],
  reference: string,
): T | undefined {
  if (isImageId(reference)) {
    const id = reference.startsWith('sha256:') ? reference : `sha256:${reference}`;
    return images.find((image) => image.id === id);
  }
  const parsed = parseReference(reference);
  if (parsed.digest !== undefined) {
    const digest = `${repositoryOf(parsed)}@${parsed.digest}`;
    return images.find(({ digests }) => digests.includes(digest));
  }
  const name = formatReference(parsed);
  return images.find(({ names }) => names.includes(name));
}
