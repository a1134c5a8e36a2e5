import { badRequest } from '#api/errors/status.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { anonymous, authenticated, serviceAccountGroups, withGroup } from './authn/groups.ts';
import { readHeaders, unescapeKey } from './authn/headers.ts';
import type { ResourceAttributes } from './authz/authorizer.ts';

const prefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';

/** What the headers ask for, before anything is added. */
interface Asked {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Another user than the one who asks, and the rights that it takes to be that one. */
export interface Impersonation {
  readonly user: User;
  /** One for the user, and one for each group, uid and extra value: each may be had without the others. */
  readonly needed: readonly Needed[];
  /** How a refusal calls it (constrained impersonation, KEP 5284). */
  readonly mode: 'user-info' | 'serviceaccount' | 'arbitrary-node';
}

type Needed = Pick<ResourceAttributes, 'group' | 'resource' | 'subresource' | 'namespace' | 'name'>;

/** The user that Impersonate-* headers name; undefined without them. @throws {E_API} 400 for groups of nobody */
export function impersonationOf(request: ApiRequest): Impersonation | undefined {
  if (!isAsked(request)) return undefined;
  const asked = readAsked(request);
  const { name, uid, groups, extra } = asked;
  if (name === '') {
    if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return undefined;
    throw badRequest(`requested ${goUser(asked)} without impersonating a user name`);
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const isNode = name.startsWith('system:node:');
  return {
    user: userOf(asked, account?.[1]),
    needed: neededFor(asked, account),
    mode: account === null ? (isNode ? 'arbitrary-node' : 'user-info') : 'serviceaccount',
  };
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
function readAsked(request: ApiRequest): Asked {
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

/** What follows from the name is added where nothing else was asked for. */
function userOf({ name, uid, groups, extra }: Asked, accountNamespace: string | undefined): User {
  const implied = impliedGroups(name, accountNamespace);
  const user: User = {
    name,
    groups: groups.length === 0 ? implied : groups,
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  if (name === anonymous.name) return anonymous.groups.reduce(withGroup, user);
  return user.groups.some((group) => anonymous.groups.includes(group))
    ? user
    : withGroup(user, authenticated);
}

function impliedGroups(name: string, accountNamespace: string | undefined): readonly string[] {
  if (accountNamespace !== undefined) return serviceAccountGroups(accountNamespace);
  return name.startsWith('system:node:') ? ['system:nodes'] : [];
}

function neededFor({ name, uid, groups, extra }: Asked, account: RegExpExecArray | null): readonly Needed[] {
  const plain = { group: '', subresource: '', namespace: '' };
  const authentication = { ...plain, group: 'authentication.k8s.io' };
  const who =
    account === null
      ? { ...plain, resource: 'users', name }
      : { ...plain, resource: 'serviceaccounts', namespace: account[1] ?? '', name: account[2] ?? '' };
  return [
    who,
    ...groups.map((group) => ({ ...plain, resource: 'groups', name: group })),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => ({
        ...authentication,
        resource: 'userextras',
        subresource: key,
        name: value,
      })),
    ),
    ...(uid === '' ? [] : [{ ...authentication, resource: 'uids', name: uid }]),
  ];
}

/** As Go prints it by %#v. */
function goUser({ name, uid, groups, extra }: Asked): string {
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
