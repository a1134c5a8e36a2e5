/** Which images the kubelet pulled, and with whose credentials: files beside the node's other state, as upstream's kubelet lays them out. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { isDraft, writeDurably } from '#base/durable-file.ts';
import { describeError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { formatTime } from '#api/meta/time.ts';
import { isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { ImageStore } from '#agent/runtime/runtime.ts';
import {
  hasAccess,
  mustVerify,
  noAccess,
  repositoryOfImage,
  withAccess,
  type Holder,
  type ImageAccess,
  type PodCredentials,
  type PullAccess,
  type SecretHolder,
  type VerificationSettings,
} from './verification.ts';

export interface PulledImages {
  /** Whether any pod may use the image that is there under the name. */
  isOpen(image: string, imageId: string): boolean;
  /** Whether a pod with these credentials may. */
  mayUse(image: string, imageId: string, credentials: PodCredentials): boolean;
  /** Before a pull: an agent that is killed in it does not take the image for somebody else's. */
  begin(image: string): Promise<void>;
  /** It is there now, and by what. */
  end(image: string, imageId: string, by: PullAccess): Promise<void>;
}

export interface PulledImagesOptions {
  /** `image_manager` in the kubelet's directory. */
  readonly directory: string;
  readonly settings: VerificationSettings;
  readonly images: Pick<ImageStore, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** By repository. */
type Accesses = ReadonlyMap<string, ImageAccess>;

const recordBytesMax = 1_048_576;
const apiVersion = 'kubelet.config.k8s.io/v1beta1';

/** All of it is in memory: what is on disk is for the next agent. */
export async function openPulledImages(options: PulledImagesOptions): Promise<PulledImages> {
  const { settings, images, clock } = options;
  const [pulled, pulling] = ['pulled', 'pulling'].map((name) => path.join(options.directory, name));
  if (pulled === undefined || pulling === undefined) throw new TypeError('two directories');
  await Promise.all([pulled, pulling].map((each) => mkdir(each, { recursive: true, mode: 0o700 })));
  const records = new Map((await readAll(pulled, options)).map(parseRecord));
  const underWay = new Set((await readAll(pulling, options)).map((each) => stringOf(each['image'])));
  const writes = createTurns();

  const accessOf = (image: string, imageId: string): ImageAccess | undefined =>
    records.get(imageId)?.get(repositoryOfImage(image));
  const isFree = (image: string, imageId: string): boolean =>
    !mustVerify(settings, image, records.has(imageId) || underWay.has(image));
  const prune = async (): Promise<void> => {
    const present = new Set(images.list().map(({ id }) => id));
    for (const imageId of [...records.keys()].filter((id) => !present.has(id))) {
      records.delete(imageId);
      await rm(fileOf(pulled, imageId), { force: true });
    }
  };
  return {
    isOpen: (image, imageId) => isFree(image, imageId) || accessOf(image, imageId)?.isOpen === true,
    mayUse: (image, imageId, credentials) =>
      isFree(image, imageId) || hasAccess(accessOf(image, imageId) ?? noAccess, credentials),
    begin: (image) =>
      writes.take(async () => {
        if (underWay.has(image)) return;
        underWay.add(image);
        const intent = { kind: 'ImagePullIntent', apiVersion, image };
        await writeDurably(fileOf(pulling, image), JSON.stringify(intent));
      }),
    end: (image, imageId, by) =>
      writes.take(async () => {
        const before = records.get(imageId) ?? new Map<string, ImageAccess>();
        const repository = repositoryOfImage(image);
        const after = new Map(before).set(repository, withAccess(before.get(repository) ?? noAccess, by));
        records.set(imageId, after);
        const text = JSON.stringify(renderRecord(imageId, after, clock.now()));
        await writeDurably(fileOf(pulled, imageId), text);
        underWay.delete(image);
        await rm(fileOf(pulling, image), { force: true });
        await prune();
      }),
  };
}

/** One write after another. */
function createTurns(): { take(work: () => Promise<void>): Promise<void> } {
  let turn: Promise<void> = Promise.resolve();
  return {
    take: (work) => {
      const result = turn.then(work);
      turn = result.catch(() => undefined); // Told to whoever asked for it.
      return result;
    },
  };
}

function fileOf(directory: string, what: string): string {
  return path.join(directory, `sha256-${createHash('sha256').update(what).digest('hex')}`);
}

/** What cannot be read is nobody's record: its image counts as brought by somebody else, as without the file. */
async function readAll(
  directory: string,
  { logger }: PulledImagesOptions,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const found: Readonly<Record<string, unknown>>[] = [];
  for (const name of (await readdir(directory)).filter((each) => !isDraft(each))) {
    const file = path.join(directory, name);
    try {
      const text = await readFile(file, 'utf8');
      if (text.length > recordBytesMax) throw new RangeError(`more than ${recordBytesMax} bytes`);
      const record: unknown = JSON.parse(text);
      if (!isObject(record)) throw new TypeError('no object');
      found.push(record);
    } catch (error) {
      logger.warn({ file, error: describeError(error) }, 'record of an image not read');
    }
  }
  return found;
}

function renderRecord(imageId: string, accesses: Accesses, nowMs: number): unknown {
  const credentialMapping = Object.fromEntries(
    [...accesses].map(([repository, { isOpen, secrets, accounts }]) => [
      repository,
      {
        ...(secrets.length === 0 ? {} : { kubernetesSecrets: secrets }),
        ...(accounts.length === 0 ? {} : { kubernetesServiceAccounts: accounts }),
        ...(isOpen ? { nodePodsAccessible: true } : {}),
      },
    ]),
  );
  const lastUpdatedTime = formatTime(nowMs);
  return { kind: 'ImagePulledRecord', apiVersion, lastUpdatedTime, imageRef: imageId, credentialMapping };
}

function parseRecord(record: Readonly<Record<string, unknown>>): readonly [string, Accesses] {
  const mapping = Object.entries(objectOf(record['credentialMapping'])).map(
    ([repository, value]): readonly [string, ImageAccess] => {
      const { kubernetesSecrets, kubernetesServiceAccounts, nodePodsAccessible } = objectOf(value);
      const secrets = listOf(kubernetesSecrets).map((each): SecretHolder => ({
        ...holderOf(each),
        credentialHash: stringOf(objectOf(each)['credentialHash']),
      }));
      const accounts = listOf(kubernetesServiceAccounts).map(holderOf);
      return [repository, { isOpen: nodePodsAccessible === true, secrets, accounts }];
    },
  );
  return [stringOf(record['imageRef']), new Map(mapping)];
}

function holderOf(value: unknown): Holder {
  const { uid, namespace, name } = objectOf(value);
  return { uid: stringOf(uid), namespace: stringOf(namespace), name: stringOf(name) };
}
