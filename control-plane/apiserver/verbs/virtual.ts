import { formatTime } from '#api/meta/time.ts';
import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { at, listOf, stringOf, withPath } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { kindKey, rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { collectFaults } from '#api/errors/field-error.ts';
import { badRequest, invalid, methodNotAllowed } from '#api/errors/status.ts';
import { admitWhole } from '#control-plane/apiserver/chain/admission/run-admission.ts';
import { describeErrors } from '#control-plane/apiserver/chain/authn/authenticator.ts';
import { reviewAccess, reviewRules, subjectOf } from '#control-plane/apiserver/chain/authz/access-review.ts';
import { readComponentStatus } from './component-status.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import type { ApiResponse, AuthorizedRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { bindPod } from '#control-plane/apiserver/subresources/binding.ts';
import { checkNamespaceOf } from './place.ts';
import { parseWriteOptions, warningHeaders } from './write-options.ts';

/** Objects of these kinds are never stored: a POST asks a question, and its answer is the object's status. */
type Answer = (
  context: ServerContext,
  object: JsonObject,
  route: ResourceRoute,
  user: User,
) => Promise<JsonObject> | JsonObject;

const access: Answer = async ({ authorizer }, review) => ({
  ...review,
  status: await reviewAccess(authorizer, review, subjectOf(review)),
});

/** By group and name, as all tables of kinds: a custom Binding is stored as anything. */
const answers: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  [
    'authentication.k8s.io/SelfSubjectReview',
    // An object of its own, whatever was sent: made now (pkg/registry/authentication/selfsubjectreview).
    ({ clock }, { kind, apiVersion }, _route, user) => ({
      ...{ kind, apiVersion, metadata: { creationTimestamp: formatTime(clock.now()) } },
      status: { userInfo: renderUser(user) },
    }),
  ],
  ['authentication.k8s.io/TokenReview', reviewToken],
  ['authorization.k8s.io/LocalSubjectAccessReview', access],
  [
    'authorization.k8s.io/SelfSubjectAccessReview',
    async ({ authorizer }, review, _route, user) => ({
      ...review,
      status: await reviewAccess(authorizer, review, user),
    }),
  ],
  [
    'authorization.k8s.io/SelfSubjectRulesReview',
    async ({ authorizer }, review, _route, user) => {
      if (stringOf(at(review, 'spec.namespace')) === '') throw badRequest('no namespace on request');
      return { ...review, status: await reviewRules(authorizer, review, user) };
    },
  ],
  ['authorization.k8s.io/SubjectAccessReview', access],
]);

const componentStatus = '/ComponentStatus';
const binding = '/Binding';

/** Whether objects of the kind are answered and not stored. */
export function isVirtual(kind: Kind): boolean {
  return rulesOf(kind).isStored === false;
}

/** The kinds that are answered here: those that are not stored, as a test makes sure. */
export const answeredKinds: readonly string[] = [...answers.keys(), componentStatus, binding];

export async function handleVirtual(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const key = kindKey(route.kind);
  if (key === componentStatus) {
    return readComponentStatus(route, request, context.clock.now());
  }
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  if (route.verb !== 'create') throw methodNotAllowed();
  const options = parseWriteOptions('CreateOptions', request.query);
  const body = decodeBodyOf(route.kind.kind, await request.readBody(), request.headers['content-type']);
  const { object: given, warnings } = decodeRequest(route.kind, body, options.fieldValidation);
  request.record?.saw(given);
  const { kind, namespace } = route;
  checkNamespaceOf(kind, namespace, given);
  using admitted = await admitWhole(
    context,
    {
      ...{ operation: 'create', verb: 'create', kind, subresource: '', namespace },
      ...{ name: stringOf(at(given, 'metadata.name')), user: request.user, scope: request },
      dryRun: options.dryRun,
    },
    given,
  );
  const { object } = admitted;

  if (key === binding) {
    return await bindPod(context, { namespace, binding: object, dryRun: options.dryRun }, style);
  }
  const answer = answers.get(key);
  if (answer === undefined) throw methodNotAllowed();
  const placed = withPath(object, 'metadata.namespace', namespace === '' ? undefined : namespace);
  const faults = collectFaults(() => rulesOf(kind).validate?.(placed) ?? []);
  // kube-apiserver says no kind there.
  if (faults.length > 0) throw invalid({ group: kind.group, kind: '' }, '', faults);
  const reviewed = await answer(context, object, route, request.user);
  return objectResponse(201, { metadata: {}, ...reviewed }, style, warningHeaders(warnings));
}

function renderUser(user: User): JsonObject {
  const { name, uid, groups, extra } = user;
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups,
    ...(extra === undefined ? {} : { extra }),
  };
}

async function reviewToken({ authentication }: ServerContext, review: JsonObject): Promise<JsonObject> {
  const token = stringOf(at(review, 'spec.token'));
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const given = listOf(at(review, 'spec.audiences')).map(stringOf);
  const answer = await authentication.reviewToken(
    token,
    given.length === 0 ? authentication.apiAudiences : given,
  );
  if (answer.user === undefined)
    return { ...review, status: { user: {}, error: describeErrors(answer.errors) } };
  const { user, audiences = [] } = answer;
  return {
    ...review,
    status: {
      authenticated: true,
      user: renderUser(user),
      ...(audiences.length === 0 ? {} : { audiences }),
    },
  };
}
