import { at, stringOf } from '#api/json.ts';
import { badRequest, unauthorized } from '#api/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ApiRequest, ClientCertificate, User } from '#control-plane/apiserver/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { tokenIssuer, type TokenClaims } from './tokens.ts';

const credentialId = 'authentication.kubernetes.io/credential-id';
const authenticated = 'system:authenticated';
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

const serviceAccounts = builtIn('', 'v1', 'serviceaccounts');
const pods = builtIn('', 'v1', 'pods');

/** Who asks: by client certificate, bearer token, or nobody in particular. @throws {E_API} 401 for a token that is no good */
export async function authenticate(context: ServerContext, request: ApiRequest): Promise<User> {
  const { caller } = request;
  if (caller.kind === 'in-process') return withGroup(caller.user, authenticated);
  if (caller.certificate !== undefined) return certificateUser(caller.certificate);
  const authorization = request.headers['authorization'];
  if (authorization === undefined) return anonymous;
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw unauthorized();
  const user = await authenticateToken(context, token, [tokenIssuer]);
  if (user === undefined) throw unauthorized();
  return user;
}

const certificateUsers = new WeakMap<ClientCertificate, User>();

/** The user of a connection: the same for all its requests. */
function certificateUser(certificate: ClientCertificate): User {
  const known = certificateUsers.get(certificate);
  if (known !== undefined) return known;
  const user = {
    name: certificate.commonName,
    groups: [...certificate.organizations, authenticated],
    extra: { [credentialId]: [`X509SHA256=${certificate.fingerprint}`] },
  };
  certificateUsers.set(certificate, user);
  return user;
}

/** The user of a service account token that is meant for one of the audiences, and whose account and pod still exist. */
export async function authenticateToken(
  context: ServerContext,
  token: string,
  audiences: readonly string[],
): Promise<User | undefined> {
  const claims = await context.tokens.verify(token);
  if (claims === undefined || !claims.audiences.some((audience) => audiences.includes(audience)))
    return undefined;
  const { namespace, name, uid, bound } = claims;
  const account = await context.registry.read(serviceAccounts, namespace, name);
  if (stringOf(at(account?.object, 'metadata.uid')) !== uid) return undefined;
  if (bound?.kind === 'Pod') {
    const pod = await context.registry.read(pods, namespace, bound.name);
    if (stringOf(at(pod?.object, 'metadata.uid')) !== bound.uid) return undefined;
  }
  return serviceAccountUser(claims);
}

function serviceAccountUser({ namespace, name, uid, tokenId, bound }: TokenClaims): User {
  const boundExtra: Record<string, readonly string[]> =
    bound?.kind === 'Pod'
      ? {
          'authentication.kubernetes.io/pod-name': [bound.name],
          'authentication.kubernetes.io/pod-uid': [bound.uid],
        }
      : {};
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: [...serviceAccountGroups(namespace), authenticated],
    extra: { [credentialId]: [`JTI=${tokenId}`], ...boundExtra },
  };
}

function serviceAccountGroups(namespace: string): readonly string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
}

/** The user that Impersonate-* headers name; undefined without them. @throws {E_API} 400 for groups of nobody */
export function impersonatedUser(request: ApiRequest): User | undefined {
  const { headers } = request;
  if (!isImpersonation(headers)) return undefined;
  const name = headers['impersonate-user'] ?? '';
  const groups = (headers['impersonate-group'] ?? '')
    .split(',')
    .map((group) => group.trim())
    .filter((group) => group !== '');
  const uid = headers['impersonate-uid'];
  const extra = impersonatedExtra(headers);
  if (name === '') {
    if (groups.length === 0 && uid === undefined && Object.keys(extra).length === 0) return undefined;
    const list =
      groups.length === 0
        ? '[]string(nil)'
        : `[]string{${groups.map((group) => JSON.stringify(group)).join(', ')}}`;
    throw badRequest(
      `requested &user.DefaultInfo{Name:"", UID:${JSON.stringify(uid ?? '')}, Groups:${list}, Extra:map[string][]string(nil)} without impersonating a user name`,
    );
  }
  const account = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name)?.[1];
  const implied = groups.length === 0 && account !== undefined ? serviceAccountGroups(account) : groups;
  const user = {
    name,
    groups: implied,
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  return name === anonymous.name
    ? { ...user, groups: [...implied, ...anonymous.groups] }
    : withGroup(user, authenticated);
}

function isImpersonation(headers: ApiRequest['headers']): boolean {
  for (const header in headers) if (header.startsWith('impersonate-')) return true;
  return false;
}

function impersonatedExtra(headers: ApiRequest['headers']): Readonly<Record<string, readonly string[]>> {
  const prefix = 'impersonate-extra-';
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      if (!name.startsWith(prefix) || value === undefined) return [];
      return [[unescapeKey(name.slice(prefix.length)), value.split(', ')] as const];
    }),
  );
}

function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key; // Taken as it is, as the real server does.
  }
}

function withGroup(user: User, group: string): User {
  return user.groups.includes(group) ? user : { ...user, groups: [...user.groups, group] };
}
