import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import type { Pod, Secret } from '#api/generated/objects.ts';
import type { GivenCredentials, ImageCredentials } from '#agent/kubelet/images/credentials/providers.ts';
import type { PullAccess, SecretHolder } from '#agent/kubelet/images/pulled/verification.ts';
import { isObject, objectOf, stringOf } from '#api/wire/json.ts';
import type { ImageRecord, ImageStore, PodOfPull } from '#agent/runtime/runtime.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Pulls images: those of the same name and credentials once for all who wait, and not too many at once. */
export interface ImagePuller {
  pull(image: string, asker: PullAsker, signal: AbortSignal): Promise<Pulled>;
}

export interface Pulled {
  readonly record: ImageRecord;
  /** With what the registry gave it. */
  readonly by: PullAccess;
  /** Of it alone, without the turn that was waited for. */
  readonly ms: number;
}

/** For whom an image is pulled. */
export interface PullAsker {
  readonly secrets: readonly Secret[];
  readonly pod: Pod;
}

export interface ImagePulls {
  /** Pulls under way at once; undefined: 4. */
  readonly atOnceMax?: number | undefined;
  /** Of programs that the node's owner named; undefined: there are none. */
  readonly credentials?: ImageCredentials | undefined;
  /** Undefined: no time is told. */
  readonly clock?: Pick<Clock, 'monotonic'>;
}

const pullsAtOnceMax = 4;

export function createImagePuller(
  images: ImageStore,
  { atOnceMax = pullsAtOnceMax, credentials, clock }: ImagePulls = {},
): ImagePuller {
  const underway = new Map<
    string,
    { readonly done: Promise<Pulled>; readonly abort: AbortController; waiting: number }
  >();
  const queue: (() => void)[] = [];
  let running = 0;

  const run = async (image: string, { secrets, pod }: PullAsker, signal: AbortSignal): Promise<Pulled> => {
    if (running >= atOnceMax) await new Promise<void>((resolve) => queue.push(resolve));
    running += 1;
    try {
      signal.throwIfAborted();
      const began = clock?.monotonic() ?? 0;
      const own = secrets.flatMap((secret) => candidatesOf(image, secret));
      const given = ((await credentials?.of(image, pod, signal)) ?? []).map(candidateOf);
      const all = [...own, ...given];
      const candidates = all.length > 0 ? all : [nobody];
      const pulled = await pullWithAny(images, { image, pod: podOfPull(pod), candidates }, signal);
      return { ...pulled, ms: (clock?.monotonic() ?? 0) - began };
    } finally {
      running -= 1;
      queue.shift()?.();
    }
  };
  return {
    pull: async (image, asker, signal) => {
      const { metadata: { namespace } = {}, spec } = asker.pod;
      const key = JSON.stringify([
        image,
        credentials === undefined ? '' : [namespace, spec?.serviceAccountName],
        images.isByNamespace === true ? namespace : '',
        asker.secrets.map(({ metadata }) => [metadata?.uid, metadata?.resourceVersion]),
      ]);
      const entry = underway.get(key) ?? start(key, image, asker);
      entry.waiting += 1;
      try {
        return await Promise.race([entry.done, rejectOnAbort(signal)]);
      } finally {
        entry.waiting -= 1;
        // Nobody waits for it any more.
        if (entry.waiting === 0) entry.abort.abort(new DOMException('pull given up', 'AbortError'));
      }
    },
  };

  function start(key: string, image: string, asker: PullAsker) {
    const abort = new AbortController();
    const done = run(image, asker, abort.signal).finally(() => underway.delete(key));
    done.catch(() => undefined); // Told to those who wait.
    const entry = { done, abort, waiting: 0 };
    underway.set(key, entry);
    return entry;
  }
}

/** What a registry is shown, and whose it is. */
interface Candidate {
  readonly credentials: Credentials | undefined;
  readonly by: PullAccess;
}

const nobody: Candidate = { credentials: undefined, by: { kind: 'anyone' } };

function candidatesOf(image: string, secret: Secret): readonly Candidate[] {
  return credentialsFor(image, [secret])
    .filter((each) => each !== undefined)
    .map((credentials) => ({ credentials, by: { kind: 'secret', secret: holderOf(secret, credentials) } }));
}

/** Credentials that a program gave for no service account are as good for any pod of the node. */
function candidateOf({ account, ...credentials }: GivenCredentials): Candidate {
  return { credentials, by: account === undefined ? { kind: 'anyone' } : { kind: 'account', account } };
}

function holderOf({ metadata }: Secret, credentials: Credentials): SecretHolder {
  const { uid = '', namespace = '', name = '' } = metadata ?? {};
  const text = JSON.stringify([credentials.username, credentials.password]);
  return { uid, namespace, name, credentialHash: createHash('sha256').update(text).digest('hex') };
}

/** What the secrets of a pod have for an image. */
export function secretHolders(image: string, secrets: readonly Secret[]): readonly SecretHolder[] {
  return secrets
    .flatMap((secret) => candidatesOf(image, secret))
    .flatMap(({ by }) => (by.kind === 'secret' ? [by.secret] : []));
}

interface WantedPull {
  readonly image: string;
  readonly pod: PodOfPull;
  readonly candidates: readonly Candidate[];
}

function podOfPull({ metadata: { uid = '', namespace = '', name = '' } = {} }: Pod): PodOfPull {
  return { uid, namespace, name };
}

async function pullWithAny(
  images: ImageStore,
  { image, pod, candidates }: WantedPull,
  signal: AbortSignal,
): Promise<Omit<Pulled, 'ms'>> {
  let failure: unknown;
  for (const { credentials, by } of candidates) {
    try {
      return { record: await images.pull(image, { credentials, pod }, signal), by };
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}

/** The host that a reference names, as Docker completes it. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? first : 'docker.io';
}

/** The credentials that imagePullSecrets hold for an image's registry, in their order; then none. */
export function credentialsFor(
  image: string,
  secrets: readonly Secret[],
): readonly (Credentials | undefined)[] {
  const host = registryOf(image);
  const found = secrets.flatMap((secret) =>
    authEntries(secret)
      .filter(([server]) => matchesRegistry(server, host, image))
      .flatMap(([, entry]) => decodeEntry(entry) ?? []),
  );
  return found.length > 0 ? found : [undefined];
}

function authEntries(secret: Secret): readonly [string, unknown][] {
  const { '.dockerconfigjson': current, '.dockercfg': legacy } = secret.data ?? {};
  const text = current ?? legacy;
  if (text === undefined) return [];
  try {
    const document = objectOf(JSON.parse(Buffer.from(text, 'base64').toString('utf8')));
    return Object.entries(objectOf(current === undefined ? document : document['auths']));
  } catch (error) {
    if (error instanceof SyntaxError) return []; // The API validates it; an unreadable one holds no credentials.
    throw error;
  }
}

function matchesRegistry(server: string, host: string, image: string): boolean {
  const [serverHost = '', ...path] = server.replace(/^https?:\/\//, '').split('/');
  const prefix = path.filter((part) => !['', 'v1', 'v2'].includes(part)).join('/');
  const isDockerHub =
    host === 'docker.io' && ['index.docker.io', 'docker.io', 'registry-1.docker.io'].includes(serverHost);
  const isHost = serverHost === host || (serverHost.startsWith('*.') && host.endsWith(serverHost.slice(1)));
  return (isDockerHub || isHost) && (prefix === '' || image.startsWith(`${host}/${prefix}`));
}

function decodeEntry(entry: unknown): Credentials | undefined {
  if (!isObject(entry)) return undefined;
  const [user = '', ...rest] = Buffer.from(stringOf(entry['auth']), 'base64').toString('utf8').split(':');
  const username = stringOf(entry['username']) || user;
  const password = stringOf(entry['password']) || rest.join(':');
  return username === '' ? undefined : { username, password };
}
