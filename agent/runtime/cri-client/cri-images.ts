/** Images of a runtime that is asked by CRI. What there is is known from its list, which is asked anew from time to time. */
import type { Readable } from 'node:stream';
import { formatReference, parseReference } from '#api/oci/reference.ts';
import { findImage } from '#agent/runtime/images/find-image.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { Image, PodSandboxConfig, Services } from '#proto/cri/api.ts';
import type { UnixClient } from '#proto/unix-client.ts';
import type { ImageRecord, ImageStore } from '#agent/runtime/runtime.ts';
import { saidBy } from './cri-streams.ts';

/** As of a pull of our own: nobody needs an image that takes longer. */
const pullMsMax = 12 * 3_600_000;

export function recordOf({
  id,
  repo_tags: names,
  repo_digests: digests,
  size,
  uid,
  username,
}: Image): ImageRecord {
  const user = username === '' ? (uid === null || uid.value === 0 ? '' : String(uid.value)) : username;
  return { id, names, digests, sizeBytes: size, createdAtMs: 0, user }; // When it was made CRI does not say.
}

/** Its refusals, by what runtimes say: most of them have one code for all. Pure. */
export function pullError(reference: string, error: unknown): unknown {
  if (!isPodwrightError(error)) return error;
  const said = saidBy(error);
  const isDenied = /unauthorized|denied|forbidden|authenticat|\b40[13]\b/i.test(said);
  const code = isDenied
    ? 'E_PERMISSION'
    : /not found|manifest unknown/i.test(said)
      ? 'E_NOT_FOUND'
      : error.code;
  return new PodwrightError(code, `pull ${reference}: ${said}`, { detail: error.detail });
}

export class CriImageStore implements ImageStore {
  /** CRI-O has policies of signatures for namespaces. */
  readonly isByNamespace = true;
  readonly #client: UnixClient;
  readonly #service: Services['runtime.v1.ImageService'];
  /** What a pod's sandbox was made with; undefined: it has none yet. */
  sandboxOf: (uid: string) => Outgoing<PodSandboxConfig> | undefined = () => undefined;
  #images: readonly ImageRecord[] = [];

  constructor(client: UnixClient, service: Services['runtime.v1.ImageService']) {
    this.#client = client;
    this.#service = service;
  }

  async refresh(signal?: AbortSignal): Promise<void> {
    const { images } = await this.#client.call(
      this.#service.ListImages,
      {},
      signal === undefined ? {} : { signal },
    );
    this.#images = images.map(recordOf);
  }

  list(): readonly ImageRecord[] {
    return this.#images;
  }

  resolve(reference: string): ImageRecord | undefined {
    return findImage(this.#images, reference);
  }

  async pull(
    reference: string,
    { credentials, pod }: Parameters<ImageStore['pull']>[1],
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    const name = formatReference(parseReference(reference));
    try {
      const request = {
        image: { image: name },
        ...(credentials === undefined ? {} : { auth: credentials }),
        ...(pod === undefined ? {} : { sandbox_config: this.sandboxOf(pod.uid) ?? { metadata: pod } }),
      };
      const options = { timeoutMs: pullMsMax, signal };
      const { image_ref: ref } = await this.#client.call(this.#service.PullImage, request, options);
      const { image } = await this.#client.call(
        this.#service.ImageStatus,
        { image: { image: ref } },
        { signal },
      );
      await this.refresh(signal);
      if (image !== null) return recordOf(image);
      throw new PodwrightError('E_NOT_FOUND', `pull ${name}: the runtime has it no more`);
    } catch (error) {
      signal.throwIfAborted();
      throw pullError(name, error);
    }
  }

  async importArchive(_source: Readable | { readonly directory: string }): Promise<readonly ImageRecord[]> {
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'import image: the node’s images are those of its container runtime, which is given archives by its own program (ctr -n k8s.io images import FILE)',
    );
  }

  async remove(reference: string): Promise<void> {
    await this.#client.call(this.#service.RemoveImage, { image: { image: reference } });
    await this.refresh();
  }
}
