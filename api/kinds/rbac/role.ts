import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, listOf, objectsOf } from '#api/wire/json.ts';
import { ruled } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { when } from '#api/validation/field.ts';
import { pathSegment } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';

/** Rules of Roles. */
export const roleRules: KindRules = {
  effect: ruled,
  createdByUpdate: true,
  tracksGeneration: false,
  nameFormat: pathSegment,
  validate: (role) => ruleErrors(role, false),
};

/** Rules of ClusterRoles. */
export const clusterRoleRules: KindRules = {
  effect: ruled,
  createdByUpdate: true,
  tracksGeneration: false,
  nameFormat: pathSegment,
  validate: (role) => [...ruleErrors(role, true), ...aggregationErrors(role['aggregationRule'])],
};

/** Which roles are gathered, by labels (ValidateClusterRole). */
function aggregationErrors(aggregation: unknown): readonly FieldError[] {
  if (!isObject(aggregation)) return [];
  const field = 'aggregationRule.clusterRoleSelectors';
  const selectors = objectsOf(aggregation['clusterRoleSelectors']);
  const none = 'at least one clusterRoleSelector required if aggregationRule is non-nil';
  return [
    ...when(selectors.length === 0, () => requiredField(field, none)),
    ...selectors.flatMap((selector, index) => labelSelectorErrors(selector, `${field}[${index}]`)),
  ];
}

function ruleErrors(role: JsonObject, isCluster: boolean): readonly FieldError[] {
  return objectsOf(role['rules']).flatMap((rule, index) => {
    const field = `rules[${index}]`;
    const [urls, verbs, groups, resources] = ['nonResourceURLs', 'verbs', 'apiGroups', 'resources'].map(
      (name) => listOf(rule[name]),
    );
    const errors: FieldError[] = [];
    if (verbs?.length === 0)
      errors.push(requiredField(`${field}.verbs`, 'verbs must contain at least one value'));
    if (urls !== undefined && urls.length > 0) {
      if (!isCluster) {
        errors.push(
          invalidField(
            `${field}.nonResourceURLs`,
            urls,
            'namespaced rules cannot apply to non-resource URLs',
          ),
        );
      }
      if (
        [groups, resources, listOf(rule['resourceNames'])].some(
          (list) => list !== undefined && list.length > 0,
        )
      ) {
        errors.push(
          invalidField(
            `${field}.nonResourceURLs`,
            urls,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        );
      }
      return errors;
    }
    if (groups?.length === 0)
      errors.push(requiredField(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
    if (resources?.length === 0)
      errors.push(requiredField(`${field}.resources`, 'resource rules must supply at least one resource'));
    return errors;
  });
}
