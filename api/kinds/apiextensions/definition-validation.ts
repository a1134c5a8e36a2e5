import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { immutable, when } from '#api/validation/field.ts';
import { dns1035Label, dnsSubdomain, type Format } from '#api/validation/format.ts';
import { webhookClientErrors } from '#api/validation/parts/webhook-client.ts';

const scopes = ['Cluster', 'Namespaced'];
const strategies = ['None', 'Webhook'];
const reviewVersions = ['v1', 'v1beta1'];
const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const warningBytesMax = 256;
const approval = 'api-approved.kubernetes.io';
const approvalHelp = 'see https://github.com/kubernetes/enhancements/pull/1111';

/** Complaints about a CustomResourceDefinition, but for its schemas (apiextensions-apiserver pkg/apis/apiextensions/validation). */
export function validateDefinition(definition: JsonObject): readonly FieldError[] {
  const spec = objectOf(definition['spec']);
  const versions = objectsOf(spec['versions']);
  const group = stringOf(spec['group']);
  const name = stringOf(at(definition, 'metadata.name'));
  const wanted = `${stringOf(at(spec, 'names.plural'))}.${group}`;
  return [
    ...when(name !== wanted, () =>
      invalidField('metadata.name', name, 'must be spec.names.plural+"."+spec.group'),
    ),
    ...groupErrors(group, 'spec.group'),
    ...enumErrors('spec.scope', stringOf(spec['scope']), scopes),
    ...versionErrors(versions, 'spec.versions'),
    ...nameErrors(objectOf(spec['names']), 'spec.names'),
    ...columnErrors(versions),
    ...conversionErrors(objectOf(spec['conversion']), 'spec.conversion'),
    ...storedErrors(listOf(at(definition, 'status.storedVersions')).map(stringOf), versions),
    ...approvalErrors(group, at(definition, ['metadata', 'annotations', approval])),
    ...when(spec['preserveUnknownFields'] === true, () =>
      invalidField(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    ),
  ];
}

/** Complaints about what an update changes: what objects are stored under, once there are some. */
export function validateDefinitionUpdate(old: JsonObject, definition: JsonObject): readonly FieldError[] {
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

function versionErrors(versions: readonly JsonObject[], field: string): readonly FieldError[] {
  const names = versions.map(({ name }) => stringOf(name));
  const stored = versions.filter(({ storage }) => storage === true);
  return [
    ...versions.flatMap((version, index) =>
      when(!isObject(at(version, 'schema.openAPIV3Schema')), () =>
        requiredField(`${field}[${index}].schema.openAPIV3Schema`),
      ),
    ),
    ...versions.flatMap((version, index) => oneVersionErrors(version, `${field}[${index}]`)),
    ...when(new Set(names).size < names.length, () =>
      invalidField(field, versions, 'must contain unique version names'),
    ),
    ...when(stored.length !== 1, () =>
      invalidField(field, versions, 'must have exactly one version marked as storage version'),
    ),
  ];
}

function oneVersionErrors(version: JsonObject, path: string): readonly FieldError[] {
  const name = stringOf(version['name']);
  const texts = dns1035Label(name);
  const warning = version['deprecationWarning'];
  const field = `${path}.deprecationWarning`;
  return [
    ...when(texts.length > 0, () => invalidField(`${path}.name`, name, texts.join(','))),
    ...when(warning !== undefined && version['deprecated'] !== true, () =>
      invalidField(field, warning, 'can only be set for deprecated versions'),
    ),
    ...when(Buffer.byteLength(stringOf(warning)) > warningBytesMax, () =>
      tooLongField(field, warningBytesMax),
    ),
  ];
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
    ...['plural', 'singular', 'kind', 'listKind'].flatMap((name) =>
      when(text(name) === '', () => requiredField(`${path}.${name}`)),
    ),
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

/** Columns that are the same in all versions are complained of at once, as kube-apiserver keeps them. */
function columnErrors(versions: readonly JsonObject[]): readonly FieldError[] {
  const lists = versions.map(({ additionalPrinterColumns: columns }) => columns);
  const isShared = lists.every((list) => equalJson(list, lists[0]));
  const paths = isShared
    ? ['spec.additionalPrinterColumns']
    : lists.map((_, index) => `spec.versions[${index}].additionalPrinterColumns`);
  return paths.flatMap((path, place) =>
    objectsOf(lists[place]).flatMap((column, index) => oneColumnErrors(column, `${path}[${index}]`)),
  );
}

function oneColumnErrors(column: JsonObject, path: string): readonly FieldError[] {
  const [type, format] = [stringOf(column['type']), stringOf(column['format'])];
  const typeText = `must be one of ${columnTypes.join(',')}`;
  return [
    ...when(stringOf(column['name']) === '', () => requiredField(`${path}.name`)),
    ...when(type === '', () => requiredField(`${path}.type`, typeText)),
    ...when(type !== '' && !columnTypes.includes(type), () => invalidField(`${path}.type`, type, typeText)),
    ...when(format !== '' && !columnFormats.includes(format), () =>
      invalidField(`${path}.format`, format, `must be one of ${columnFormats.join(',')}`),
    ),
    ...when(stringOf(column['jsonPath']) === '', () => requiredField(`${path}.JSONPath`)),
  ];
}

/** The paths are those of kube-apiserver's own form of it, which has no `webhook`. */
function conversionErrors(conversion: JsonObject, path: string): readonly FieldError[] {
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
    ...reviewErrors(versions, `${path}.conversionReviewVersions`),
  ];
}

function reviewErrors(versions: readonly string[], field: string): readonly FieldError[] {
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
    ...when(!versions.some((version) => reviewVersions.includes(version)), () =>
      invalidField(field, versions, `must include at least one of ${reviewVersions.join(', ')}`),
    ),
  ];
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

/** Groups of Kubernetes' own are given out by its community. */
function approvalErrors(group: string, given: unknown): readonly FieldError[] {
  const isProtected = /(^|\.)(k8s|kubernetes)\.io$/.test(group);
  const field = `metadata.annotations[${approval}]`;
  const need = `protected groups must have approval annotation "${approval}"`;
  if (!isProtected) return [];
  if (stringOf(given) === '') return [requiredField(field, `${need}, ${approvalHelp}`)];
  const isApproved = stringOf(given).startsWith('unapproved') || /^https?:\/\/[^/]+/.test(stringOf(given));
  return when(!isApproved, () =>
    invalidField(
      field,
      given,
      `${need} with either a URL or a reason starting with "unapproved", ${approvalHelp}`,
    ),
  );
}
