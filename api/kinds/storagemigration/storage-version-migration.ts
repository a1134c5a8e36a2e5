import { invalidField, invalidStruct, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { isConditionTrue, type AnyCondition } from '#api/meta/condition.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { immutable, when } from '#api/validation/field.ts';
import { dns1035Label, dnsSubdomain, type Format } from '#api/validation/format.ts';
import { conditionErrors } from '#api/validation/parts/conditions.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';

/** Rules of StorageVersionMigrations (storagemigration.k8s.io/v1beta1 of Kubernetes 1.36, pkg/apis/storagemigration/validation). */
export const storageVersionMigrationRules: KindRules = {
  effect: acted('control-plane/controllers/storage-migration/reconcile.ts'),
  updatesNameRevision: true,
  tracksGeneration: false,
  reset: { status: { fields: ['metadata', 'spec'] } },
  validate: (migration) => [
    ...resourceErrors(stringOf(at(migration, 'spec.resource.resource'))),
    ...groupErrors(stringOf(at(migration, 'spec.resource.group'))),
  ],
  validatesAll: true,
  validateUpdate: immutable('spec', undefined, 'storagemigration.v1beta1.StorageVersionMigrationSpec'),
  validateStatusUpdate: (old, migration) => [
    ...revisionErrors(stringOf(at(old, revisionField)), stringOf(at(migration, revisionField))),
    ...conditionErrors(migration),
    ...endErrors(old, migration),
  ],
};

const resourceField = 'spec.resource.resource';
const revisionField = 'status.resourceVersion';

function resourceErrors(resource: string): readonly FieldError[] {
  if (resource === '') return [requiredField(resourceField, 'resource is required to be set')];
  return joinedErrors(resourceField, resource, dns1035Label);
}

/** The core group has no name. */
function groupErrors(group: string): readonly FieldError[] {
  return group === '' ? [] : joinedErrors('spec.resource.group', group, dnsSubdomain);
}

function joinedErrors(field: string, text: string, format: Format): readonly FieldError[] {
  const complaints = format(text);
  return when(complaints.length > 0, () => invalidField(field, text, complaints.join(',')));
}

function revisionErrors(old: string, revision: string): readonly FieldError[] {
  const isNumber = revision === '' || /^[1-9]\d*$/.test(revision);
  return [
    ...when(!isNumber, () =>
      invalidField(revisionField, revision, `resource version is not well formed: ${revision}`),
    ),
    ...when(old !== '' && old !== revision, () =>
      invalidField(revisionField, revision, 'field is immutable'),
    ),
  ];
}

/** How a migration ends is said once, and for good. */
function endErrors(old: JsonObject, migration: JsonObject): readonly FieldError[] {
  const field = 'status.conditions';
  const conditions = objectsOf(at(migration, field));
  const isNow = (type: string): boolean => isSaid(migration, type);
  const complaint = (is: boolean, text: string): readonly FieldError[] =>
    when(is, () => invalidStruct(field, goValue('[]meta.v1.Condition', conditions), text));
  return [
    ...complaint(
      isNow('Succeeded') && isNow('Failed'),
      'Both success and failed conditions cannot be true at the same time',
    ),
    ...complaint(
      isNow('Succeeded') && isNow('Running'),
      'Running condition cannot be true when success condition is true',
    ),
    ...complaint(
      isNow('Failed') && isNow('Running'),
      'Running condition cannot be true when failed condition is true',
    ),
    ...complaint(
      isSaid(old, 'Succeeded') && !isNow('Succeeded'),
      'Success condition cannot be set to false once it is true',
    ),
    ...complaint(
      isSaid(old, 'Failed') && !isNow('Failed'),
      'Failed condition cannot be set to false once it is true',
    ),
  ];
}

function isSaid(migration: JsonObject, type: string): boolean {
  const conditions = objectsOf(at(migration, 'status.conditions')).map((one): AnyCondition => ({
    type: stringOf(one['type']),
    status: stringOf(one['status']),
  }));
  return isConditionTrue(conditions, type);
}
