import { at, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { Clock } from '#base/clock.ts';
import type { ObjectReference, TokenClaims } from './tokens.ts';

const serviceAccounts = builtIn('', 'v1', 'serviceaccounts');

/** What a token may be bound to, each by the claim that names it. */
export const boundKinds: Readonly<Record<BoundKind, Kind>> = {
  Pod: builtIn('', 'v1', 'pods'),
  Secret: builtIn('', 'v1', 'secrets'),
  Node: builtIn('', 'v1', 'nodes'),
};

/** Where what tokens are bound to is looked up. */
export interface BoundObjectsContext {
  readonly registry: Pick<Registry, 'readAtOnce' | 'read'>;
  readonly clock: Pick<Clock, 'now'>;
}

export type BoundKind = 'Pod' | 'Secret' | 'Node';

/** An object that is being deleted still vouches for its tokens this long past its deletionTimestamp (jwt.DefaultLeeway). */
const leewayMs = 60_000;

/**
 * Why a token whose signature and time are in order is worth nothing all the same: its account, or what it is bound to, has
 * gone or is another one of that name. The texts are those of pkg/serviceaccount/claims.go.
 */
export function invalidation(
  context: BoundObjectsContext,
  claims: TokenClaims,
): string | undefined | Promise<string | undefined> {
  const reading = context.registry.readAtOnce(serviceAccounts, claims.namespace, claims.name);
  return reading instanceof Promise
    ? reading.then((entry) => invalidationBy(context, claims, entry?.object))
    : invalidationBy(context, claims, reading?.object);
}

function invalidationBy(
  context: BoundObjectsContext,
  claims: TokenClaims,
  account: JsonObject | undefined,
): string | undefined | Promise<string | undefined> {
  const { name, uid, secret, pod, node } = claims;
  if (account === undefined) return `serviceaccounts ${JSON.stringify(name)} not found`;
  if (isPastDeletion(context, account)) return 'service account has been deleted';
  const found = stringOf(at(account, 'metadata.uid'));
  if (found !== uid) return `service account UID (${found}) does not match claim (${uid})`;
  const isBound = secret !== undefined || pod !== undefined || node !== undefined;
  return isBound ? anyMissing(context, claims) : undefined;
}

async function anyMissing(context: BoundObjectsContext, claims: TokenClaims): Promise<string | undefined> {
  const { secret, pod, node } = claims;
  return (
    (await missing(context, claims, 'Secret', secret)) ??
    (await missing(context, claims, 'Pod', pod)) ??
    // The node of a pod's token says where the pod ran; what the token is bound to is the pod.
    (pod === undefined ? await missing(context, claims, 'Node', node) : undefined)
  );
}

const claimWords: Readonly<Record<BoundKind, readonly [subject: string, claim: string]>> = {
  Secret: ['secret', 'service account secret'],
  Pod: ['pod', 'service account pod'],
  Node: ['node', 'service account node'],
};

async function missing(
  context: BoundObjectsContext,
  { namespace }: TokenClaims,
  kindName: BoundKind,
  reference: ObjectReference | undefined,
): Promise<string | undefined> {
  if (reference === undefined) return undefined;
  const kind = boundKinds[kindName];
  const entry = await context.registry.readAtOnce(kind, kind.namespaced ? namespace : '', reference.name);
  if (entry === undefined || isPastDeletion(context, entry.object)) {
    return 'service account token has been invalidated';
  }
  const uid = stringOf(at(entry.object, 'metadata.uid'));
  const [subject, claim] = claimWords[kindName];
  return uid === reference.uid
    ? undefined
    : `${subject} UID (${uid}) does not match ${claim} ref claim (${reference.uid})`;
}

function isPastDeletion({ clock }: BoundObjectsContext, object: object): boolean {
  const deletion = stringOf(at(object, 'metadata.deletionTimestamp'));
  return deletion !== '' && Date.parse(deletion) < clock.now() - leewayMs;
}
