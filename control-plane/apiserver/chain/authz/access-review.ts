import { at, isObject, listOf, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { FieldMatcher } from '#api/meta/field-selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelMatcher } from '#api/meta/selector.ts';
import { readFields, readLabels } from '#control-plane/apiserver/chain/attributes.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { Attributes, Authorizer } from './authorizer.ts';

/** Of whom a SubjectAccessReview asks. */
export function subjectOf(review: JsonObject): User {
  const spec = objectOf(review['spec']);
  const user = stringOf(spec['user']);
  const groups = listOf(spec['groups']).map(stringOf);
  const extra = Object.entries(objectOf(spec['extra'])).map(
    ([key, values]) => [key, listOf(values).map(stringOf)] as const,
  );
  const uid = stringOf(spec['uid']);
  return {
    name: user,
    groups,
    ...(uid === '' ? {} : { uid }),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

/** The status of an access review that was found to be whole: what the authorizer says of the user. */
export async function reviewAccess(
  authorizer: Authorizer,
  review: JsonObject,
  user: User,
): Promise<JsonObject> {
  const { decision, reason, error } = await authorizer.decide(attributesOfReview(review, user));
  return {
    allowed: decision === 'allow',
    ...(decision === 'deny' ? { denied: true } : {}),
    ...(reason === '' ? {} : { reason }),
    ...(error === undefined ? {} : { evaluationError: error }),
  };
}

/** The status of a SelfSubjectRulesReview. */
export async function reviewRules(
  authorizer: Authorizer,
  review: JsonObject,
  user: User,
): Promise<JsonObject> {
  return { ...(await authorizer.rulesOf(user, stringOf(at(review, 'spec.namespace')))) };
}

function attributesOfReview(review: JsonObject, user: User): Attributes {
  const resource = at(review, 'spec.resourceAttributes');
  const path = at(review, 'spec.nonResourceAttributes');
  const asked = stringMapOf(isObject(resource) ? resource : path);
  const verb = asked['verb'] ?? '';
  if (!isObject(resource)) return { kind: 'path', user, verb, path: asked['path'] ?? '' };
  return {
    kind: 'resource',
    user,
    verb,
    group: asked['group'] ?? '',
    version: asked['version'] ?? '',
    resource: asked['resource'] ?? '',
    subresource: asked['subresource'] ?? '',
    namespace: asked['namespace'] ?? '',
    name: asked['name'] ?? '',
    labelSelector: labelsOf(objectOf(resource['labelSelector'])),
    fieldSelector: fieldsOf(objectOf(resource['fieldSelector'])),
  };
}

/** As text or in parts (authorization/v1 LabelSelectorAttributes). An operator that nobody knows limits nothing. */
function labelsOf({ rawSelector, requirements }: JsonObject): LabelMatcher | undefined {
  if (stringOf(rawSelector) !== '') return readLabels(stringOf(rawSelector));
  const known = objectsOf(requirements).flatMap(({ key, operator, values }) =>
    operator === 'In' || operator === 'NotIn' || operator === 'Exists' || operator === 'DoesNotExist'
      ? [{ key: stringOf(key), operator, values: listOf(values).map(stringOf) } as const]
      : [],
  );
  return known.length === 0 ? undefined : { requirements: known };
}

/** As text or in parts (FieldSelectorAttributes). Of the parts those count that name one value. */
function fieldsOf({ rawSelector, requirements }: JsonObject): FieldMatcher | undefined {
  if (stringOf(rawSelector) !== '') return readFields(stringOf(rawSelector));
  const known = objectsOf(requirements).flatMap(({ key, operator, values }) => {
    const [value, ...others] = listOf(values).map(stringOf);
    if (value === undefined || others.length > 0 || (operator !== 'In' && operator !== 'NotIn')) return [];
    return [{ field: stringOf(key), equal: operator === 'In', value }];
  });
  return known.length === 0 ? undefined : known;
}
