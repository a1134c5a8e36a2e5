import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { approvalOf } from '#api/custom/approval.ts';
import { approvalAnnotation } from '#api/custom/definition.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { goVersions } from './go-versions.ts';
import { ownPartErrors, sharedPartErrors } from './version-parts.ts';
import { immutable, when } from '#api/validation/field.ts';
import { dns1035Label, dnsSubdomain, type Format } from '#api/validation/format.ts';
import { webhookClientErrors } from '#api/validation/parts/webhook-client.ts';

const scopes = ['Cluster', 'Namespaced'];
const strategies = ['None', 'Webhook'];
const reviewVersions = ['v1', 'v1beta1'];
const warningBytesMax = 256;

/** Complaints about a CustomResourceDefinition; `old` is what it replaces (apiextensions-apiserver pkg/apis/apiextensions/validation). */
export function validateDefinition(definition: JsonObject, old?: JsonObject): readonly FieldError[] {
  const spec = objectOf(definition['spec']);
  const versions = objectsOf(spec['versions']);
  const group = stringOf(spec['group']);
  return [
    ...(old === undefined ? ownNameErrors(definition) : []),
    ...groupErrors(group, 'spec.group'),
    ...enumErrors('spec.scope', stringOf(spec['scope']), scopes),
    ...versionErrors(versions, old === undefined ? undefined : objectsOf(at(old, 'spec.versions'))),
    ...missingNameErrors(objectOf(spec['names']), 'spec.names'),
    ...nameErrors(objectOf(spec['names']), 'spec.names'),
    ...sharedPartErrors(versions, old === undefined ? [] : objectsOf(at(old, 'spec.versions'))),
    ...conversionErrors(objectOf(spec['conversion']), 'spec.conversion', old),
    ...(old === undefined ? [] : stayingErrors(old, definition)),
    ...validateDefinitionStatus(definition),
    ...storedErrors(listOf(at(definition, 'status.storedVersions')).map(stringOf), versions),
    ...approvalErrors(group, annotationOf(definition), old && annotationOf(old)),
    ...when(spec['preserveUnknownFields'] === true && at(old, 'spec.preserveUnknownFields') !== true, () =>
      invalidField(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    ),
  ];
}

function annotationOf(definition: JsonObject): string {
  return stringOf(at(definition, ['metadata', 'annotations', approvalAnnotation]));
}

/** Complaints about the name of a new one: an update cannot change what it is made of. */
function ownNameErrors(definition: JsonObject): readonly FieldError[] {
  const name = stringOf(at(definition, 'metadata.name'));
  const wanted = `${stringOf(at(definition, 'spec.names.plural'))}.${stringOf(at(definition, 'spec.group'))}`;
  return when(name !== wanted, () =>
    invalidField('metadata.name', name, 'must be spec.names.plural+"."+spec.group'),
  );
}

/** Complaints about what an update changes: what objects are stored under, once there are some. */
function stayingErrors(old: JsonObject, definition: JsonObject): readonly FieldError[] {
  const isEstablished = objectsOf(at(old, 'status.conditions')).some(
    ({ type, status }) => type === 'Established' && status === 'True',
  );
  const paths = [
    ...(isEstablished ? ['spec.scope', 'spec.names.kind'] : []),
    'spec.group',
    'spec.names.plural',
  ];
  return paths.flatMap((path) => immutable(path)(old, definition));
}

function enumErrors(field: string, value: string, choices: readonly string[]): readonly FieldError[] {
  if (value === '') return [requiredField(field)];
  return when(!choices.includes(value), () => notSupportedField(field, value, choices));
}

function groupErrors(group: string, field: string): readonly FieldError[] {
  if (group === '') return [requiredField(field)];
  const texts = dnsSubdomain(group);
  if (texts.length > 0) return [invalidField(field, group, texts.join(','))];
  return when(!group.includes('.'), () =>
    invalidField(field, group, 'should be a domain with at least one dot'),
  );
}

function joinedErrors(field: string, text: string, format: Format, before = ''): readonly FieldError[] {
  const texts = format(text);
  return when(text !== '' && texts.length > 0, () => invalidField(field, text, before + texts.join(',')));
}

function versionErrors(
  versions: readonly JsonObject[],
  old: readonly JsonObject[] | undefined,
): readonly FieldError[] {
  const field = 'spec.versions';
  const names = versions.map(({ name }) => stringOf(name));
  const stored = versions.filter(({ storage }) => storage === true);
  const isSchemaAsked = old === undefined || old.every(hasSchema);
  const first = names[0] ?? '';
  const firstTexts = first === '' ? [] : dns1035Label(first);
  return [
    ...versions.flatMap((version, index) =>
      when(!hasSchema(version) && (isSchemaAsked || version['served'] === true), () =>
        requiredField(`${field}[${index}].schema.openAPIV3Schema`),
      ),
    ),
    ...versions.flatMap((version, index) => [
      ...oneVersionErrors(version, `${field}[${index}]`),
      ...ownPartErrors({ versions, index, path: `${field}[${index}]`, old: old ?? [] }),
    ]),
    ...when(new Set(names).size < names.length, () =>
      invalidStruct(field, goVersions(versions), 'must contain unique version names'),
    ),
    ...when(stored.length !== 1, () =>
      invalidStruct(field, goVersions(versions), 'must have exactly one version marked as storage version'),
    ),
    ...when(firstTexts.length > 0, () => invalidField('spec.version', first, firstTexts.join(','))),
  ];
}

function hasSchema(version: JsonObject): boolean {
  return isObject(at(version, 'schema.openAPIV3Schema'));
}

function oneVersionErrors(version: JsonObject, path: string): readonly FieldError[] {
  const name = stringOf(version['name']);
  const texts = dns1035Label(name);
  const warning = version['deprecationWarning'];
  const field = `${path}.deprecationWarning`;
  return [
    ...when(texts.length > 0, () => invalidField(`${path}.name`, name, texts.join(','))),
    ...warningTexts(version['deprecated'] === true, warning).map((text) =>
      invalidField(field, warning, text),
    ),
  ];
}

function warningTexts(isDeprecated: boolean, warning: unknown): readonly string[] {
  if (typeof warning !== 'string') return [];
  if (!isDeprecated) return ['can only be set for deprecated versions'];
  const bad = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(warning)?.index ?? -1;
  const at = Buffer.byteLength(warning.slice(0, Math.max(bad, 0)));
  return [
    ...(Buffer.byteLength(warning) > warningBytesMax
      ? [`must be <= ${warningBytesMax} characters long`]
      : []),
    ...(warning === '' ? ['must not be an empty string'] : []),
    ...(bad < 0
      ? []
      : [`must only contain printable UTF-8 characters; non-printable character found at index ${at}`]),
  ];
}

/** Complaints about the names that a definition was given, as its status tells them. */
export function validateDefinitionStatus(definition: JsonObject): readonly FieldError[] {
  const path = 'status.acceptedNames';
  return nameErrors(objectOf(at(definition, path)), path);
}

function missingNameErrors(names: JsonObject, path: string): readonly FieldError[] {
  return ['plural', 'singular', 'kind', 'listKind'].flatMap((name) =>
    when(stringOf(names[name]) === '', () => requiredField(`${path}.${name}`)),
  );
}

function nameErrors(names: JsonObject, path: string): readonly FieldError[] {
  const text = (name: string): string => stringOf(names[name]);
  const mixed: Format = (kind) => dns1035Label(kind.toLowerCase());
  const mixedText = 'may have mixed case, but should otherwise match: ';
  const list = (name: string): readonly FieldError[] =>
    listOf(names[name]).flatMap((each, index) =>
      dns1035Label(stringOf(each)).map((wrong) => invalidField(`${path}.${name}[${index}]`, each, wrong)),
    );
  return [
    ...joinedErrors(`${path}.plural`, text('plural'), dns1035Label),
    ...joinedErrors(`${path}.singular`, text('singular'), dns1035Label),
    ...joinedErrors(`${path}.kind`, text('kind'), mixed, mixedText),
    ...joinedErrors(`${path}.listKind`, text('listKind'), mixed, mixedText),
    ...list('shortNames'),
    ...when(text('kind') !== '' && text('kind') === text('listKind'), () =>
      invalidField(`${path}.listKind`, text('listKind'), 'kind and listKind may not be the same'),
    ),
    ...list('categories'),
  ];
}

/** The paths are those of kube-apiserver's own form of it, which has no `webhook`. */
function conversionErrors(
  conversion: JsonObject,
  path: string,
  old: JsonObject | undefined,
): readonly FieldError[] {
  const strategy = stringOf(conversion['strategy']);
  const webhook = objectOf(conversion['webhook']);
  const { clientConfig: client } = webhook;
  const versions = listOf(webhook['conversionReviewVersions']).map(stringOf);
  const known = enumErrors(`${path}.strategy`, strategy, strategies);
  const unwanted = 'should not be set when strategy is not set to Webhook';
  const field = `${path}.webhookClientConfig`;
  if (strategy !== 'Webhook') {
    return [
      ...known,
      ...when(isObject(client), () => forbiddenField(field, unwanted)),
      ...when(versions.length > 0, () => forbiddenField(`${path}.conversionReviewVersions`, unwanted)),
    ];
  }
  return [
    ...(isObject(client)
      ? webhookClientErrors(client, field)
      : [requiredField(field, 'required when strategy is set to Webhook')]),
    ...reviewErrors(versions, `${path}.conversionReviewVersions`, oldReviewVersions(old)),
  ];
}

function oldReviewVersions(old: JsonObject | undefined): readonly string[] {
  return listOf(at(old, 'spec.conversion.webhook.conversionReviewVersions')).map(stringOf);
}

function reviewErrors(
  versions: readonly string[],
  field: string,
  old: readonly string[],
): readonly FieldError[] {
  if (versions.length === 0) return [requiredField(field)];
  const seen = new Set<string>();
  const each = versions.flatMap((version, index) => {
    const place = `${field}[${index}]`;
    if (seen.has(version)) return [invalidField(place, version, 'duplicate version')];
    seen.add(version);
    return dns1035Label(version).map((text) => invalidField(place, version, text));
  });
  return [
    ...each,
    ...when(isKnownReview(old) && !isKnownReview(versions), () =>
      invalidField(field, versions, `must include at least one of ${reviewVersions.join(', ')}`),
    ),
  ];
}

/** One that is known is among them, or there are none. */
function isKnownReview(versions: readonly string[]): boolean {
  return versions.length === 0 || versions.some((version) => reviewVersions.includes(version));
}

/** Objects may be stored in each version that was ever told; none of them may go before somebody says that there are none. */
function storedErrors(stored: readonly string[], versions: readonly JsonObject[]): readonly FieldError[] {
  const field = 'status.storedVersions';
  if (stored.length === 0) return [invalidField(field, null, 'must have at least one stored version')];
  const names = new Set(versions.map(({ name }) => stringOf(name)));
  const untold = versions.filter(({ name, storage }) => storage === true && !stored.includes(stringOf(name)));
  return [
    ...untold.map(({ name }) =>
      invalidField(field, stored, `must have the storage version ${stringOf(name)}`),
    ),
    ...stored.flatMap((name, index) =>
      when(!names.has(name), () =>
        invalidField(
          `${field}[${index}]`,
          name,
          `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
        ),
      ),
    ),
  ];
}

/** Groups of Kubernetes' own are given out by its community. Whatever it is, it may stay as it was. */
function approvalErrors(group: string, given: string, old: string | undefined): readonly FieldError[] {
  const { reason, message = '' } = approvalOf({ group, annotation: given }) ?? {};
  if (old !== undefined && reason === approvalOf({ group, annotation: old })?.reason) return [];
  const field = `metadata.annotations[${approvalAnnotation}]`;
  return [
    ...when(reason === 'MissingAnnotation', () => requiredField(field, message)),
    ...when(reason === 'InvalidAnnotation', () => invalidField(field, given, message)),
  ];
}
