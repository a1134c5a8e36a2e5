/**
 * Who may use an image that is on the node (KEP-2535): who brought it there, with whose credentials, and what the node's owner says of it.
 * Pure.
 */
import type { JsonObject } from '#api/meta/object.ts';
import { stringOf } from '#api/wire/json.ts';
import { parseReference, repositoryOf } from '#api/oci/reference.ts';
import { isPodwrightError } from '#base/errors.ts';

export const verificationPolicies = [
  'NeverVerify',
  'NeverVerifyPreloadedImages',
  'NeverVerifyAllowlistedImages',
  'AlwaysVerify',
] as const;

/** imagePullCredentialsVerificationPolicy, preloadedImagesVerificationAllowlist. */
export interface VerificationSettings {
  readonly policy: (typeof verificationPolicies)[number];
  /** `host/path` or `host/path/*`. */
  readonly allowlist: readonly string[];
}

/** The kubelet's. */
export const defaultVerification: VerificationSettings = {
  policy: 'NeverVerifyPreloadedImages',
  allowlist: [],
};

/** A Secret or service account whose credentials a registry took. */
export interface Holder {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

/** A Secret, with what its credentials were: another of the same content is as good. */
export interface SecretHolder extends Holder {
  readonly credentialHash: string;
}

/** With what a registry gave an image; `anyone`: without credentials, or with such as any pod of the node has. */
export type PullAccess =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'secret'; readonly secret: SecretHolder }
  | { readonly kind: 'account'; readonly account: Holder };

/** Of one repository; nothing in it: credentials are asked for again. */
export interface ImageAccess {
  readonly isOpen: boolean;
  readonly secrets: readonly SecretHolder[];
  readonly accounts: readonly Holder[];
}

export const noAccess: ImageAccess = { isOpen: false, secrets: [], accounts: [] };

/** What a pod has to show. */
export interface PodCredentials {
  readonly secrets: readonly SecretHolder[];
  readonly account: Holder | undefined;
}

/** Holders of one image that are kept: the oldest go, and ask the registry again. */
export const holdersMax = 256;

/** Adds what is wrong to `problems`. */
export function readVerification(configuration: JsonObject, problems: string[]): VerificationSettings {
  const gates = configuration['featureGates'];
  const gate = typeof gates === 'object' && gates !== null ? Object.entries(gates) : [];
  const isOff = gate.some(([name, value]) => name === 'KubeletEnsureSecretPulledImages' && value === false);
  const field = 'imagePullCredentialsVerificationPolicy';
  const text = stringOf(configuration[field]) || defaultVerification.policy;
  const policy = verificationPolicies.find((known) => known === text);
  if (policy === undefined) problems.push(`${field}: ${text} is none of ${verificationPolicies.join(', ')}`);
  const listed = 'preloadedImagesVerificationAllowlist';
  const given = configuration[listed];
  const allowlist = Array.isArray(given) ? given.map(String) : [];
  if (allowlist.length > 0 && policy !== 'NeverVerifyAllowlistedImages')
    problems.push(`${listed}: it goes with ${field} NeverVerifyAllowlistedImages alone`);
  for (const [index, pattern] of allowlist.entries()) {
    const why = patternProblem(pattern);
    if (why !== undefined) problems.push(`${listed}[${index}]: ${pattern} ${why}`);
  }
  return { policy: isOff || policy === undefined ? 'NeverVerify' : policy, allowlist };
}

function patternProblem(pattern: string): string | undefined {
  const name = pattern.endsWith('/*') ? pattern.slice(0, -2) : pattern;
  if (name === '' || name.includes('*')) return 'has a wildcard elsewhere than as its last segment, "/*"';
  // A host alone is no reference: it stands for all that is below it.
  const whole = pattern.endsWith('/*') ? `${name}/x` : name;
  try {
    const { tag, digest } = parseReference(whole);
    const isPlain = digest === undefined && (tag === undefined || !whole.endsWith(`:${tag}`));
    return isPlain ? undefined : 'has a tag or a digest';
  } catch (error) {
    if (isPodwrightError(error)) return 'is no name of an image';
    throw error;
  }
}

/** Whether a pod has to show credentials for it. `isOurs`: the kubelet pulled it, or began to. */
export function mustVerify(
  { policy, allowlist }: VerificationSettings,
  image: string,
  isOurs: boolean,
): boolean {
  if (policy === 'NeverVerify') return false;
  if (policy === 'AlwaysVerify' || isOurs) return true;
  return policy === 'NeverVerifyAllowlistedImages' && !isAllowlisted(allowlist, repositoryOfImage(image));
}

function isAllowlisted(allowlist: readonly string[], repository: string): boolean {
  return allowlist.some((pattern) =>
    pattern.endsWith('/*')
      ? repository.startsWith(pattern.slice(0, -1))
      : repository === repositoryOfImage(pattern),
  );
}

/** `docker.io/library/busybox`; of what is no name, as an id, itself. */
export function repositoryOfImage(image: string): string {
  try {
    return repositoryOf(parseReference(image));
  } catch (error) {
    if (isPodwrightError(error)) return image;
    throw error;
  }
}

/** By the secret itself, whose credentials may have been changed since; by one of the same content; by the service account. */
export function hasAccess(access: ImageAccess, { secrets, account }: PodCredentials): boolean {
  if (access.isOpen) return true;
  const isSame = (one: Holder, other: Holder): boolean =>
    one.uid === other.uid && one.namespace === other.namespace && one.name === other.name;
  return (
    secrets.some((own) =>
      access.secrets.some(
        (known) =>
          isSame(own, known) || (own.credentialHash !== '' && own.credentialHash === known.credentialHash),
      ),
    ) ||
    (account !== undefined && access.accounts.some((known) => isSame(account, known)))
  );
}

/** The same, and whoever pulled it now. */
export function withAccess(before: ImageAccess, by: PullAccess): ImageAccess {
  if (before.isOpen || by.kind === 'anyone') return { isOpen: true, secrets: [], accounts: [] };
  const last = <T extends Holder>(list: readonly T[], one: T): readonly T[] =>
    [...list.filter((each) => JSON.stringify(each) !== JSON.stringify(one)), one].slice(-holdersMax);
  return by.kind === 'secret'
    ? { ...before, secrets: last(before.secrets, by.secret) }
    : { ...before, accounts: last(before.accounts, by.account) };
}
