/** What a container's image says: as a node's store has it, or assumed. */
import { resolve } from 'node:path';

import type { Container, EphemeralContainer, Pod } from '#api/generated/objects.ts';
import type { ImageConfig } from '#api/oci/config.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ImageAccounts } from '#agent/runtime/image-user.ts';
import { LocalImageStore } from '#agent/runtime/images/image-store.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { assumedImage } from './assumed-node.ts';

export interface PlannedImage {
  readonly id: string;
  readonly record: ImageRecord | undefined;
  readonly config: ImageConfig;
  readonly lower: readonly string[]; // top first
  readonly accounts: ImageAccounts;
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number };
  /** What the header has to say about it. */
  readonly assumption: string | undefined;
}

export type ImageSource = (pod: Pod, container: Container | EphemeralContainer) => Promise<PlannedImage>;

/** Nobody who must not be root, where neither pod nor image is known to say who else. */
const nonRootUser = '65532';

/** Images of which only the name is known. */
export const assumeImages: ImageSource = async (pod, container) => {
  const own = container.securityContext ?? {};
  const shared = pod.spec?.securityContext ?? {};
  const mustNotBeRoot = (own.runAsNonRoot ?? shared.runAsNonRoot) === true;
  const user = mustNotBeRoot && (own.runAsUser ?? shared.runAsUser) === undefined ? nonRootUser : '';
  const id = `sha256:${'0'.repeat(64)}`;
  const record = { id, names: [], digests: [], sizeBytes: 0, createdAtMs: 0, user };
  const root = { mode: 0o755, uid: 0, gid: 0 };
  const who = user === '' ? 'root' : user;
  const assumption = `image ${container.image ?? ''} is here, its entrypoint /IMAGE-ENTRYPOINT, cmd IMAGE-CMD, user ${who}, one layer`;
  return { id, record, ...assumedImage(user), accounts: { users: [], groups: [] }, root, assumption };
};

/** The images in a node's data directory, which is only read. @throws {E_NOT_FOUND} when there is no store */
export async function readImages(directory: string): Promise<ImageSource> {
  const store = new LocalImageStore({ directory: resolve(directory) });
  try {
    await store.load();
  } catch (cause) {
    throw new PodwrightError('E_NOT_FOUND', `read image store ${directory}`, { cause });
  }
  return async (_pod, { image = '' }) => {
    const record = store.resolve(image);
    if (record === undefined) {
      throw new PodwrightError(
        'E_NOT_FOUND',
        `find image ${image}: not in ${directory}; import it, or leave --image-store out`,
      );
    }
    const { config, lower, accounts, root } = await store.content(record.id);
    return {
      id: record.id,
      record,
      config,
      lower,
      accounts,
      root,
      assumption: undefined,
    };
  };
}
