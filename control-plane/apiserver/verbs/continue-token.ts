import { badRequest } from '#api/errors/status.ts';
import { isObject } from '#api/wire/json.ts';

/** Where a list in pieces goes on. A revision of -1 means: at the newest, whatever happened since. */
export interface ContinueToken {
  readonly revision: number;
  /** The key to start from, relative to the prefix of the list. */
  readonly start: string;
}

const tokenVersion = 'meta.k8s.io/v1';

/** base64url without padding of {"v":…,"rv":…,"start":"/…"}: opaque to clients, and the same as kube-apiserver's. */
export function encodeContinue({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: tokenVersion, rv: revision, start: `/${start}` })).toString(
    'base64url',
  );
}

/** @throws {E_API} 400 */
export function decodeContinue(token: string): ContinueToken {
  const refuse = (cause: string): Error =>
    badRequest(`invalid continue token: continue key is not valid: ${cause}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    throw refuse('it is not what this server gave out');
  }
  if (!isObject(parsed)) throw refuse('it is not what this server gave out');
  const { v, rv, start } = parsed;
  if (v !== tokenVersion) throw refuse(`server does not recognize this encoded version ${JSON.stringify(v)}`);
  if (typeof rv !== 'number' || !Number.isInteger(rv) || rv === 0)
    throw refuse('incorrect encoded start resourceVersion');
  if (typeof start !== 'string' || start.includes('..'))
    throw refuse(`invalid encoded start key ${JSON.stringify(start)}`);
  return { revision: rv, start: start.startsWith('/') ? start.slice(1) : start };
}
