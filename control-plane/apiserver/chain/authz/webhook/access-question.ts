import type { FieldMatcher } from '#api/meta/field-selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelMatcher } from '#api/meta/selector.ts';
import { objectOf, stringOf } from '#api/wire/json.ts';
import type { Attributes, Decision } from '#control-plane/apiserver/chain/authz/authorizer.ts';

/** The versions of SubjectAccessReview that webhooks are asked in (`subjectAccessReviewVersion`). */
export type ReviewVersion = 'v1' | 'v1beta1';

/** The SubjectAccessReview by which a webhook is asked; v1beta1 has `group` where v1 has `groups`. */
export function renderAccessReview(attributes: Attributes, version: ReviewVersion): JsonObject {
  const { name, groups, uid, extra } = attributes.user;
  return {
    kind: 'SubjectAccessReview',
    apiVersion: `authorization.k8s.io/${version}`,
    metadata: {},
    spec: {
      ...specOf(attributes),
      ...(name === '' ? {} : { user: name }),
      ...(groups.length === 0 ? {} : { [version === 'v1' ? 'groups' : 'group']: groups }),
      ...(extra === undefined ? {} : { extra }),
      ...(uid === undefined ? {} : { uid }),
    },
    status: { allowed: false },
  };
}

function specOf(attributes: Attributes): JsonObject {
  if (attributes.kind === 'path') {
    return { nonResourceAttributes: withoutBlank({ path: attributes.path, verb: attributes.verb }) };
  }
  const { namespace, verb, group, version = '', resource, subresource, name } = attributes;
  const { fieldSelector, labelSelector } = attributes;
  return {
    resourceAttributes: {
      ...withoutBlank({ namespace, verb, group, version, resource, subresource, name }),
      ...(fieldSelector === undefined ? {} : { fieldSelector: { requirements: fieldsOf(fieldSelector) } }),
      ...(labelSelector === undefined ? {} : { labelSelector: { requirements: labelsOf(labelSelector) } }),
    },
  };
}

/** As Go leaves out what is empty. */
function withoutBlank(texts: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));
}

function fieldsOf(selector: FieldMatcher): readonly JsonObject[] {
  return selector.map(({ field, equal, value }) => ({
    key: field,
    operator: equal ? 'In' : 'NotIn',
    values: [value],
  }));
}

/** Of a label those count that a LabelSelector has: without Gt and Lt. */
function labelsOf({ requirements }: LabelMatcher): readonly JsonObject[] {
  return requirements.flatMap(({ key, operator, values }) => {
    if (operator === 'Gt' || operator === 'Lt') return [];
    return [{ key, operator, ...(values.length === 0 ? {} : { values }) }];
  });
}

/**
 * What the answer of a webhook says. @throws {Error} for one that both allows and denies, as plugin/pkg/authorizer/webhook reports
 */
export function readAccessAnswer(answer: JsonObject): Decision {
  const { allowed, denied, reason } = objectOf(answer['status']);
  if (allowed === true && denied === true)
    throw new Error('webhook subject access review returned both allow and deny response');
  const decision = denied === true ? 'deny' : allowed === true ? 'allow' : 'noOpinion';
  return { decision, reason: stringOf(reason) };
}
