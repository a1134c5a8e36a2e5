import { invalidField } from '#api/errors/field-error.ts';
import { at, isObject, listOf, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { badRequest, conflict, invalid, notFound } from '#api/errors/status.ts';
import { tokenRequestRules } from '#api/kinds/authentication/token-request.ts';
import { formatTime } from '#api/meta/time.ts';
import { unreachable } from '#base/unreachable.ts';
import { boundKinds, type BoundKind } from '#control-plane/apiserver/chain/authn/bound-objects.ts';
import type { TokenPolicy } from '#control-plane/apiserver/chain/authn/authentication-options.ts';
import type { BoundReferences, ObjectReference } from '#control-plane/apiserver/chain/authn/tokens.ts';
import type { ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, type Style } from '#control-plane/apiserver/serve/respond.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { manageWrite } from '#control-plane/apiserver/verbs/owners.ts';
import { warningHeaders } from '#control-plane/apiserver/verbs/write-options.ts';
import type { PostedInput } from './posted-input.ts';
import { readExisting } from './read-existing.ts';

const secondsDefault = 3600;
/** What a kubelet asks for in a volume where nobody said how long, and how long such a token really lives (pkg/serviceaccount/claims.go). */
const extendedSeconds = 3607;
const extendedToSeconds = 31_536_000;

/** By what the audit record of a request tells with which token it was made. */
const issuedCredential = 'authentication.kubernetes.io/issued-credential-id';

/** A token for the service account, for a time and for audiences, bound to an object when that is named. */
export async function requestToken(
  context: ServerContext,
  input: PostedInput,
  style: Style,
): Promise<ApiResponse> {
  const { namespace, name, object } = input;
  const account = await readExisting(context, input.route);
  const spec = objectOf(object['spec']);
  const seconds =
    spec['expirationSeconds'] === undefined ? secondsDefault : numberOf(spec['expirationSeconds']);
  checkName(name, object);
  checkSpec(seconds);
  const given = listOf(spec['audiences']).map(stringOf);
  const audiences = given.length === 0 ? context.tokenPolicy.apiAudiences : given;
  const bound = isObject(spec['boundObjectRef'])
    ? await findBound(context, { namespace, name }, spec['boundObjectRef'])
    : {};
  const expirationSeconds = Math.min(seconds, context.tokenPolicy.maxTokenSeconds);
  const warnings =
    expirationSeconds < seconds
      ? [`requested expiration of ${seconds} seconds shortened to ${expirationSeconds} seconds`]
      : [];
  const { token } = await context.tokens.sign({
    ...bound,
    namespace,
    name,
    uid: stringOf(at(account.object, 'metadata.uid')),
    audiences,
    ...lifeOf(expirationSeconds, { bound, audiences }, context.tokenPolicy),
  });
  input.scope.annotate(issuedCredential, `JTI=${idOfToken(token)}`);
  const nowMs = context.clock.now();
  return objectResponse(
    201,
    {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: metadataOf(context, { input, account: account.object, seconds, nowMs }),
      spec: { audiences, expirationSeconds, boundObjectRef: spec['boundObjectRef'] ?? null },
      status: { token, expirationTimestamp: formatTime(nowMs + expirationSeconds * 1000) },
    },
    style,
    warningHeaders(warnings),
  );
}

/** What the request says of itself, with the account's name and uid, and who asked for what (pkg/registry/core/serviceaccount/storage). */
function metadataOf(
  context: ServerContext,
  asked: {
    readonly input: PostedInput;
    readonly account: JsonObject;
    readonly seconds: number;
    readonly nowMs: number;
  },
): JsonObject {
  const { namespace, name, object, taken, manager } = asked.input;
  const next = { ...object, spec: { ...objectOf(object['spec']), expirationSeconds: asked.seconds } };
  const write = { kind: taken, subresource: 'token', manager };
  const owned = objectOf(manageWrite(context, write, { live: undefined, next })['metadata']);
  const { managedFields, ...said } = owned;
  return {
    ...{
      name,
      namespace,
      uid: at(asked.account, 'metadata.uid'),
      creationTimestamp: formatTime(asked.nowMs),
    },
    ...Object.fromEntries(Object.entries(said).filter(([field]) => kept.has(field))),
    ...(managedFields === undefined ? {} : { managedFields }),
  };
}

const kept: ReadonlySet<string> = new Set(['labels', 'annotations']);

/**
 * How long a token lives. What a pod was given for an hour lives a year, and whoever uses it after the hour is noted: clients that do not
 * read their file again go on working, and nothing is lost by it while the token is dead with its pod.
 */
function lifeOf(
  expirationSeconds: number,
  { bound, audiences }: { readonly bound: BoundReferences; readonly audiences: readonly string[] },
  { extendsTokens, apiAudiences, maxTokenSeconds }: TokenPolicy,
): { readonly expirationSeconds: number; readonly warnAfterSeconds?: number } {
  const isExtended =
    extendsTokens &&
    bound.pod !== undefined &&
    expirationSeconds === extendedSeconds &&
    audiences.every((audience) => apiAudiences.includes(audience));
  if (!isExtended) return { expirationSeconds };
  return {
    expirationSeconds: Math.max(expirationSeconds, Math.min(extendedToSeconds, maxTokenSeconds)),
    warnAfterSeconds: expirationSeconds,
  };
}

/** Its claim jti (RFC 7519, 4.1.7). */
function idOfToken(token: string): string {
  const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  return stringOf(at(claims, 'jti'));
}

/** @throws {E_API} 422 where the request names another account than its path */
function checkName(name: string, object: JsonObject): void {
  const own = stringOf(at(object, 'metadata.name'));
  if (own === '' || own === name) return;
  const error = invalidField('metadata.name', own, 'must match the service account name if specified');
  throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, name, [error]);
}

/** @throws {E_API} 422 */
function checkSpec(expirationSeconds: number): void {
  const errors = tokenRequestRules.validate?.({ spec: { expirationSeconds } }) ?? [];
  if (errors.length > 0) throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', errors);
}

/** What the token is bound to, with the node of a pod that has one. @throws {E_API} 400, 404, 409 */
async function findBound(
  context: ServerContext,
  account: { readonly namespace: string; readonly name: string },
  reference: JsonObject,
): Promise<BoundReferences> {
  const kindName = stringOf(reference['kind']);
  const name = stringOf(reference['name']);
  if (!isBoundKind(kindName)) {
    throw badRequest(`cannot bind token to object of type ${goKind(reference)}`);
  }
  if (name === '') throw badRequest('Name parameter required.');
  const kind = boundKinds[kindName];
  const entry = await context.registry.read(kind, kind.namespaced ? account.namespace : '', name);
  if (entry === undefined) throw notFound(kind, name);
  const uid = stringOf(at(entry.object, 'metadata.uid'));
  if (kindName === 'Pod' && stringOf(at(entry.object, 'spec.serviceAccountName')) !== account.name) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account.name)} to pod running with different serviceaccount name.`,
    );
  }
  const asked = stringOf(reference['uid']);
  if (asked !== '' && asked !== uid) {
    throw conflict(
      { group: '', resource: kindName },
      name,
      `the UID in the bound object reference (${asked}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  switch (kindName) {
    case 'Pod':
      return { pod: { name, uid }, node: await nodeOf(context, entry.object) };
    case 'Secret':
      return { secret: { name, uid } };
    case 'Node':
      return { node: { name, uid } };
    default:
      return unreachable(kindName);
  }
}

function isBoundKind(text: string): text is BoundKind {
  return Object.hasOwn(boundKinds, text);
}

/** As Go prints a GroupVersionKind: `/v1, Kind=ConfigMap`. */
function goKind(reference: JsonObject): string {
  const apiVersion = stringOf(reference['apiVersion']);
  const grouped = apiVersion === '' || apiVersion.includes('/') ? apiVersion : `/${apiVersion}`;
  return `${grouped === '' ? '/' : grouped}, Kind=${stringOf(reference['kind'])}`;
}

/** The node that a pod is on; undefined before it has one, and where nobody knows that one. */
async function nodeOf(context: ServerContext, pod: JsonObject): Promise<ObjectReference | undefined> {
  const name = stringOf(at(pod, 'spec.nodeName'));
  if (name === '') return undefined;
  const node = await context.registry.read(boundKinds.Node, '', name);
  return node === undefined ? undefined : { name, uid: stringOf(at(node.object, 'metadata.uid')) };
}
