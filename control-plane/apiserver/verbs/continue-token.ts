import { posix } from 'node:path';
import { badRequest } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { jsonKind, isObject, numberOf, stringOf } from '#api/wire/json.ts';
import { parseJsonStrict } from '#api/wire/parse-json.ts';
import { isPodwrightError } from '#base/errors.ts';

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

/** @throws {E_API} 400, in the words of apiserver/pkg/storage/continue.go */
export function decodeContinue(token: string): ContinueToken {
  const refuse = (cause: string): Error =>
    badRequest(`invalid continue token: continue key is not valid${cause}`);
  const damaged = damagedAt(token);
  if (damaged !== undefined) throw refuse(`: illegal base64 data at input byte ${damaged}`);
  const { v = '', rv = 0, start = '' } = membersOf(Buffer.from(token, 'base64url').toString(), refuse);
  const wrong = Object.entries({ v, start }).find(([, value]) => typeof value !== 'string');
  const [field, value, type] = wrong === undefined ? ['rv', rv, 'int64'] : [...wrong, 'string'];
  if (wrong !== undefined || !Number.isInteger(rv))
    throw refuse(
      `: json: cannot unmarshal ${jsonKind(value)} into Go struct field continueToken.${field} of type ${type}`,
    );
  if (v !== tokenVersion) throw refuse(`: server does not recognize this encoded version ${stringOf(v)}`);
  const isOf = `(version ${tokenVersion})`;
  if (rv === 0) throw refuse(`: incorrect encoded start resourceVersion ${isOf}`);
  const key = stringOf(start);
  if (key === '') throw refuse(`: encoded start key empty ${isOf}`);
  const whole = key.startsWith('/') ? key : `/${key}`;
  if (posix.resolve(whole) !== whole) throw refuse(`: ${key}`);
  return { revision: numberOf(rv), start: whole.slice(1) };
}

/** The byte at which the text is no base64url without padding. */
function damagedAt(token: string): number | undefined {
  const bad = token.search(/[^A-Za-z0-9_-]/);
  if (bad >= 0) return bad;
  return token.length % 4 === 1 ? token.length - 1 : undefined;
}

function membersOf(text: string, refuse: (cause: string) => Error): JsonObject {
  try {
    const { value } = parseJsonStrict(text);
    if (value === null) return {};
    if (isObject(value)) return value;
    throw refuse(`: json: cannot unmarshal ${jsonKind(value)} into Go value of type storage.continueToken`);
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) throw refuse(`: ${error.message}`);
    throw error;
  }
}
