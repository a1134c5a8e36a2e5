import { resourceOfKey } from '#control-plane/apiserver/objects/storage-key.ts';
import { aesCbc, aesGcm } from './ciphers/aes.ts';
import type { Cipher } from './ciphers/cipher.ts';
import { secretbox } from './ciphers/secretbox.ts';
import {
  parseGroupResource,
  type EncryptionConfiguration,
  type NamedKey,
  type Provider,
} from './configuration.ts';
import {
  firstThatFits,
  fromCipher,
  identity,
  type Prefixed,
  type Transformer,
  type TransformerWatch,
} from './transformer.ts';

type Keyed = Extract<Provider, { readonly keys: unknown }>['kind'];

/** Of each way that keeps its keys in the file: the cipher, and how kube-apiserver calls it where a key is missing. */
const ciphers: Readonly<
  Record<Keyed, { readonly cipher: (key: Uint8Array) => Cipher; readonly name: string }>
> = {
  aescbc: { cipher: aesCbc, name: 'AES' },
  aesgcm: { cipher: aesGcm, name: 'AES' },
  secretbox: { cipher: secretbox, name: 'Secretbox' },
};

export interface TransformerParts {
  /** Of a KMS plugin, by its name in the configuration. */
  readonly kms: (name: string) => Transformer;
  readonly watchOf: (resource: string) => TransformerWatch | undefined;
}

/** How each resource is stored, as a configuration says it. */
export class Transformers {
  /** By `group/resource`; `*` for all of a group, or of all groups. */
  readonly #byResource = new Map<string, Prefixed[]>();
  readonly #made = new Map<string, Transformer | undefined>();
  readonly #watchOf: TransformerParts['watchOf'];

  constructor({ resources }: EncryptionConfiguration, { kms, watchOf }: TransformerParts) {
    this.#watchOf = watchOf;
    for (const { resources: names, providers } of resources) {
      const ways = providers.map((provider) => prefixedOf(provider, kms));
      for (const name of names) {
        const { group, resource } = parseGroupResource(name);
        // What an earlier entry said of all is not said again of one.
        const isMasked = [`${group}/*`, '*/*'].some((all) => this.#byResource.has(all));
        if (isMasked) continue;
        const id = `${group}/${resource}`;
        this.#byResource.set(id, [...(this.#byResource.get(id) ?? []), ...ways]);
      }
    }
  }

  /** undefined: values are as they are, and nobody has a say in them. */
  ofKey(key: string): Transformer | undefined {
    const found = resourceOfKey(key);
    return typeof found === 'string' ? undefined : this.#of(found.group, found.resource);
  }

  /** Whether there may be keys under the prefix of which `ofKey` finds something. */
  mayHold(prefix: string): boolean {
    const found = resourceOfKey(prefix);
    if (found === 'several') return true;
    return found !== 'none' && this.#of(found.group, found.resource) !== undefined;
  }

  #of(group: string, resource: string): Transformer | undefined {
    const id = `${group}/${resource}`;
    if (this.#made.has(id)) return this.#made.get(id);
    const ways = [id, `${group}/*`, '*/*'].map((each) => this.#byResource.get(each)).find(Boolean);
    const name = group === '' ? resource : `${resource}.${group}`;
    const made = ways && firstThatFits(ways, 'no matching prefix found', this.#watchOf(name));
    this.#made.set(id, made);
    return made;
  }
}

function prefixedOf(provider: Provider, kms: TransformerParts['kms']): Prefixed {
  switch (provider.kind) {
    case 'identity':
      return { prefix: '', transformer: identity };
    case 'kms':
      return { prefix: `k8s:enc:kms:v2:${provider.name}:`, transformer: kms(provider.name) };
    default:
      return { prefix: `k8s:enc:${provider.kind}:v1:`, transformer: byKey(provider.kind, provider.keys) };
  }
}

function byKey(kind: Keyed, keys: readonly NamedKey[]): Transformer {
  const { cipher, name } = ciphers[kind];
  const ways = keys.map((key) => ({ prefix: `${key.name}:`, transformer: fromCipher(cipher(key.secret)) }));
  return firstThatFits(ways, `no matching key was found for the provided ${name} transformer`, undefined);
}
