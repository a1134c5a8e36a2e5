/** ImageService, over the runtime's image store. */
import { parseReference } from '#api/oci/reference.ts';
import { ExpiringMap } from '#base/expiring-map.ts';
import { usedBelow, type DiskUse } from '#agent/kubelet/evict/used-below.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import type { AuthConfig, Image, ImageFilter, ImageSpec } from '#proto/cri/api.ts';
import type { Outgoing } from '#proto/contract.ts';
import { refusal } from '#proto/status.ts';
import type { CriContext, ImageHandlers } from './context.ts';
import { inParts } from './parts.ts';
import { nanoseconds } from './views.ts';

export function imageHandlers(context: CriContext): ImageHandlers {
  const { runtime, clock, dataDirectory, book } = context;
  const { images } = runtime;
  const uses = new DiskUses(() => clock.monotonic());
  const find = (spec: ImageSpec | null): ImageRecord | undefined => {
    const reference = spec?.image ?? '';
    if (reference === '') throw refusal('INVALID_ARGUMENT', 'find an image: image.image must be given');
    return images.resolve(reference);
  };
  const listed = (filter: ImageFilter | null): readonly ImageRecord[] => {
    if (filter === null || filter.image === null || filter.image.image === '') return images.list();
    const found = find(filter.image);
    return found === undefined ? [] : [found];
  };
  return {
    ListImages: ({ filter }) => ({ images: listed(filter).map(renderImage) }),
    async *StreamImages({ filter }) {
      for (const part of inParts(listed(filter))) yield { images: part.map(renderImage) };
    },
    ImageStatus: ({ image, verbose }) => {
      const found = find(image);
      if (found === undefined) return {};
      return { image: renderImage(found), ...(verbose ? { info: { info: JSON.stringify(found) } } : {}) };
    },
    PullImage: async ({ image, auth }, { signal }) => {
      const reference = image?.image ?? '';
      if (reference === '') throw refusal('INVALID_ARGUMENT', 'pull an image: image.image must be given');
      const credentials = credentialsOf(auth, reference);
      const record = await images.pull(reference, credentials === undefined ? {} : { credentials }, signal);
      return { image_ref: record.id };
    },
    RemoveImage: async ({ image }) => {
      const found = find(image);
      if (found === undefined) return {};
      const waiting = book
        .containers()
        .find(
          ({ id, sandboxUid, launch }) =>
            launch.imageId === found.id &&
            !runtime.observe(sandboxUid)?.containers.some((each) => each.id === id),
        );
      // Once it runs, its layers are held for it.
      if (waiting !== undefined)
        throw refusal(
          'FAILED_PRECONDITION',
          `remove image ${found.id}: container ${waiting.id} is to be started of it`,
        );
      await images.remove(found.id);
      return {};
    },
    ImageFsInfo: async () => {
      const usage = async (directory: string): Promise<object> => {
        const { bytes, inodes } = await uses.of(`${dataDirectory}/${directory}`);
        return {
          timestamp: nanoseconds(clock.now()),
          fs_id: { mountpoint: `${dataDirectory}/${directory}` },
          used_bytes: { value: bytes },
          inodes_used: { value: inodes },
        };
      };
      return {
        image_filesystems: [await usage('layers')],
        container_filesystems: [await usage('containers')],
      };
    },
  };
}

export function renderImage(record: ImageRecord): Outgoing<Image> {
  const { id, names, digests, sizeBytes, user } = record;
  const name = user.split(':', 1)[0] ?? '';
  return {
    id,
    repo_tags: names,
    repo_digests: digests,
    size: sizeBytes,
    // Without a USER it is root: 0, and no name.
    ...(/^\d*$/.test(name) ? { uid: { value: Number(name) } } : { username: name }),
    spec: { image: id },
  };
}

/**
 * For the registry that they are for, and no other. @throws INVALID_ARGUMENT, UNIMPLEMENTED for tokens
 */
export function credentialsOf(
  auth: AuthConfig | null,
  reference: string,
): { readonly username: string; readonly password: string } | undefined {
  if (auth === null || isEmpty(auth)) return undefined;
  const { username, password, auth: both, server_address: server } = auth;
  if (auth.identity_token !== '' || auth.registry_token !== '')
    throw refusal(
      'UNIMPLEMENTED',
      `pull ${reference}: auth.identity_token and registry_token are not supported`,
    );
  if (server !== '' && registryOf(server) !== registryOf(parseReference(reference).host)) return undefined;
  if (username !== '') return { username, password };
  const [, name = '', secret = ''] =
    /^([^:]+):(.*)$/s.exec(Buffer.from(both, 'base64').toString('utf8')) ?? [];
  if (name === '')
    throw refusal('INVALID_ARGUMENT', `pull ${reference}: auth.auth is not user:password in base64`);
  return { username: name, password: secret.replace(/\0+$/, '') };
}

function isEmpty({
  username,
  password,
  auth,
  identity_token: identity,
  registry_token: registry,
}: AuthConfig): boolean {
  return [username, password, auth, identity, registry].every((each) => each === '');
}

/** Docker Hub has several names. */
function registryOf(address: string): string {
  const host = address.replace(/^https?:\/\//, '').split('/', 1)[0] ?? '';
  return ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'].includes(host)
    ? 'docker.io'
    : host;
}

/** Counting what is on the disk walks over it: no more often than this. */
const usesMs = 60_000;
const usesMax = 4096;

/** What directories use, kept for a while. */
export class DiskUses {
  readonly #now: () => number;
  readonly #known = new ExpiringMap<string, Promise<DiskUse>>(usesMax);

  constructor(now: () => number) {
    this.#now = now;
  }

  of(directory: string): Promise<DiskUse> {
    const known = this.#known.get(directory, this.#now());
    if (known !== undefined) return known;
    const counted = usedBelow(directory, Infinity);
    this.#known.set(directory, counted, { ttlMs: usesMs, nowMs: this.#now() });
    return counted;
  }
}
