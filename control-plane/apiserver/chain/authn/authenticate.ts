import { unauthorized } from '#api/errors/status.ts';
import type { ApiRequest, ClientCertificate, User } from '#control-plane/apiserver/serve/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { invalidation } from './bound-objects.ts';
import { tokenIssuer, type ObjectReference, type TokenClaims } from './tokens.ts';

const credentialId = 'authentication.kubernetes.io/credential-id';
/** The group of all who said who they are. */
export const authenticated = 'system:authenticated';
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** Who asks: by client certificate, bearer token, or nobody in particular. @throws {E_API} 401 for credentials that are no good */
export async function authenticate(context: ServerContext, request: ApiRequest): Promise<User> {
  const { caller } = request;
  if (caller.kind === 'in-process') return withGroup(caller.user, authenticated);
  if (caller.certificate !== undefined) return certificateUser(caller.certificate);
  const token = bearerToken(request.headers['authorization']);
  if (token === undefined) {
    // Shown and not ours: not the same as none, or whoever mixed up two clusters would read of rights, not of the certificate.
    if (caller.hasForeignCertificate === true) throw unauthorized();
    return anonymous;
  }
  const answer = await authenticateToken(context, token, [tokenIssuer]);
  if (answer.user === undefined) throw unauthorized();
  return answer.user;
}

/** undefined for another scheme, or no token after this one: who sends that is nobody in particular. */
function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^ *Bearer +([^ ]+)/i.exec(authorization)?.[1];
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

/** What a token comes to: its user and those of the audiences that it is for, or why it is worth nothing. */
export type TokenAnswer =
  | { readonly user: User; readonly audiences: readonly string[] }
  | { readonly user: undefined; readonly cause: string };

/** Whether a token is in order, meant for one of the audiences, and everything that it is bound to is still there. */
export async function authenticateToken(
  context: ServerContext,
  token: string,
  wanted: readonly string[],
): Promise<TokenAnswer> {
  const verified = await context.tokens.verify(token);
  if (verified.claims === undefined) return { user: undefined, cause: verified.cause };
  const { claims } = verified;
  const audiences = claims.audiences.filter((audience) => wanted.includes(audience));
  if (audiences.length === 0) {
    const cause = `token audiences ${goList(claims.audiences)} is invalid for the target audiences ${goList(wanted)}`;
    return { user: undefined, cause };
  }
  const cause = await invalidation(context, claims);
  return cause === undefined ? { user: serviceAccountUser(claims), audiences } : { user: undefined, cause };
}

/** As Go prints a list of strings by %q. */
function goList(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`;
}

function serviceAccountUser({ namespace, name, uid, tokenId, pod, node }: TokenClaims): User {
  const extra = (what: string, reference: ObjectReference | undefined): Record<string, readonly string[]> =>
    reference === undefined
      ? {}
      : {
          [`authentication.kubernetes.io/${what}-name`]: [reference.name],
          [`authentication.kubernetes.io/${what}-uid`]: [reference.uid],
        };
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: [...serviceAccountGroups(namespace), authenticated],
    extra: { [credentialId]: [`JTI=${tokenId}`], ...extra('node', node), ...extra('pod', pod) },
  };
}

/** The groups of the service accounts of a namespace. */
export function serviceAccountGroups(namespace: string): readonly string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
}

/** The user, in that group too. */
export function withGroup(user: User, group: string): User {
  return user.groups.includes(group) ? user : { ...user, groups: [...user.groups, group] };
}
