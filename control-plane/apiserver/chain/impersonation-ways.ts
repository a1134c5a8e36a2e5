import { domainPrefixedPathErrors, dnsSubdomain } from '#api/validation/format.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { masters } from './authz/privileged.ts';
import type { ResourceAttributes } from './authz/authorizer.ts';
import {
  accountOf,
  anonymous,
  authenticated,
  nodeNameKey,
  serviceAccountGroups,
  withGroup,
} from './authn/groups.ts';

/** What the Impersonate-* headers ask for, before anything is added. */
export interface Wanted {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** The modes of constrained impersonation: each is for users of one kind, and takes rights of its own. */
type Mode = 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info';

/** A way to be another user, with the rights that it takes. */
export interface Way {
  /**
   * undefined for the way of old, by the right to `impersonate`. In a mode it takes `impersonate-on:MODE:VERB` on what the request is about,
   * and then rights by the verb `impersonate:MODE`.
   */
  readonly mode: Mode | undefined;
  readonly verb: string;
  /** As whom the rights are looked up. */
  readonly caller: User;
  readonly user: User;
  readonly needed: readonly Needed[];
}

type Right = Pick<ResourceAttributes, 'group' | 'resource' | 'subresource' | 'namespace' | 'name'>;

/** Each of some rights; or the one that stands for all of them, where there is one: it is asked for first. */
export interface Needed {
  readonly each: readonly Right[];
  readonly all?: Right;
  /** Why nobody may, whatever rights they have: said of the first right. */
  readonly never?: string;
}

/**
 * All ways to be that user, in the order in which they are tried: the first that the caller may take counts, and who may take none is told of
 * the first (KEP 5284, apiserver/pkg/endpoints/filters/impersonation).
 */
export function waysTo(wanted: Wanted, caller: User): readonly Way[] {
  const account = accountOf(wanted.name);
  const node = nodeOf(wanted.name);
  const isNameAlone =
    wanted.uid === '' && wanted.groups.length === 0 && Object.keys(wanted.extra).length === 0;
  const legacy: Way = {
    mode: undefined,
    verb: 'impersonate',
    caller,
    user: wantedUser(wanted),
    needed: legacyNeeds(wanted),
  };
  if (node !== undefined) return isNameAlone ? [...nodeWays(wanted, node, caller), legacy] : [legacy];
  if (account !== undefined && !isNameAlone) return [legacy];
  const mode = account === undefined ? 'user-info' : 'serviceaccount';
  const needed =
    account === undefined ? [one('users', wanted.name), ...infoNeeds(wanted)] : [accountNeed(account, group)];
  return [{ mode, verb: `impersonate:${mode}`, caller, user: wantedUser(wanted), needed }, legacy];
}

/** Rights to be somebody are about things of this group; the way of old has names and groups in that of the core. */
const group = 'authentication.k8s.io';
const plain = { group, subresource: '', namespace: '' };

function one(resource: string, name: string, subresource = ''): Needed {
  return { each: [{ ...plain, resource, name, subresource }] };
}

function accountNeed(
  account: { readonly namespace: string; readonly name: string },
  ofGroup: string,
): Needed {
  return { each: [{ ...plain, group: ofGroup, resource: 'serviceaccounts', ...account }] };
}

/** The node of `system:node:NAME`. */
function nodeOf(user: string): string | undefined {
  const name = user.startsWith(nodePrefix) ? user.slice(nodePrefix.length) : '';
  return name !== '' && dnsSubdomain(name).length === 0 ? name : undefined;
}

const nodePrefix = 'system:node:';

/** An account may be given the right to be the node that its pod is on, whichever that is, and anybody that to be any. */
function nodeWays(wanted: Wanted, node: string, caller: User): readonly Way[] {
  const user = wantedUser(wanted, ['system:nodes']);
  const way = (mode: Mode, name: string, as: User): Way => ({
    ...{ mode, verb: `impersonate:${mode}`, caller: as, user },
    needed: [one('nodes', name)],
  });
  const arbitrary = way('arbitrary-node', node, caller);
  const own = caller.extra?.[nodeNameKey] ?? [];
  const isOwn = accountOf(caller.name) !== undefined && own.length === 1 && own[0] === node;
  return isOwn ? [way('associated-node', '*', anywhere(caller)), arbitrary] : [arbitrary];
}

/** An account without what tells its tokens apart: the right is the same on each node. */
function anywhere(caller: User): User {
  const keys = Object.keys(caller.extra ?? {}).toSorted();
  return { ...caller, extra: { 'authentication.kubernetes.io/associated-node-keys': keys } };
}

/** From so many on the right to all of them is asked for first. */
const manyCount = 4;

function infoNeeds({ uid, groups, extra }: Wanted): readonly Needed[] {
  return [...(uid === '' ? [] : [one('uids', uid)]), ...groupNeeds(groups), ...extraNeeds(extra)];
}

function groupNeeds(groups: readonly string[]): readonly Needed[] {
  if (groups.length === 0) return [];
  const right = (name: string): Right => ({ ...plain, resource: 'groups', name });
  const never = ['', masters].find((name) => groups.includes(name));
  if (never !== undefined) {
    const what = never === '' ? 'empty string' : never;
    return [{ each: [right(never)], never: `impersonating the ${what} group is not allowed` }];
  }
  return [{ each: groups.map(right), ...(groups.length >= manyCount ? { all: right('*') } : {}) }];
}

function extraNeeds(extra: Wanted['extra']): readonly Needed[] {
  const entries = Object.entries(extra);
  if (entries.length === 0) return [];
  const right = (subresource: string, name: string): Right => ({
    ...{ group, namespace: '', resource: 'userextras', subresource, name },
  });
  for (const [key, values] of entries) {
    const wrong = wrongExtra(key, values);
    if (wrong !== undefined) return [{ each: [right('', '')], never: `impersonating ${wrong}` }];
  }
  const each = entries.flatMap(([key, values]) => values.map((value) => right(key, value)));
  return [{ each, ...(each.length >= manyCount ? { all: right('*', '*') } : {}) }];
}

/** What no right is enough for. */
function wrongExtra(key: string, values: readonly string[]): string | undefined {
  if (key === '') return 'the empty string key in extra is not allowed';
  const [error] = domainPrefixedPathErrors('extra.key', key);
  if (error !== undefined) return `an invalid key in extra is not allowed: ${renderFieldError(error)}`;
  if (key !== key.toLowerCase()) return `a non-lowercase key in extra is not allowed: ${JSON.stringify(key)}`;
  return values.includes('') ? 'the empty string value in extra is not allowed' : undefined;
}

/** By the right to `impersonate` each of them. */
function legacyNeeds({ name, uid, groups, extra }: Wanted): readonly Needed[] {
  const account = accountOf(name);
  const core = (resource: string, of: string): Needed => ({
    each: [{ ...plain, group: '', resource, name: of }],
  });
  return [
    account === undefined ? core('users', name) : accountNeed(account, ''),
    ...(uid === '' ? [] : [one('uids', uid)]),
    ...groups.map((of) => core('groups', of)),
    ...Object.entries(extra).flatMap(([key, values]) => values.map((value) => one('userextras', value, key))),
  ];
}

/** The user whom the headers name. What follows from the name is added where nothing else was asked for: the groups of an account, or those given. */
function wantedUser({ name, uid, groups, extra }: Wanted, implied: readonly string[] = []): User {
  const account = accountOf(name);
  const followed = account === undefined ? implied : serviceAccountGroups(account.namespace);
  const user: User = {
    name,
    groups: groups.length === 0 ? followed : groups,
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  if (name === anonymous.name) return anonymous.groups.reduce(withGroup, user);
  return user.groups.some((of) => anonymous.groups.includes(of)) ? user : withGroup(user, authenticated);
}
