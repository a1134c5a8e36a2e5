import type { Secret } from '#api/generated/objects.ts';

/** `abcdef.0123456789abcdef`: an id, which anybody may know, and a secret. */
export interface TokenText {
  readonly id: string;
  readonly secret: string;
}

/** What a Secret of the type bootstrap.kubernetes.io/token says. */
export interface BootstrapToken extends TokenText {
  readonly description: string;
  /** Milliseconds since the epoch. undefined: it does not end. NaN where it cannot be read: then it has ended. */
  readonly expiresAtMs: number | undefined;
  /** Who shows it is somebody. */
  readonly isForAuthentication: boolean;
  /** What everybody may read of the cluster is signed with it. */
  readonly isForSigning: boolean;
  /** Beside `system:bootstrappers`; as they are written, which need not be right. */
  readonly extraGroups: readonly string[];
}

export const bootstrapTokenType = 'bootstrap.kubernetes.io/token';
export const bootstrapTokenNamespace = 'kube-system';
export const bootstrappersGroup = 'system:bootstrappers';
const namePrefix = 'bootstrap-token-';
const textPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** The parts of a token; undefined for other texts. */
export function parseTokenText(text: string): TokenText | undefined {
  const [, id, secret] = textPattern.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export function formatTokenText({ id, secret }: TokenText): string {
  return `${id}.${secret}`;
}

export function isTokenId(text: string): boolean {
  return /^[a-z0-9]{6}$/.test(text);
}

/** Whether a token may be in that group. */
export function isTokenGroup(group: string): boolean {
  return groupPattern.test(group);
}

/** The name of the Secret of a token. */
export function tokenSecretName(id: string): string {
  return `${namePrefix}${id}`;
}

/** The id in the name of a Secret; undefined for other names. */
export function tokenIdInName(name: string): string | undefined {
  const id = name.startsWith(namePrefix) ? name.slice(namePrefix.length) : '';
  return isTokenId(id) ? id : undefined;
}

/**
 * What a Secret says as a token; undefined where it is none: of another type or name, about to go, or with another id inside than in its
 * name (cluster-bootstrap/token/util).
 */
export function readBootstrapToken({ type, metadata, data = {} }: Secret): BootstrapToken | undefined {
  const textOf = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const id = tokenIdInName(metadata?.name ?? '');
  const secret = textOf('token-secret');
  const isWhole = type === bootstrapTokenType && metadata?.deletionTimestamp === undefined;
  if (!isWhole || id === undefined || textOf('token-id') !== id || secret === '') return undefined;
  const expiration = textOf('expiration');
  const groups = textOf('auth-extra-groups');
  return {
    id,
    secret,
    description: textOf('description'),
    expiresAtMs: expiration === '' ? undefined : parseExpiration(expiration),
    isForAuthentication: textOf('usage-bootstrap-authentication') === 'true',
    isForSigning: textOf('usage-bootstrap-signing') === 'true',
    extraGroups: groups === '' ? [] : groups.split(','),
  };
}

/** RFC 3339; NaN for anything else. */
export function parseExpiration(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
}

/** Whether the token is worth nothing any more. */
export function hasTokenExpired(
  { expiresAtMs }: Pick<BootstrapToken, 'expiresAtMs'>,
  nowMs: number,
): boolean {
  return expiresAtMs !== undefined && !(expiresAtMs > nowMs);
}
