import type { DefaultRule } from '#api/defaults/rule.ts';
import { notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { noRbac } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';
import { pathSegment } from '#api/validation/format.ts';

const bindingDefaults: readonly DefaultRule[] = [
  ['roleRef.apiGroup', 'rbac.authorization.k8s.io'],
  [
    'subjects[].apiGroup',
    ({ kind }) => (kind === 'User' || kind === 'Group' ? 'rbac.authorization.k8s.io' : undefined),
  ],
];

/** Rules of RoleBindings. */
export const roleBindingRules: KindRules = {
  effect: noRbac,
  defaults: bindingDefaults,
  tracksGeneration: false,
  nameFormat: pathSegment,
  validate: (binding) => bindingErrors(binding, { kinds: ['ClusterRole', 'Role'], isNamespaced: true }),
  validateUpdate: immutable('roleRef', 'cannot change roleRef'),
  cells: bindingCells,
};

/** Rules of ClusterRoleBindings. */
export const clusterRoleBindingRules: KindRules = {
  effect: noRbac,
  defaults: bindingDefaults,
  tracksGeneration: false,
  nameFormat: pathSegment,
  validate: (binding) => bindingErrors(binding, { kinds: ['ClusterRole'], isNamespaced: false }),
  validateUpdate: immutable('roleRef', 'cannot change roleRef'),
  cells: bindingCells,
};

/** ValidateRoleBinding and ValidateClusterRoleBinding (pkg/apis/rbac/validation). */
function bindingErrors(
  binding: JsonObject,
  { kinds, isNamespaced }: { readonly kinds: readonly string[]; readonly isNamespaced: boolean },
): readonly FieldError[] {
  const kind = stringOf(at(binding, 'roleRef.kind'));
  return [
    ...(kind === '' || kinds.includes(kind) ? [] : [notSupportedField('roleRef.kind', kind, kinds)]),
    ...objectsOf(binding['subjects']).flatMap((subject, index) => {
      const field = `subjects[${index}]`;
      const allowed = ['Group', 'ServiceAccount', 'User'];
      const subjectKind = stringOf(subject['kind']);
      if (subjectKind !== '' && !allowed.includes(subjectKind)) {
        return [notSupportedField(`${field}.kind`, subjectKind, ['ServiceAccount', 'User', 'Group'])];
      }
      const lacksNamespace =
        !isNamespaced && subjectKind === 'ServiceAccount' && stringOf(subject['namespace']) === '';
      return lacksNamespace ? [requiredField(`${field}.namespace`)] : [];
    }),
  ];
}

function bindingCells(binding: JsonObject, now: number): readonly unknown[] {
  const subjects = objectsOf(binding['subjects']).map(stringMapOf);
  const names = (kind: string): string =>
    subjects
      .filter((subject) => subject['kind'] === kind)
      .map(({ namespace, name = '' }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
      .join(', ');
  return [
    nameOf(binding),
    `${text(binding, 'roleRef.kind', '')}/${text(binding, 'roleRef.name', '')}`,
    ageOfObject(binding, now),
    names('User'),
    names('Group'),
    names('ServiceAccount'),
  ];
}
