import type { DefaultRule } from '#api/defaults/rule.ts';
import { notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { ruled } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors, pathSegment } from '#api/validation/format.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

const bindingDefaults: readonly DefaultRule[] = [
  ['roleRef.apiGroup', 'rbac.authorization.k8s.io'],
  [
    'subjects[].apiGroup',
    ({ kind }) => (kind === 'User' || kind === 'Group' ? 'rbac.authorization.k8s.io' : undefined),
  ],
];

/** Rules of RoleBindings. */
export const roleBindingRules: KindRules = {
  effect: ruled,
  createdByUpdate: true,
  defaults: bindingDefaults,
  tracksGeneration: false,
  nameFormat: pathSegment,
  validate: (binding) => bindingErrors(binding, { kinds: ['Role', 'ClusterRole'], isNamespaced: true }),
  validatesAll: true,
  validateUpdate: immutable('roleRef', 'cannot change roleRef', 'rbac.v1.RoleRef'),
  cells: bindingCells,
};

/** Rules of ClusterRoleBindings. */
export const clusterRoleBindingRules: KindRules = {
  effect: ruled,
  createdByUpdate: true,
  defaults: bindingDefaults,
  tracksGeneration: false,
  nameFormat: pathSegment,
  validate: (binding) => bindingErrors(binding, { kinds: ['ClusterRole'], isNamespaced: false }),
  validatesAll: true,
  validateUpdate: immutable('roleRef', 'cannot change roleRef', 'rbac.v1.RoleRef'),
  cells: bindingCells,
};

/** ValidateRoleBinding and ValidateClusterRoleBinding (pkg/apis/rbac/validation). */
function bindingErrors(
  binding: JsonObject,
  { kinds, isNamespaced }: { readonly kinds: readonly string[]; readonly isNamespaced: boolean },
): readonly FieldError[] {
  const kind = stringOf(at(binding, 'roleRef.kind'));
  const group = stringOf(at(binding, 'roleRef.apiGroup'));
  const name = stringOf(at(binding, 'roleRef.name'));
  return [
    ...(group === rbacGroup ? [] : [notSupportedField('roleRef.apiGroup', group, [rbacGroup])]),
    ...(kinds.includes(kind) ? [] : [notSupportedField('roleRef.kind', kind, kinds)]),
    ...(name === '' ? [requiredField('roleRef.name')] : formatErrors('roleRef.name', name, pathSegment)),
    ...objectsOf(binding['subjects']).flatMap((subject, index) =>
      subjectErrors(subject, `subjects[${index}]`, isNamespaced),
    ),
  ];
}

const subjectKinds = ['ServiceAccount', 'User', 'Group'];

function subjectErrors(subject: JsonObject, field: string, isNamespaced: boolean): readonly FieldError[] {
  const [kind, name] = [stringOf(subject['kind']), stringOf(subject['name'])];
  const unnamed = name === '' ? [requiredField(`${field}.name`)] : [];
  if (!subjectKinds.includes(kind))
    return [...unnamed, notSupportedField(`${field}.kind`, kind, subjectKinds)];
  const isAccount = kind === 'ServiceAccount';
  const group = stringOf(subject['apiGroup']);
  const wanted = isAccount ? '' : rbacGroup;
  const lacksNamespace = !isNamespaced && isAccount && stringOf(subject['namespace']) === '';
  return [
    ...unnamed,
    ...(isAccount && name !== '' ? formatErrors(`${field}.name`, name, dnsSubdomain) : []),
    ...(group === wanted ? [] : [notSupportedField(`${field}.apiGroup`, group, [wanted])]),
    ...(lacksNamespace ? [requiredField(`${field}.namespace`)] : []),
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
