import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { internalError, statusOf } from '#api/errors/status.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { KeyNeeded, type Sealing } from '#control-plane/store/sealed/sealing.ts';
import type { StoredBytes } from '#control-plane/store/sealed/stored-bytes.ts';
import { parseEncryptionConfiguration, type EncryptionConfiguration } from './configuration.ts';
import type { EncryptionMetrics } from './encryption-metrics.ts';
import { createKmsClient } from './kms/kms-client.ts';
import { KmsProvider } from './kms/kms-provider.ts';
import { identity } from './transformer.ts';
import { Transformers } from './transformers.ts';

export interface EncryptionOptions {
  /** The EncryptionConfiguration. */
  readonly path: string;
  /** Whether the file is looked at again while the server runs. */
  readonly isReloaded: boolean;
}

interface EncryptionParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EncryptionMetrics;
}

/** How often the file is looked at (kube-apiserver's own time). */
const lookMs = 60_000;
/** How long plugins of a former configuration stay, for what is under way. */
const lingerMs = 10_000;

/** How values are read of which no configuration says anything. */
export const unsealed: Pick<Sealing, 'open' | 'inList'> = {
  open: (key, stored) => {
    try {
      return identity.open(stored, key);
    } catch (error) {
      throw internalError(describeError(error));
    }
  },
  inList: (key, error) => {
    if (!isPodwrightError(error, 'E_API')) return error;
    const why = statusOf(error).status.details?.causes?.[0]?.message ?? error.message;
    return internalError(`unable to transform key ${JSON.stringify(key)}: ${why}`);
  },
};

/** A configuration, and what was made of it. */
interface Loaded extends Disposable {
  readonly hash: string;
  readonly transformers: Transformers;
  readonly providers: readonly KmsProvider[];
}

/** How values are stored and read, as a file says that may change. */
export class Encryption implements Sealing, Disposable {
  readonly #options: EncryptionOptions;
  readonly #parts: EncryptionParts;
  readonly #lingering = new Set<Disposable>();
  #loaded: Loaded | undefined;
  #timer: Disposable | undefined;
  #generation = 1;
  #isOver = false;

  constructor(options: EncryptionOptions, parts: EncryptionParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Reads the file, and asks plugins how they are. @throws {E_USAGE} for a file that is wrong */
  async start(): Promise<void> {
    const { path, isReloaded } = this.#options;
    const { metrics, logger } = this.#parts;
    const text = await this.#read();
    try {
      this.#loaded = await this.#load(text);
    } catch (error) {
      throw new PodwrightError(
        'E_USAGE',
        `start the server: --encryption-provider-config ${path}: error while parsing file: ${describeError(error)}`,
      );
    }
    for (const { failure } of this.#loaded.providers) {
      if (failure !== undefined) logger.error({ error: failure }, 'a KMS plugin does not serve');
    }
    metrics.configured(this.#loaded.hash);
    metrics.watchProviders(() => this.#loaded?.providers.reduce((sum, one) => sum + one.cachedKeys, 0) ?? 0);
    if (isReloaded) this.#lookLater();
  }

  get generation(): number {
    return this.#generation;
  }

  /** Why a plugin does not serve; undefined: all do, or there is none. */
  get kmsFailure(): string | undefined {
    const failures = this.#loaded?.providers.flatMap(({ failure }) => failure ?? []) ?? [];
    return failures.length === 0 ? undefined : failures.join('; ');
  }

  get hasKms(): boolean {
    return (this.#loaded?.providers.length ?? 0) > 0;
  }

  mayHold(prefix: string): boolean {
    return this.#current().mayHold(prefix);
  }

  seal(key: string, value: Uint8Array): Uint8Array {
    const transformer = this.#current().ofKey(key);
    if (transformer === undefined) return value;
    try {
      return transformer.seal(value, key);
    } catch (error) {
      throw internalError(describeError(error));
    }
  }

  open(key: string, stored: Uint8Array): StoredBytes {
    const transformer = this.#current().ofKey(key);
    if (transformer === undefined) return unsealed.open(key, stored);
    try {
      const opened = transformer.open(stored, key);
      checkObject(opened.value);
      return opened;
    } catch (error) {
      if (error instanceof KeyNeeded) throw error;
      throw internalError(describeError(error));
    }
  }

  inList(key: string, error: unknown): unknown {
    return unsealed.inList(key, error);
  }

  /** Looks at the file now. A configuration that is wrong, or whose plugins do not serve, is not taken. */
  async look(): Promise<void> {
    const { logger, metrics } = this.#parts;
    const before = this.#loaded;
    try {
      const text = await this.#read();
      if (hashOf(text) === before?.hash) return;
      const next = await this.#load(text);
      const failure = next.providers.find((provider) => provider.failure !== undefined)?.failure;
      if (failure !== undefined || this.#isOver) {
        next[Symbol.dispose]();
        if (this.#isOver) return;
        throw new Error(failure);
      }
      this.#loaded = next;
      this.#generation++;
      metrics.reloaded('success', next.hash);
      logger.info({ path: this.#options.path }, 'how values are encrypted was read again');
      if (before !== undefined) this.#letGo(before);
    } catch (error) {
      metrics.reloaded('failure', undefined);
      logger.error(
        { path: this.#options.path, error: describeError(error) },
        'the encryption stays as it was',
      );
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.[Symbol.dispose]();
    this.#loaded?.[Symbol.dispose]();
    for (const former of this.#lingering) former[Symbol.dispose]();
  }

  #current(): Transformers {
    if (this.#loaded === undefined)
      throw new PodwrightError('E_INTERNAL', 'seal a value: nothing was read yet');
    return this.#loaded.transformers;
  }

  async #read(): Promise<string> {
    const { path } = this.#options;
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      throw new PodwrightError('E_USAGE', `read --encryption-provider-config ${path}`, { cause });
    }
  }

  async #load(text: string): Promise<Loaded> {
    const configuration = parseEncryptionConfiguration(text);
    const { metrics } = this.#parts;
    using undo = new DisposableStack();

    const providers = new Map<string, KmsProvider>();
    for (const provider of pluginsOf(configuration)) {
      const client = await createKmsClient(provider, (method, code, seconds) =>
        metrics.kmsCalled(provider.name, method, { code, seconds }),
      );
      const { name } = provider;
      const onChange = (): void => void this.#generation++;
      const kms = undo.use(
        new KmsProvider({ name, client, clock: this.#parts.clock, onChange, counts: metrics.kms }),
      );
      providers.set(name, kms);
      await kms.start();
    }
    const transformers = new Transformers(configuration, {
      kms: (name) => {
        const found = providers.get(name);
        if (found === undefined) throw new Error(`no KMS provider ${name}`);
        return found;
      },
      watchOf: (resource) => metrics.watchOf(resource),
    });
    const owned = undo.move();
    return {
      hash: hashOf(text),
      transformers,
      providers: [...providers.values()],
      [Symbol.dispose]: () => owned.dispose(),
    };
  }

  /** Not at once: a value may be on its way through it. */
  #letGo(former: Disposable): void {
    this.#lingering.add(former);
    this.#parts.clock.after(lingerMs, () => {
      if (this.#lingering.delete(former)) former[Symbol.dispose]();
    });
  }

  #lookLater(): void {
    this.#timer = this.#parts.clock.after(lookMs, () => {
      void this.look().then(() => {
        if (!this.#isOver) this.#lookLater();
      });
    });
  }
}

function pluginsOf({
  resources,
}: EncryptionConfiguration): readonly Extract<
  EncryptionConfiguration['resources'][number]['providers'][number],
  { readonly kind: 'kms' }
>[] {
  return resources.flatMap(({ providers }) => providers.flatMap((one) => (one.kind === 'kms' ? [one] : [])));
}

const objectStart = Buffer.from('{"metadata":{');

/** A cipher that knows no tag (AES-CBC) gives rubbish for the wrong key now and then: no object begins so. */
function checkObject(value: Uint8Array): void {
  if (!objectStart.equals(value.subarray(0, objectStart.length))) {
    throw new Error('the stored data is no object: it was written with another key, or by another program');
  }
}

function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
