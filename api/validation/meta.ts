import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { dnsLabel, dnsSubdomain, formatErrors, qualifiedName, type Format } from './format.ts';
import { annotationErrors, labelErrors } from './labels.ts';
import { managedFieldsErrors } from './managed-fields.ts';

/** Complaints about the metadata of an object of the kind. */
export function validateMeta(
  kind: Pick<Kind, 'group' | 'kind' | 'namespaced'>,
  object: JsonObject,
): readonly FieldError[] {
  const metadata = objectOf(object['metadata']);
  const rules = rulesOf(kind);
  const finalizers = listOf(metadata['finalizers']).map(stringOf);
  return [
    ...nameErrors(metadata, nameFormatOf(rules, object)),
    ...namespaceErrors(kind, stringOf(metadata['namespace'])),
    ...attachedErrors(metadata),
    ...finalizerErrors(finalizers),
    ...managedFieldsErrors(metadata['managedFields'], 'metadata.managedFields'),
    ...bareFinalizerErrors(rules, finalizers),
  ];
}

/** What is wrong with the metadata of an object that is updated. */
export interface UpdatedMetaFaults {
  /** What is asked of all kinds: the metadata, and what changed there (validateCommonFields of k8s.io/apiserver pkg/registry/rest). */
  readonly common: readonly FieldError[];
  /** As of a new object of the kind. */
  readonly metadata: readonly FieldError[];
  /** What changed, and again what is attached to the object (ValidateObjectMetaAccessorUpdate). */
  readonly changes: readonly FieldError[];
}

/** Complaints about metadata that an update leaves. */
export function updatedMetaFaults(
  kind: Pick<Kind, 'group' | 'kind' | 'namespaced'>,
  old: JsonObject,
  object: JsonObject,
): UpdatedMetaFaults {
  const metadata = objectOf(object['metadata']);
  const rules = rulesOf(kind);
  const finalizers = listOf(metadata['finalizers']).map(stringOf);
  const names = nameErrors(metadata, nameFormatOf(rules, object));
  const attached = attachedErrors(metadata);
  const managed = managedFieldsErrors(metadata['managedFields'], 'metadata.managedFields');
  const common = [
    ...namespaceErrors(kind, stringOf(metadata['namespace'])),
    ...attached,
    ...finalizerErrors(finalizers),
    ...managed,
  ];
  const changes = [...changeErrors(old, object), ...attached, ...managed];
  return {
    common: [...common, ...changes],
    metadata: [...names, ...common, ...bareFinalizerErrors(rules, finalizers)],
    changes,
  };
}

/** What changed in metadata that may not. */
function changeErrors(old: JsonObject, object: JsonObject): readonly FieldError[] {
  const before = objectOf(old['metadata']);
  const after = objectOf(object['metadata']);
  const errors = ['name', 'namespace', 'uid', 'creationTimestamp'].flatMap((field) =>
    equalJson(before[field], after[field])
      ? []
      : [invalidField(`metadata.${field}`, after[field], 'field is immutable')],
  );
  if (before['deletionTimestamp'] === undefined) return errors;
  const known = new Set(listOf(before['finalizers']));
  const added = listOf(after['finalizers']).filter((finalizer) => !known.has(finalizer));
  if (added.length === 0) return errors;
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added
    .map((finalizer) => JSON.stringify(finalizer))
    .toSorted()
    .join(', ')}}`;
  return [forbiddenField('metadata.finalizers', detail), ...errors];
}

function attachedErrors(metadata: JsonObject): readonly FieldError[] {
  return [
    ...labelErrors(metadata['labels'], 'metadata.labels'),
    ...annotationErrors(metadata['annotations'], 'metadata.annotations'),
    ...ownerErrors(objectsOf(metadata['ownerReferences'])),
  ];
}

/** Complaints about a deletion that an update says and nobody asked for; what it leaves out stays (ValidateObjectMetaAccessorUpdate). */
export function deletionErrors(old: JsonObject, given: JsonObject): readonly FieldError[] {
  const before = objectOf(old['metadata']);
  const after = objectOf(given['metadata']);
  const said = before['deletionTimestamp'] === undefined ? ['deletionTimestamp'] : [];
  return [...said, 'deletionGracePeriodSeconds'].flatMap((field) => {
    const value = after[field] ?? undefined;
    if (value === undefined || value === before[field]) return [];
    return [invalidField(`metadata.${field}`, value, 'field is immutable')];
  });
}

function nameFormatOf(
  { nameFormat = dnsSubdomain, nameFormatOf: ofObject }: KindRules,
  object: JsonObject,
): Format {
  return ofObject?.(object) ?? nameFormat;
}

function nameErrors(metadata: JsonObject, format: Format): readonly FieldError[] {
  const name = stringOf(metadata['name']);
  const prefix = stringOf(metadata['generateName']);
  const prefixErrors =
    prefix === ''
      ? []
      : format(maskTrailingDash(prefix)).map((detail) =>
          invalidField('metadata.generateName', prefix, detail),
        );
  if (name !== '') return [...prefixErrors, ...formatErrors('metadata.name', name, format)];
  return prefix === '' ? [requiredField('metadata.name', 'name or generateName is required')] : prefixErrors;
}

/** What a prefix is asked as: of characters that no name ends in, only a dash may end it (maskTrailingDash, which takes the one before it, too). */
function maskTrailingDash(prefix: string): string {
  return prefix.endsWith('-') && prefix.length > 1 ? `${prefix.slice(0, -2)}a` : prefix;
}

function namespaceErrors({ namespaced }: Pick<Kind, 'namespaced'>, namespace: string): readonly FieldError[] {
  if (!namespaced) {
    return namespace === '' ? [] : [forbiddenField('metadata.namespace', 'not allowed on this type')];
  }
  return namespace === ''
    ? [requiredField('metadata.namespace')]
    : formatErrors('metadata.namespace', namespace, dnsLabel);
}

/** What the server itself acts on (k8s.io/kubernetes pkg/apis/core/helper, IsStandardFinalizerName). */
const standardFinalizers: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

function finalizerErrors(finalizers: readonly string[]): readonly FieldError[] {
  const field = 'metadata.finalizers';
  const isBoth = finalizers.includes('orphan') && finalizers.includes('foregroundDeletion');
  const both = 'finalizer orphan and foregroundDeletion cannot be both set';
  return [
    ...finalizers.flatMap((finalizer) => formatErrors(field, finalizer, qualifiedName)),
    ...(isBoth ? [invalidField(field, finalizers, both)] : []),
  ];
}

/** Beside what the server itself acts on, a finalizer has the domain of who removes it (validateKubeFinalizerName). */
function bareFinalizerErrors(
  { takesAnyFinalizer }: KindRules,
  finalizers: readonly string[],
): readonly FieldError[] {
  if (takesAnyFinalizer === true) return [];
  const bare = 'name is neither a standard finalizer name nor is it fully qualified';
  return finalizers.flatMap((finalizer, index) =>
    finalizer.includes('/') || standardFinalizers.has(finalizer)
      ? []
      : [invalidField(`metadata.finalizers[${index}]`, finalizer, bare)],
  );
}

/** What is said of one owner has no index (ValidateOwnerReferences). */
function ownerErrors(owners: readonly JsonObject[]): readonly FieldError[] {
  const path = 'metadata.ownerReferences';
  const errors = owners.flatMap((owner) => {
    const [apiVersion, kind] = [stringOf(owner['apiVersion']), stringOf(owner['kind'])];
    const empty = ['kind', 'name', 'uid'].filter((name) => stringOf(owner[name]) === '');
    return [
      ...(versionOf(apiVersion) === ''
        ? [invalidField(`${path}.apiVersion`, apiVersion, 'version must not be empty')]
        : []),
      ...empty.map((name) => invalidField(`${path}.${name}`, '', 'must not be empty')),
      ...(apiVersion === 'v1' && kind === 'Event'
        ? [invalidField(path, owner, '/v1, Kind=Event is disallowed from being an owner')]
        : []),
    ];
  });
  const controllers = owners.filter((owner) => owner['controller'] === true);
  if (controllers.length < 2) return errors;
  const [first, second] = controllers.map(
    (owner) => `${stringOf(at(owner, 'kind'))}/${stringOf(at(owner, 'name'))}`,
  );
  const detail = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`;
  return [...errors, invalidField(path, owners, detail)];
}

/** Of `group/version`, or a version of the group without a name; none where it is neither (ParseGroupVersion). */
function versionOf(apiVersion: string): string {
  const [first = '', second, ...more] = apiVersion.split('/');
  return more.length > 0 ? '' : (second ?? first);
}
