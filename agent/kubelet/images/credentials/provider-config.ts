/** CredentialProviderConfig (kubelet.config.k8s.io): which programs are asked for credentials of images. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { readConfigFile, type DocumentKind } from '#api/config/config-document.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { patternProblem } from './match-image.ts';

export interface CredentialProvider {
  readonly name: string;
  /** The program. */
  readonly path: string;
  readonly matchImages: readonly string[];
  readonly defaultCacheMs: number;
  /** `credentialprovider.kubelet.k8s.io/v1` */
  readonly apiVersion: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly token: TokenAttributes | undefined;
}

/** A token of the pod's service account goes along (KEP-4412). */
export interface TokenAttributes {
  readonly audience: string;
  /** Pods without one are not asked for; else they are without a token. */
  readonly isRequired: boolean;
  readonly requiredAnnotations: readonly string[];
  readonly optionalAnnotations: readonly string[];
  /** What is kept is for the token, not for the account. */
  readonly isByToken: boolean;
}

const execVersions = ['v1', 'v1beta1', 'v1alpha1'].map((each) => `credentialprovider.kubelet.k8s.io/${each}`);
export const providersMax = 64;

const documentKind: DocumentKind = {
  kind: 'CredentialProviderConfig',
  apiVersions: ['v1', 'v1beta1', 'v1alpha1'].map((each) => `kubelet.config.k8s.io/${each}`),
  fields: {
    providers: [
      {
        name: 'string',
        matchImages: ['string'],
        defaultCacheDuration: 'duration',
        apiVersion: 'string',
        args: ['string'],
        env: [{ name: 'string', value: 'string' }],
        tokenAttributes: {
          serviceAccountTokenAudience: 'string',
          cacheType: 'string',
          requireServiceAccount: 'boolean',
          requiredServiceAccountAnnotationKeys: ['string'],
          optionalServiceAccountAnnotationKeys: ['string'],
        },
      },
    ],
  },
};

/** @throws {E_INVALID} with the path and all that is wrong */
export function readProviders(file: string, binDirectory: string): readonly CredentialProvider[] {
  const providers = readConfigFile(file, documentKind, (document) => parseProviders(document, binDirectory));
  for (const { path } of providers) requireProgram(path);
  return providers;
}

function requireProgram(path: string): void {
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new PodwrightError(
      'E_INVALID',
      `plugin binary executable ${path} did not exist: ${errnoOf(cause) ?? ''}`,
      { cause },
    );
  }
}

/** Of a document whose fields have their shapes. Pure. @throws {E_INVALID} with all that is wrong */
export function parseProviders(document: JsonObject, binDirectory: string): readonly CredentialProvider[] {
  const problems: string[] = [];
  const listed = Array.isArray(document['providers']) ? document['providers'].filter(isObject) : [];
  if (listed.length === 0) problems.push('providers: Required value: at least 1 item in plugins is required');
  if (listed.length > providersMax)
    problems.push(`providers: Too many: ${listed.length}: must have at most ${providersMax} items`);
  const names = new Set<string>();
  const providers = listed.map((each, index) => {
    const name = stringOf(each['name']);
    const problem =
      nameProblem(name) ?? (names.has(name) ? `provider name ${name} must be unique` : undefined);
    if (problem !== undefined)
      problems.push(`providers[${index}].name: Invalid value: ${JSON.stringify(name)}: ${problem}`);
    names.add(name);
    return providerOf(each, {
      name,
      binDirectory,
      say: (text) => problems.push(`providers[${index}].${text}`),
    });
  });
  if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
  return providers;
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'provider name is required';
  if (/[/\\]/.test(name)) return "provider name cannot contain '/'";
  if (/\s/.test(name)) return 'provider name cannot contain spaces';
  return name === '.' || name === '..' ? `provider name cannot be '${name}'` : undefined;
}

interface ProviderPlace {
  readonly name: string;
  readonly binDirectory: string;
  readonly say: (problem: string) => void;
}

function providerOf(given: JsonObject, { name, binDirectory, say }: ProviderPlace): CredentialProvider {
  const matchImages = textsOf(given['matchImages']);
  const apiVersion = stringOf(given['apiVersion']);
  const duration = given['defaultCacheDuration'];
  if (matchImages.length === 0)
    say('matchImages: Required value: at least 1 item in matchImages is required');
  for (const pattern of matchImages) {
    const problem = patternProblem(pattern);
    if (problem !== undefined) say(`matchImages: Invalid value: ${JSON.stringify(pattern)}: ${problem}`);
  }
  if (!execVersions.includes(apiVersion))
    say(
      `apiVersion: Unsupported value: ${JSON.stringify(apiVersion)}: supported values: ${execVersions.join(', ')}`,
    );
  if (typeof duration !== 'string')
    say('defaultCacheDuration: Required value: defaultCacheDuration is required');
  const defaultCacheMs = typeof duration === 'string' ? parseDurationMs(duration) : 0;
  if (defaultCacheMs < 0) say('defaultCacheDuration: Invalid value: must be greater than or equal to 0');
  const env = (Array.isArray(given['env']) ? given['env'] : []).filter(isObject);
  return {
    ...{ name, path: join(binDirectory, name), matchImages, defaultCacheMs, apiVersion },
    args: textsOf(given['args']),
    env: Object.fromEntries(env.map((each) => [stringOf(each['name']), stringOf(each['value'])])),
    token: tokenOf(given['tokenAttributes'], apiVersion, say),
  };
}

function tokenOf(value: unknown, apiVersion: string, say: ProviderPlace['say']): TokenAttributes | undefined {
  if (!isObject(value)) return undefined;
  const audience = stringOf(value['serviceAccountTokenAudience']);
  const cacheType = value['cacheType'];
  const isRequired = value['requireServiceAccount'];
  if (!apiVersion.endsWith('/v1'))
    say(
      'tokenAttributes: Forbidden: tokenAttributes is only supported for credentialprovider.kubelet.k8s.io/v1',
    );
  if (audience === '') say('tokenAttributes.serviceAccountTokenAudience: Required value');
  if (cacheType !== 'ServiceAccount' && cacheType !== 'Token')
    say('tokenAttributes.cacheType: Unsupported value: supported values: "ServiceAccount", "Token"');
  if (typeof isRequired !== 'boolean') say('tokenAttributes.requireServiceAccount: Required value');
  const requiredAnnotations = textsOf(value['requiredServiceAccountAnnotationKeys']);
  if (requiredAnnotations.length > 0 && isRequired === false)
    say(
      'tokenAttributes.requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set',
    );
  const optionalAnnotations = textsOf(value['optionalServiceAccountAnnotationKeys']);
  return {
    audience,
    isRequired: isRequired === true,
    requiredAnnotations,
    optionalAnnotations,
    isByToken: cacheType === 'Token',
  };
}

const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
