import { badRequest } from '#api/errors/status.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { readHeaders, unescapeKey } from './authn/headers.ts';
import { waysTo, type Wanted, type Way } from './impersonation-ways.ts';

const prefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';

/**
 * The ways to be the user that Impersonate-* headers name, for who asks; undefined without them.
 * @throws {E_API} 400 for groups of nobody
 */
export function impersonationOf(request: ApiRequest, caller: User): readonly Way[] | undefined {
  if (!isAsked(request)) return undefined;
  const wanted = readWanted(request);
  const { name, uid, groups, extra } = wanted;
  if (name !== '') return waysTo(wanted, caller);
  if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return undefined;
  throw badRequest(`requested ${goUser(wanted)} without impersonating a user name`);
}

/** Looked for in each request: the list that came is faster to walk over than the table made of it. */
function isAsked({ headers, rawHeaders }: ApiRequest): boolean {
  if (rawHeaders === undefined) return Object.keys(headers).some((name) => name.startsWith(prefix));
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length > prefix.length && name.slice(0, prefix.length).toLowerCase() === prefix) return true;
  }
  return false;
}

/** Of names and uids the first counts; each value is a group of its own, a comma in it is a part of it. */
function readWanted(request: ApiRequest): Wanted {
  const values = readHeaders(request);
  const extra = new Map<string, readonly string[]>();
  for (const [name, given] of values) {
    if (!name.startsWith(extraPrefix)) continue;
    const key = unescapeKey(name.slice(extraPrefix.length));
    extra.set(key, [...(extra.get(key) ?? []), ...given]);
  }
  return {
    name: values.get('impersonate-user')?.[0] ?? '',
    uid: values.get('impersonate-uid')?.[0] ?? '',
    groups: values.get('impersonate-group') ?? [],
    extra: Object.fromEntries(extra),
  };
}

/** As Go prints it by %#v. */
function goUser({ name, uid, groups, extra }: Wanted): string {
  const strings = (texts: readonly string[]): string =>
    texts.length === 0
      ? '[]string(nil)'
      : `[]string{${texts.map((text) => JSON.stringify(text)).join(', ')}}`;
  const entries = Object.entries(extra).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const map =
    entries.length === 0
      ? '(nil)'
      : `{${entries.map(([key, values]) => `${JSON.stringify(key)}:${strings(values)}`).join(', ')}}`;
  return `&user.DefaultInfo{Name:${JSON.stringify(name)}, UID:${JSON.stringify(uid)}, Groups:${strings(groups)}, Extra:map[string][]string${map}}`;
}
