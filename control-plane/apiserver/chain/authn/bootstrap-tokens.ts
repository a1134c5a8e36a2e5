import { timingSafeEqual } from 'node:crypto';
import {
  bootstrappersGroup,
  hasTokenExpired,
  isTokenGroup,
  parseTokenText,
  readBootstrapToken,
  tokenIdInName,
  type BootstrapToken,
} from '#api/bootstrap-token/bootstrap-token.ts';
import type { Secret } from '#api/generated/objects.ts';
import { typed } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { mirrorKind, type MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import { namespaceInKey, nameInKey } from '#control-plane/apiserver/objects/storage-key.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { TokenAuthenticator } from './authenticator.ts';

/** The bootstrap tokens that are stored, by id. */
export type BootstrapTokenBook = ReadonlyMap<string, BootstrapToken>;

export interface KeptBootstrapTokens extends Disposable {
  readonly book: BootstrapTokenBook;
}

/** Keeps a book of the tokens that are stored. Resolves when it has all of them. Other Secrets are passed over unread. */
export async function keepBootstrapTokens(parts: MirrorParts): Promise<KeptBootstrapTokens> {
  const book = new Map<string, BootstrapToken>();
  const mirror = await mirrorKind(parts, builtIn('', 'v1', 'secrets'), {
    put: (stored) => {
      const id = idInKey(stored.key);
      if (id === undefined) return;
      const token = readBootstrapToken(typed<Secret>(stored.object));
      if (token === undefined) book.delete(id);
      else book.set(id, token);
    },
    remove: (key) => {
      const id = idInKey(key);
      if (id !== undefined) book.delete(id);
    },
  });
  return { book, [Symbol.dispose]: () => mirror[Symbol.dispose]() };
}

function idInKey(key: string): string | undefined {
  return namespaceInKey(key) === 'kube-system' ? tokenIdInName(nameInKey(key)) : undefined;
}

/** Tokens by which nodes join (KEP 130-bootstrap-token, plugin/pkg/auth/authenticator/token/bootstrap). */
export function bootstrapTokenAuthenticator(book: BootstrapTokenBook, clock: Clock): TokenAuthenticator {
  return {
    name: 'bootstrap tokens',
    authenticateToken: (text) => {
      const user = userOfToken(book, text, clock.now());
      // As upstream: who shows a wrong one hears no more than who shows none that is known.
      return user === undefined ? undefined : { user };
    },
  };
}

/** Pure, but for the time it takes, which tells nothing of the secret. */
export function userOfToken(book: BootstrapTokenBook, text: string, nowMs: number): User | undefined {
  const shown = parseTokenText(text);
  const token = shown === undefined ? undefined : book.get(shown.id);
  if (shown === undefined || token === undefined || !isSame(shown.secret, token.secret)) return undefined;
  const isGood =
    token.isForAuthentication && !hasTokenExpired(token, nowMs) && token.extraGroups.every(isTokenGroup);
  if (!isGood) return undefined;
  const groups = [...new Set([bootstrappersGroup, ...token.extraGroups])].toSorted();
  return { name: `system:bootstrap:${token.id}`, groups };
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
