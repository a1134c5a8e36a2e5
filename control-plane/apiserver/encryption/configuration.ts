import { parseDurationMs } from '#api/meta/duration.ts';
import { invalidField, renderFieldError, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { PodwrightError } from '#base/errors.ts';
import { readConfiguration, type Shape } from '#control-plane/apiserver/configuration/read-configuration.ts';

/** apiserver.config.k8s.io/v1 EncryptionConfiguration, checked. */
export interface EncryptionConfiguration {
  readonly resources: readonly ResourceConfiguration[];
}

export interface ResourceConfiguration {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` (all of the core group), `*.*`. */
  readonly resources: readonly string[];
  /** The first writes. */
  readonly providers: readonly Provider[];
}

export type Provider =
  | { readonly kind: 'aescbc' | 'aesgcm' | 'secretbox'; readonly keys: readonly NamedKey[] }
  | { readonly kind: 'identity' }
  | { readonly kind: 'kms'; readonly name: string; readonly endpoint: string; readonly timeoutMs: number };

export interface NamedKey {
  readonly name: string;
  readonly secret: Uint8Array;
}

const keysShape: Shape = { keys: [{ name: 'string', secret: 'string' }] };
const fields: { readonly [field: string]: Shape } = {
  resources: [
    {
      resources: ['string'],
      providers: [
        {
          aescbc: keysShape,
          aesgcm: keysShape,
          secretbox: keysShape,
          identity: {},
          kms: {
            apiVersion: 'string',
            name: 'string',
            endpoint: 'string',
            timeout: 'string',
            cachesize: 'number',
          },
        },
      ],
    },
  ],
};

interface WrittenKey {
  readonly name?: string;
  readonly secret?: string;
}

interface WrittenProvider {
  readonly aescbc?: { readonly keys?: readonly WrittenKey[] };
  readonly aesgcm?: { readonly keys?: readonly WrittenKey[] };
  readonly secretbox?: { readonly keys?: readonly WrittenKey[] };
  readonly identity?: object;
  readonly kms?: WrittenKms;
}

interface WrittenKms {
  readonly apiVersion?: string;
  readonly name?: string;
  readonly endpoint?: string;
  readonly timeout?: string;
  readonly cachesize?: number;
}

interface WrittenResource {
  readonly resources?: readonly string[];
  readonly providers?: readonly WrittenProvider[];
}

const keyed = ['aescbc', 'aesgcm', 'secretbox'] as const;
const keyLengths = { aescbc: [16, 24, 32], aesgcm: [16, 24, 32], secretbox: [32] } as const;
/** Of a KMS plugin, where none is said. */
const timeoutDefault = '3s';

/** Reads the text of the file. No error shows a key. @throws {E_USAGE} */
export function parseEncryptionConfiguration(text: string): EncryptionConfiguration {
  const document = readConfiguration(text, {
    kind: 'EncryptionConfiguration',
    apiVersions: ['apiserver.config.k8s.io/v1'],
    fields,
  });
  const { resources = [] } = document as { readonly resources?: readonly WrittenResource[] }; // As `fields` says.
  const errors = validate(resources);
  if (errors.length > 0) {
    const texts = errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
    throw new PodwrightError('E_USAGE', texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`);
  }
  return {
    resources: resources.map(({ resources: names = [], providers = [] }) => ({
      resources: names,
      providers: providers.map(providerOf),
    })),
  };
}

function providerOf(written: WrittenProvider): Provider {
  for (const kind of keyed) {
    const keys = written[kind]?.keys;
    if (keys === undefined) continue;
    return {
      kind,
      keys: keys.map(({ name = '', secret = '' }) => ({ name, secret: Buffer.from(secret, 'base64') })),
    };
  }
  const { kms } = written;
  if (kms === undefined) return { kind: 'identity' };
  const { name = '', endpoint = '', timeout = timeoutDefault } = kms;
  return { kind: 'kms', name, endpoint, timeoutMs: parseDurationMs(timeout) };
}

/** In kube-apiserver's words (apiserver/pkg/apis/apiserver/validation). */
function validate(resources: readonly WrittenResource[]): readonly FieldError[] {
  if (resources.length === 0) return [requiredField('resources', 'at least one resources is required')];
  const kmsNames = new Set<string>();
  return resources.flatMap(({ resources: names = [], providers = [] }, index) => {
    const path = `resources[${index}]`;
    return [
      ...(names.length === 0 ? [atLeastOne(`${path}.resources`)] : []),
      ...overlapErrors(names, `${path}.resources`),
      ...names.flatMap((name, at) => nameErrors(name, `${path}.resources[${at}]`)),
      ...(providers.length === 0 ? [atLeastOne(`${path}.providers`)] : []),
      ...providers.flatMap((provider, at) => providerErrors(provider, `${path}.providers[${at}]`, kmsNames)),
    ];
  });
}

function atLeastOne(path: string): FieldError {
  return requiredField(path, `at least one ${path} is required`);
}

function overlapErrors(names: readonly string[], path: string): readonly FieldError[] {
  const overlap =
    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked";
  const parsed = names.map(parseGroupResource);
  const pairs = parsed.flatMap((a, at) => parsed.slice(at + 1).map((b) => [a, b] as const));
  const isTwice = pairs.some(([a, b]) => a.group === b.group && a.resource === b.resource);
  const overlaps = pairs.some(
    ([a, b]) =>
      [a, b].some(({ group, resource }) => group === '*' && resource === '*') ||
      (a.group === b.group && [a, b].some(({ resource }) => resource === '*')),
  );
  const twice = 'the same resource cannot be specified multiple times';
  return [
    ...(isTwice ? [invalidField(path, names, twice)] : []),
    ...(overlaps && !isTwice ? [invalidField(path, names, overlap)] : []),
  ];
}

const notStored: ReadonlySet<string> = new Set([
  'apiserveripinfo',
  'serviceipallocations',
  'servicenodeportallocations',
]);

function nameErrors(name: string, path: string): readonly FieldError[] {
  const refuse = (detail: string): readonly FieldError[] => [invalidField(path, name, detail)];
  const { group, resource } = parseGroupResource(name);
  if (name !== name.toLowerCase()) return refuse('resource name should not contain capital letters');
  if (name === '*') {
    return refuse(
      "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
    );
  }
  if (notStored.has(name)) return refuse('resources which do not have REST API/s cannot be encrypted');
  if (group === 'events.k8s.io') {
    return refuse(
      "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file",
    );
  }
  if (group === 'extensions') {
    return refuse("'extensions' group has been removed and cannot be used for encryption");
  }
  if (group === '*' && resource !== '*') {
    return refuse('encrypting the same resource across groups is not supported');
  }
  return [];
}

/** `deployments.apps`: what is before the first dot, and behind it. */
export function parseGroupResource(name: string): { readonly group: string; readonly resource: string } {
  const dot = name.indexOf('.');
  return dot < 0
    ? { group: '', resource: name }
    : { group: name.slice(dot + 1), resource: name.slice(0, dot) };
}

function providerErrors(
  provider: WrittenProvider,
  path: string,
  kmsNames: Set<string>,
): readonly FieldError[] {
  const kinds = Object.keys(provider);
  const of = kinds.length === 0 ? 'none' : kinds.join(', '); // And not what it says: that is keys.
  if (kinds.length === 0) {
    const detail =
      'provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity';
    return [invalidField(path, of, detail)];
  }
  if (kinds.length > 1) {
    const detail =
      'more than one provider specified in a single element, should split into different list elements';
    return [invalidField(path, of, detail)];
  }
  for (const kind of keyed) {
    const written = provider[kind];
    if (written !== undefined)
      return keysErrors(written.keys ?? [], `${path}.${kind}.keys`, keyLengths[kind]);
  }
  return provider.kms === undefined ? [] : kmsErrors(provider.kms, `${path}.kms`, kmsNames);
}

function keysErrors(
  keys: readonly WrittenKey[],
  path: string,
  lengths: readonly number[],
): readonly FieldError[] {
  if (keys.length === 0) return [requiredField(path, 'at least one keys is required')];
  return keys.flatMap(({ name = '', secret = '' }, index) => {
    const at = `${path}[${index}]`;
    const missing = name === '' ? [requiredField(`${at}.name`, 'name is a mandatory field for a key')] : [];
    if (secret === '') {
      return [...missing, requiredField(`${at}.secret`, 'secret is a mandatory field for a key')];
    }
    const length = base64Length(secret);
    if (length === undefined) {
      return [...missing, invalidField(`${at}.secret`, 'REDACTED', 'secrets must be base64 encoded')];
    }
    if (lengths.includes(length)) return missing;
    const detail = `secret is not of the expected length, got ${length}, expected one of [${lengths.join(' ')}]`;
    return [...missing, invalidField(`${at}.secret`, 'REDACTED', detail)];
  });
}

/** Of what it stands for; undefined where it is none (RFC 4648, 4, with its padding; lines may end). */
function base64Length(text: string): number | undefined {
  const line = text.replaceAll(/[\r\n]/g, '');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(line)) return undefined;
  return Buffer.from(line, 'base64').byteLength;
}

function kmsErrors(kms: WrittenKms, path: string, names: Set<string>): readonly FieldError[] {
  const { apiVersion = 'v1', name = '', endpoint = '', timeout = timeoutDefault, cachesize } = kms;
  const errors: FieldError[] = [];
  if (name === '') errors.push(requiredField(`${path}.name`, 'name is a mandatory field for a provider'));
  if (name.includes(':')) {
    errors.push(
      invalidField(`${path}.name`, name, `invalid KMS provider name ${name}, must not contain ':'`),
    );
  }
  if (names.has(name)) {
    const detail = `duplicate KMS provider name ${name}, names must be unique`;
    errors.push(invalidField(`${path}.name`, name, detail));
  }
  names.add(name);
  if (!isPositive(timeout)) {
    errors.push(invalidField(`${path}.timeout`, timeout, 'timeout should be a positive value'));
  }
  errors.push(...endpointErrors(endpoint, `${path}.endpoint`));
  if (cachesize !== undefined) {
    errors.push(invalidField(`${path}.cachesize`, cachesize, 'cachesize is not supported in v2'));
  }
  if (apiVersion !== 'v2') {
    const detail = `unsupported apiVersion ${apiVersion} for KMS provider, only v2 is supported; write apiVersion: v2`;
    errors.push(invalidField(`${path}.apiVersion`, apiVersion, detail));
  }
  return errors;
}

function isPositive(duration: string): boolean {
  try {
    return parseDurationMs(duration) > 0;
  } catch {
    return false;
  }
}

function endpointErrors(endpoint: string, path: string): readonly FieldError[] {
  if (endpoint === '') return [invalidField(path, '', 'endpoint is a mandatory field for a kms')];
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(endpoint)?.[1] ?? '';
  if (scheme !== 'unix') {
    const detail = `unsupported scheme ${JSON.stringify(scheme)} for KMS provider, only unix is supported`;
    return [invalidField(path, endpoint, detail)];
  }
  return endpoint.replace(/^unix:(\/\/)?/, '') === ''
    ? [invalidField(path, endpoint, 'names no socket; write unix:///path/to/socket')]
    : [];
}
