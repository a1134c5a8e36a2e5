/** Pulling from registries: OCI distribution specification 1.1 and Docker's v2, the parts that reading needs. */
import { createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { manifestAccept, type Descriptor } from '#api/oci/manifest.ts';
import type { Platform } from '#api/oci/platform.ts';
import { formatReference, repositoryOf, type ImageReference } from '#api/oci/reference.ts';
import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { algorithmOf, hexOf, isDigest } from '#api/oci/digest.ts';
import { digestOf, isDigestOf } from '#agent/runtime/images/blob-store.ts';
import { chooseImage, type ManifestDocument } from '#agent/runtime/images/choose-image.ts';
import { imageError } from '#agent/runtime/images/image-error.ts';
import type { BlobFile, IncomingImage } from '#agent/runtime/images/incoming-image.ts';
import { authorize, type Credentials } from './registry-auth.ts';
import { originEndpoint, readEndpoints, transportFor, type RegistryEndpoint } from './hosts-config.ts';
import { expectProgress, progressBytesMin, readBody } from './registry-body.ts';
import {
  createTransport,
  isSameServer,
  schemeOf,
  type RegistryResponse,
  type Transport,
  type TransportOptions,
} from './registry-transport.ts';

export type { Credentials } from './registry-auth.ts';

export interface PullRequest {
  readonly reference: ImageReference;
  readonly platform: Platform;
  readonly credentials: Credentials | undefined;
  /** Where blobs are downloaded to; the caller's, and gone after. */
  readonly directory: string;
  /** A config that is here already. Manifests are asked for each time: only the registry knows who may have the image. */
  readonly knownConfig?: (digest: string) => Promise<Buffer | undefined>;
}

export interface RegistryClient {
  /** Reads manifest and config; layers are fetched when asked for. */
  resolve(request: PullRequest, signal: AbortSignal): Promise<IncomingImage>;
}

export interface RegistryOptions extends TransportOptions {
  readonly clock: Clock;
  readonly retry?: Backoff;
  /** Of hosts.toml (hosts-config.ts); undefined: each registry is asked itself. */
  readonly hostsDirectory?: string | undefined;
}

const triesMax = 4;
/** A mirror that fails has others behind it. */
const mirrorTriesMax = 2;
/** Hosts that one request may be sent on to which ask for a token of their own. */
const challengesMax = 6;
const defaultRetry: Backoff = { initialMs: 200, factor: 4, maxMs: 10_000 };

/** Docker Hub's registry has another name than its images. */
const hostsOfNames: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };

export function createRegistryClient(options: RegistryOptions): RegistryClient {
  const plain = createTransport(options);
  const pullFrom = async (request: PullRequest, endpoint: RegistryEndpoint): Promise<Pull> => {
    const own = await transportFor(options, endpoint);
    return new Pull(options, own === undefined ? plain : createTransport(own), request, endpoint);
  };
  return {
    resolve: async (request, signal) => {
      const { host } = request.reference;
      const server = hostsOfNames[host] ?? host;
      const origin = originEndpoint(`${schemeOf(server, options.insecureRegistries)}://${server}/v2`);
      const endpoints = await readEndpoints(options.hostsDirectory, host, origin);
      const pulls = await Promise.all(endpoints.map((each) => pullFrom(request, each)));
      const sources = pulls.filter(({ endpoint }) => endpoint.canPull);
      const isPinned = request.reference.digest !== undefined;
      const asked = pulls.filter(({ endpoint }) => (isPinned ? endpoint.canPull : endpoint.canResolve));
      if (asked.length === 0)
        throw new PodwrightError(
          'E_INVALID',
          `pull ${formatReference(request.reference)}: hosts.toml of ${host} names no server that may be asked`,
        );
      return firstOf(asked, (pull) => pull.resolve(sources, signal), signal);
    },
  };
}

/** The first that can. What is wrong here is no server's: the next would not do better. @throws what the last threw, with what the others did */
async function firstOf<Source, T>(
  sources: readonly Source[],
  attempt: (source: Source) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const failures: string[] = [];
  for (const [at, source] of sources.entries()) {
    try {
      return await attempt(source);
    } catch (error) {
      signal.throwIfAborted();
      if (!isPodwrightError(error) || error.code === 'E_NO_SPACE' || error.code === 'E_KERNEL') throw error;
      if (at < sources.length - 1) failures.push(describeError(error));
      else if (failures.length === 0) throw error;
      else
        throw new PodwrightError(error.code, `${describeError(error)} (before: ${failures.join('; ')})`, {
          detail: error.detail,
        });
    }
  }
  throw new PodwrightError('E_INVALID', 'pull: there is nobody to ask'); // Each has the last behind it.
}

interface Download {
  readonly layer: Descriptor;
  readonly url: string;
  /** One for each layer of the image that is this blob, the last of which takes the file away. */
  readonly uses: readonly Descriptor[];
  /** How many bytes of it there are. */
  readonly came: ((bytes: number) => void) | undefined;
}

/** What is still to come of a blob. */
interface Part extends Pick<Download, 'url' | 'came'> {
  readonly path: string;
  readonly have: number;
}

/** One pull: it keeps the token it was given. */
class Pull {
  readonly #options: RegistryOptions;
  readonly #transport: Transport;
  readonly #request: PullRequest;
  readonly #base: string;
  /** Which registry a mirror stands for (`ns`, as containerd asks them). */
  readonly #query: string;
  readonly endpoint: RegistryEndpoint;
  readonly #label: string;
  /** By origin: the registry's own, and those of hosts that it redirects to. */
  readonly #authorizations = new Map<string, string>();
  /** By digest: layers that are still to be made of a blob which several are made of. */
  readonly #usesLeft = new Map<string, number>();

  constructor(
    options: RegistryOptions,
    transport: Transport,
    request: PullRequest,
    endpoint: RegistryEndpoint,
  ) {
    this.#options = options;
    this.#transport = transport;
    // What the user gave is for the registry, and for no other that stands for it.
    this.#request = endpoint.isMirror ? { ...request, credentials: undefined } : request;
    this.endpoint = endpoint;
    const { host, path } = request.reference;
    this.#base = `${endpoint.base}/${path}`;
    this.#query = endpoint.isMirror ? `?ns=${encodeURIComponent(host)}` : '';
    this.#label = formatReference(request.reference);
  }

  /** `sources`: who may be asked for layers, in their order. */
  async resolve(sources: readonly Pull[], signal: AbortSignal): Promise<IncomingImage> {
    const { reference, platform } = this.#request;
    const top = await this.#manifest(reference.digest ?? reference.tag ?? 'latest', signal);
    const documents = {
      manifest: ({ digest }: Descriptor) => this.#manifest(digest, signal),
      config: (descriptor: Descriptor) => this.#document(descriptor, signal),
    };
    const chosen = await chooseImage(top, documents, { label: this.#label, machine: platform });
    const repository = repositoryOf(reference);
    const uses = Map.groupBy(chosen.layers, (layer) => layer.digest);
    return {
      label: this.#label,
      source: reference.host,
      config: chosen.config,
      isNamed: chosen.isNamed,
      manifest: chosen.manifest,
      names: reference.digest === undefined ? [this.#label] : [],
      // A pod may name the index or the platform's own manifest: both are this image here.
      digests: [...new Set([`${repository}@${top.digest}`, `${repository}@${chosen.manifest.digest}`])],
      layers: chosen.layers.map((layer) => ({
        digest: layer.digest,
        sizeBytes: layer.sizeBytes,
        fetch: (each, came) =>
          firstOf(
            [
              ...sources.map((pull) => ({ pull, url: pull.blobUrl(layer) })),
              ...layer.urls.map((url): { pull: Pull; url: string } => ({ pull: this, url })),
            ],
            ({ pull, url }) => pull.download({ layer, url, uses: uses.get(layer.digest) ?? [], came }, each),
            each,
          ),
      })),
    };
  }

  async #manifest(name: string, signal: AbortSignal): Promise<ManifestDocument> {
    const url = `${this.#base}/manifests/${name}${this.#query}`;
    const bytes = await this.#retry(
      async () => readBody(await this.#answer(url, { accept: manifestAccept }, signal), this.#options.clock),
      signal,
    );
    const digest = digestOf(bytes, algorithmOf(name));
    if (isDigest(name) && name !== digest) throw this.#mismatch(`manifest ${name}`, digest);
    return { bytes, digest };
  }

  /** Where a blob of the image is. */
  blobUrl({ digest }: Descriptor): string {
    return `${this.#base}/blobs/${digest}${this.#query}`;
  }

  async #document(descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
    const known = await this.#request.knownConfig?.(descriptor.digest);
    if (known !== undefined && isDigestOf(descriptor.digest, known)) return known;
    const url = this.blobUrl(descriptor);
    const bytes = await this.#retry(
      async () => readBody(await this.#answer(url, {}, signal), this.#options.clock),
      signal,
    );
    if (!isDigestOf(descriptor.digest, bytes))
      throw this.#mismatch(`config ${descriptor.digest}`, digestOf(bytes, algorithmOf(descriptor.digest)));
    return bytes;
  }

  /**
   * Into a file; a connection that breaks goes on where it stopped, for as long as more comes each time. The digest is verified as the
   * layer is unpacked.
   */
  async download({ layer, url, uses, came }: Download, signal: AbortSignal): Promise<BlobFile> {
    const path = `${this.#request.directory}/${hexOf(layer.digest)}`;
    const size = async (): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;
    let most = 0;
    const hasProgress = async (): Promise<boolean> => {
      const came = (await size()) - most;
      most = Math.max(most, most + came);
      return came >= progressBytesMin;
    };
    const append = async (): Promise<void> => {
      const have = await size();
      if (have === layer.sizeBytes && have > 0) return;
      await this.#append(layer, { url, path, have: have < layer.sizeBytes ? have : 0, came }, signal);
    };
    await this.#retry(append, signal, hasProgress);
    const left = (this.#usesLeft.get(layer.digest) ?? uses.length) - 1;
    this.#usesLeft.set(layer.digest, left);
    return { path, [Symbol.asyncDispose]: async () => void (left > 0 || (await rm(path, { force: true }))) };
  }

  async #append(layer: Descriptor, { url, path, have, came }: Part, signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {};
    const response = await this.#answer(url, headers, signal);
    const isResumed = response.status === 206;
    const start = startOf(response) ?? have;
    if (isResumed && start !== have) {
      response.body.destroy();
      await rm(path, { force: true });
      throw this.#connectionError(new Error(`${response.url.host} sends another part than was asked for`));
    }
    const file = createWriteStream(path, { flags: isResumed && have > 0 ? 'a' : 'w', mode: 0o600 });
    let left = layer.sizeBytes - (isResumed ? have : 0);
    const { body } = response;
    using progress = expectProgress(this.#options.clock, (error) => body.destroy(error));

    body.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      progress.came(chunk.length);
      came?.(layer.sizeBytes - Math.max(left, 0));
      if (left < 0)
        body.destroy(new PodwrightError('E_INVALID', `pull layer ${layer.digest}: longer than its size`));
    });
    try {
      await pipeline(body, file, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw isDiskError(error)
        ? imageError(`pull ${this.#label}`, error, dirname(path))
        : this.#connectionError(error);
    }
    if (left > 0) throw this.#connectionError(new Error('the connection ended early'));
  }

  /** A 2xx answer. @throws E_NOT_FOUND, E_PERMISSION, E_CONNECTION, E_LIMIT (429) */
  async #answer(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RegistryResponse> {
    let response = await this.#send(url, headers, signal);
    // The registry may ask who we are, and so may each host that it redirects to: once each.
    const answered = new Set<string>();
    while (response.status === 401 && answered.size < challengesMax) {
      const challenge = response.headers['www-authenticate'];
      const { origin } = response.url;
      if (challenge === undefined || answered.has(origin)) break;
      answered.add(origin);
      response.body.destroy();
      await this.#authorize(challenge, response.url, signal);
      response = await this.#send(url, headers, signal);
    }
    if (response.status >= 200 && response.status <= 299) return response;
    response.body.destroy();
    throw this.#refused(response);
  }

  async #authorize(challenge: string, challenger: URL, signal: AbortSignal): Promise<void> {
    const { credentials, reference } = this.#request;
    const isOwn = isSameServer(challenger, new URL(this.#base));
    const context = {
      transport: this.#transport,
      clock: this.#options.clock,
      challenger,
      // What the user gave is for the registry: to anybody else we are nobody.
      credentials: isOwn ? credentials : undefined,
      path: reference.path,
    };
    const authorization = await authorize(challenge, context, signal);
    if (authorization === undefined) this.#authorizations.delete(challenger.origin);
    else this.#authorizations.set(challenger.origin, authorization);
  }

  async #send(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RegistryResponse> {
    const authorizationFor = (target: URL): string | undefined => this.#authorizations.get(target.origin);
    const target = new URL(url);
    const own = authorizationFor(target);
    const authorization: Record<string, string> = own === undefined ? {} : { authorization: own };
    return this.#transport(
      { url: target, headers: { ...headers, ...authorization }, authorizationFor },
      signal,
    );
  }

  /** `hasProgress`: what was got so far is worth it to begin counting anew. */
  async #retry<T>(
    attempt: () => Promise<T>,
    signal: AbortSignal,
    hasProgress: () => Promise<boolean> = async () => false,
  ): Promise<T> {
    for (let failures = 0; ;) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        failures = (await hasProgress()) ? 1 : failures + 1;
        const tries = this.endpoint.isMirror ? mirrorTriesMax : triesMax;
        if (failures >= tries || !isWorthRetrying(error)) throw error;
        await this.#options.clock.sleep(backoffMs(this.#options.retry ?? defaultRetry, failures), signal);
      }
    }
  }

  #refused({ status, url }: RegistryResponse): PodwrightError {
    const attempt = `pull ${this.#label}`;
    const detail = { status };
    if (status === 404)
      return new PodwrightError('E_NOT_FOUND', `${attempt}: not found in ${url.host}`, { detail });
    if (status === 401 || status === 403) {
      const why =
        this.#request.credentials === undefined
          ? 'needs credentials, or does not exist'
          : 'credentials refused';
      return new PodwrightError('E_PERMISSION', `${attempt}: ${url.host} answers ${status}: ${why}`, {
        detail,
      });
    }
    if (status === 429)
      return new PodwrightError('E_LIMIT', `${attempt}: ${url.host} limits the rate`, { detail });
    return new PodwrightError('E_CONNECTION', `${attempt}: ${url.host} answers ${status}`, { detail });
  }

  #mismatch(what: string, found: string): PodwrightError {
    return new PodwrightError('E_INVALID', `pull ${this.#label}: ${what} has the digest ${found}`, {
      detail: { reason: 'digest' },
    });
  }

  #connectionError(cause: unknown): PodwrightError {
    if (isPodwrightError(cause)) return cause;
    const why = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
    return new PodwrightError('E_CONNECTION', `pull ${this.#label}: ${why}`, { cause });
  }
}

/** Where a part begins (RFC 9110, 14.4); what was asked for where it does not say. */
function startOf({ headers }: RegistryResponse): number | undefined {
  const said = headers['content-range'];
  return said === undefined ? undefined : Number(/^bytes (\d+)-/.exec(said)?.[1] ?? Number.NaN);
}

function isWorthRetrying(error: unknown): boolean {
  return isPodwrightError(error, 'E_CONNECTION') || isPodwrightError(error, 'E_LIMIT');
}

function isDiskError(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'].includes(errnoOf(error) ?? '');
}
