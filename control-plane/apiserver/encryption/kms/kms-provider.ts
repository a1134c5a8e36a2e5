import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { KeyNeeded } from '#control-plane/store/sealed/sealing.ts';
import type { StoredBytes } from '#control-plane/store/sealed/stored-bytes.ts';
import { aesGcm, extendedNonceGcm, seedBytes } from '#control-plane/apiserver/encryption/ciphers/aes.ts';
import type { Cipher } from '#control-plane/apiserver/encryption/ciphers/cipher.ts';
import type { Transformer } from '#control-plane/apiserver/encryption/transformer.ts';
import {
  checkEncryptedObject,
  decodeEncryptedObject,
  encodeEncryptedObject,
  keyIdProblem,
  type EncryptedObject,
  type SourceType,
} from './encrypted-object.ts';
import type { KmsClient, Wrapped } from './kms-client.ts';

/** How often a plugin that is well, and one that is not, is asked how it is (kube-apiserver's own times). */
const askWellMs = 60_000;
const askIllMs = 10_000;
/** How long is written with a seed after the plugin last said that its key is the one of now. */
const seedMsMax = 180_000;
/** Keys that are kept opened: each is a seed that some server wrote with. */
const ciphersMax = 1000;
/** A key that could not be opened is not asked for again at once: many values may need it. */
const refusedMs = 1_000;

/** What is written with now. */
interface Writing {
  readonly cipher: Cipher;
  readonly wrapped: Wrapped;
  untilMs: number;
}

export interface KmsCounts {
  cacheMisses: number;
  keysGenerated: number;
  keysFailed: number;
}

export interface KmsParts {
  readonly name: string;
  readonly client: KmsClient;
  readonly clock: Clock;
  /** What is stale may have changed. */
  readonly onChange: () => void;
  readonly counts: KmsCounts;
}

/**
 * One plugin: values are sealed with a seed of this server, which the plugin has encrypted and which is stored beside each. The plugin is
 * asked at times which key is its own now; with another one a new seed is made.
 */
export class KmsProvider implements Transformer, Disposable {
  readonly #parts: KmsParts;
  readonly #ciphers = new Map<string, Cipher>();
  readonly #opening = new Map<string, Promise<void>>();
  readonly #refused = new Map<string, { readonly error: Error; readonly untilMs: number }>();
  #writing: Writing | undefined;
  #failure = 'it has not been asked yet';
  #timer: Disposable | undefined;
  #isOver = false;

  constructor(parts: KmsParts) {
    this.#parts = parts;
  }

  /** Why it is not well; undefined: it is. */
  get failure(): string | undefined {
    return this.#failure === '' ? undefined : this.#failure;
  }

  get cachedKeys(): number {
    return this.#ciphers.size;
  }

  /** Asks the plugin once, and from then on at its times. Never rejects: see `failure`. */
  async start(): Promise<void> {
    await this.#ask();
    if (this.#isOver) return;
    const againMs = this.#failure === '' ? askWellMs : askIllMs;
    this.#timer = this.#parts.clock.after(againMs, () => void this.start());
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.[Symbol.dispose]();
    this.#parts.client[Symbol.dispose]();
  }

  seal(plain: Uint8Array, place: string): Uint8Array {
    const writing = this.#writing;
    if (writing === undefined) throw new Error(`got unexpected nil transformer: ${this.#failure}`);
    const nowMs = this.#parts.clock.now();
    if (nowMs > writing.untilMs) {
      const [until, now] = [writing.untilMs, nowMs].map(
        (ms) => `${new Date(ms).toISOString().slice(0, 19)}Z`,
      );
      throw new Error(
        `encryptedDEKSource with keyID hash ${JSON.stringify(hashOf(writing.wrapped.keyId))} expired at ${until} (current time is ${now})`,
      );
    }
    const { ciphertext, keyId, annotations } = writing.wrapped;
    return encodeEncryptedObject({
      encryptedData: writing.cipher.seal(plain, place),
      keyId,
      encryptedDekSource: ciphertext,
      annotations,
      sourceType: 'seed',
    });
  }

  open(stored: Uint8Array, place: string): StoredBytes {
    const object = decodeEncryptedObject(stored);
    const cipher = this.#cipherOf(object);
    const isStale = object.keyId !== this.#writing?.wrapped.keyId || object.sourceType !== 'seed';
    return { value: cipher.open(object.encryptedData, place), isStale };
  }

  /** @throws {KeyNeeded} until the plugin has answered */
  #cipherOf(object: EncryptedObject): Cipher {
    const id = idOf(object);
    const known = this.#ciphers.get(id);
    if (known !== undefined) return known;
    const refused = this.#refused.get(id);
    if (refused !== undefined && this.#parts.clock.monotonic() < refused.untilMs) throw refused.error;
    let opening = this.#opening.get(id);
    if (opening === undefined) {
      this.#parts.counts.cacheMisses++;
      opening = this.#openKey(id, object).finally(() => this.#opening.delete(id));
      this.#opening.set(id, opening);
    }
    throw new KeyNeeded(opening);
  }

  async #openKey(id: string, object: EncryptedObject): Promise<void> {
    const { client, clock } = this.#parts;
    const { encryptedDekSource, keyId, annotations, sourceType } = object;
    try {
      const wrapped = { ciphertext: Buffer.from(encryptedDekSource), keyId, annotations };
      const source = await client.decrypt(randomUUID(), wrapped);
      this.#remember(id, cipherOf(source, sourceType));
      this.#refused.delete(id);
    } catch (error) {
      const failure = new Error(`failed to decrypt DEK, error: ${describeError(error)}`);
      if (this.#refused.size >= ciphersMax) this.#refused.clear();
      this.#refused.set(id, { error: failure, untilMs: clock.monotonic() + refusedMs });
    }
  }

  #remember(id: string, cipher: Cipher): void {
    for (const oldest of this.#ciphers.keys()) {
      if (this.#ciphers.size < ciphersMax) break;
      this.#ciphers.delete(oldest);
    }
    this.#ciphers.set(id, cipher);
  }

  async #ask(): Promise<void> {
    const { client, clock, name } = this.#parts;
    try {
      const { healthz, version, key_id: keyId } = await client.status();
      const faults = [
        ...(healthz === 'ok' ? [] : [`got unexpected healthz status: ${healthz}`]),
        ...(version === 'v2' || version === 'v2beta1'
          ? []
          : [`expected KMSv2 API version v2, got ${version}`]),
        ...(keyIdProblem(keyId) === undefined
          ? []
          : [`expected KMSv2 KeyID to be set, got ${keyId.slice(0, 64)}`]),
      ];
      if (faults.length > 0) {
        // One that is not well does not say which key is the one of now: what was written with goes on for its time, and no longer.
        this.#failure = `kmsv2 Provider ${name} is not healthy, error: ${faults.join(', ')}`;
        return;
      }
      if (this.#writing?.wrapped.keyId === keyId) this.#writing.untilMs = clock.now() + seedMsMax;
      else await this.#makeSeed();
      this.#failure = '';
    } catch (error) {
      this.#failure = `failed to perform status section of the healthz check for KMS Provider ${name}, error: ${describeError(error)}`;
    }
  }

  async #makeSeed(): Promise<void> {
    const { client, clock, counts, onChange } = this.#parts;
    counts.keysGenerated++;
    try {
      const seed = randomBytes(seedBytes);
      const wrapped = await client.encrypt(randomUUID(), seed);
      const { ciphertext: encryptedDekSource, keyId, annotations } = wrapped;
      checkEncryptedObject({ encryptedData: Buffer.of(0), keyId, encryptedDekSource, annotations });
      const cipher = extendedNonceGcm(seed);
      this.#remember(idOf({ encryptedDekSource, keyId, annotations, sourceType: 'seed' }), cipher);
      this.#writing = { cipher, wrapped, untilMs: clock.now() + seedMsMax };
      onChange();
    } catch (error) {
      counts.keysFailed++;
      throw new Error(`failed to encrypt DEK, error: ${describeError(error)}`, { cause: error });
    }
  }
}

function cipherOf(source: Uint8Array, type: SourceType): Cipher {
  if (type === 'seed') return extendedNonceGcm(source);
  if (![16, 24, 32].includes(source.byteLength)) {
    throw new Error(`crypto/aes: invalid key size ${source.byteLength}`);
  }
  return aesGcm(source);
}

/** Of all that the plugin is asked with. */
function idOf(object: Omit<EncryptedObject, 'encryptedData'>): string {
  const hash = createHash('sha256').update(`${object.sourceType} ${object.keyId.length} ${object.keyId} `);
  hash.update(`${object.encryptedDekSource.byteLength} `).update(object.encryptedDekSource);
  for (const key of [...object.annotations.keys()].toSorted()) {
    const value = object.annotations.get(key) ?? Buffer.of();
    hash.update(` ${key} ${value.byteLength} `).update(value);
  }
  return hash.digest('base64');
}

function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
