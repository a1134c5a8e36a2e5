import {
  forbiddenField,
  invalidField,
  renderFieldError,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { when } from '#api/validation/field.ts';
import { equalJson, isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import { patternProblem } from '#api/structural/pattern.ts';
import { alternativesOf, isSaid, partAt, propertiesOf, type SchemaPart } from './json-schema.ts';

type Level = 'root' | 'item' | 'field';

const missingType: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

/** What a schema of integers or texts may say beside its extension. */
const intOrString = [{ type: 'integer' }, { type: 'string' }];

/**
 * What keeps a schema from being structural, in order of their texts (apiextensions-apiserver pkg/apiserver/schema/validation.go): each
 * value has a type outside of allOf, anyOf, oneOf and not, and within these stand value checks alone.
 */
export function structureErrors(root: SchemaPart): readonly FieldError[] {
  return invariantErrors(root, 'root')
    .map((error) => ({ error, text: `${error.field}: ${renderFieldError(error)}` }))
    .toSorted((a, b) => (a.text < b.text ? -1 : 1))
    .map(({ error }) => error);
}

function invariantErrors(root: SchemaPart, rootLevel: Level): readonly FieldError[] {
  const errors: FieldError[] = [];
  visit(root, rootLevel, errors);
  return errors;
}

function visit(part: SchemaPart, level: Level, errors: FieldError[]): void {
  const { json, path } = part;
  if (json['type'] === 'array' && !isObject(json['items'])) {
    errors.push(requiredField(`${path}.items`, 'must be specified'));
  }
  const items = partAt(part, 'items');
  if (items !== undefined) visit(items, 'item', errors);
  if (json['properties'] !== undefined) {
    for (const property of propertiesOf(part)) visit(property, 'field', errors);
  }
  if (json['additionalProperties'] !== undefined && level === 'root') {
    errors.push(forbiddenField(`${path}.additionalProperties`, 'must not be used at the root'));
  }
  const others = partAt(part, 'additionalProperties');
  if (others !== undefined) visit(others, 'field', errors);
  errors.push(...extensionErrors(part));
  if (checking.some((name) => json[name] !== undefined)) {
    const skipsAnyOf = equalJson(json['anyOf'], intOrString);
    const skipsFirstAllOf = equalJson(objectOf(listOf(json['allOf'])[0])['anyOf'], intOrString);
    errors.push(...checkErrors(part, { skipsAnyOf, skipsFirstAllOf }));
  }
  errors.push(...typeErrors(part, level));
  if (level === 'root' || json['x-kubernetes-embedded-resource'] === true) {
    errors.push(...wholeObjectErrors(part, level));
  }
}

/** What `checkErrors` looks at. */
const checking = ['allOf', 'anyOf', 'oneOf', 'not', 'pattern'];

function extensionErrors({ json, path }: SchemaPart): readonly FieldError[] {
  if (json['x-kubernetes-int-or-string'] !== true) return [];
  return ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'].flatMap((name) =>
    when(json[name] === true, () =>
      invalidField(`${path}.${name}`, true, 'must be false if x-kubernetes-int-or-string is true'),
    ),
  );
}

function typeErrors({ json, path }: SchemaPart, level: Level): readonly FieldError[] {
  const type = stringOf(json['type']);
  const field = `${path}.type`;
  const errors: FieldError[] = [];
  if (json['x-kubernetes-embedded-resource'] === true) {
    const detail = 'must be object if x-kubernetes-embedded-resource is true';
    if (type === '') errors.push(requiredField(field, detail));
    else if (type !== 'object') errors.push(invalidField(field, type, detail));
    if (json['additionalProperties'] !== undefined) {
      const others = `${path}.additionalProperties`;
      errors.push(forbiddenField(others, 'must not be used if x-kubernetes-embedded-resource is set'));
    }
  } else if (type === '') {
    const isIntOrString = json['x-kubernetes-int-or-string'] === true;
    const isFree = isIntOrString || json['x-kubernetes-preserve-unknown-fields'] === true;
    if (!isFree) errors.push(requiredField(field, missingType[level]));
  }
  if (level === 'root' && type !== '' && type !== 'object') {
    errors.push(invalidField(field, type, 'must be object at the root'));
  }
  return errors;
}

/** What whole objects have is the same in all kinds: of it, schemas may only narrow the names down. */
function wholeObjectErrors({ json, path }: SchemaPart, level: Level): readonly FieldError[] {
  const properties = objectOf(json['properties']);
  const isEmbedded = json['x-kubernetes-embedded-resource'] === true;
  const isWhole = level === 'root' || isEmbedded;
  const metadata = properties['metadata'];
  const typeError = (name: string, type: string): readonly FieldError[] => {
    const given = stringOf(objectOf(properties[name])['type']);
    return when(isWhole && isObject(properties[name]) && given !== type, () =>
      invalidField(`${path}.properties[${name}].type`, given, `must be ${type}`),
    );
  };
  return [
    ...typeError('kind', 'string'),
    ...typeError('apiVersion', 'string'),
    ...typeError('metadata', 'object'),
    ...when(level === 'root' && isObject(metadata) && saysMore(objectOf(metadata)), () =>
      forbiddenField(
        `${path}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    ),
    ...when(
      isEmbedded && json['x-kubernetes-preserve-unknown-fields'] !== true && !isSaid(json['properties']),
      () =>
        requiredField(
          `${path}.properties`,
          'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
        ),
    ),
  ];
}

/** Whether a schema of metadata says more than what names are like. Its default is forbidden elsewhere. */
function saysMore(metadata: Readonly<Record<string, unknown>>): boolean {
  const { type: _type, default: _default, externalDocs: _docs, example: _example, ...rest } = metadata;
  return Object.entries(rest).some(
    ([name, value]) =>
      isSaid(value) &&
      !(
        name === 'properties' &&
        Object.keys(objectOf(value)).every((key) => key === 'name' || key === 'generateName')
      ),
  );
}

interface Skips {
  readonly skipsAnyOf: boolean;
  readonly skipsFirstAllOf: boolean;
}

function checkErrors(part: SchemaPart, { skipsAnyOf, skipsFirstAllOf }: Skips): readonly FieldError[] {
  const { json, path } = part;
  const not = partAt(part, 'not');
  const pattern = stringOf(json['pattern']);
  const problem = pattern === '' ? undefined : patternProblem(pattern);
  return [
    ...(skipsAnyOf ? [] : alternativesOf(part, 'anyOf').flatMap((each) => nestedErrors(each, false))),
    ...alternativesOf(part, 'allOf').flatMap((each, index) =>
      nestedErrors(each, skipsFirstAllOf && index === 0),
    ),
    ...alternativesOf(part, 'oneOf').flatMap((each) => nestedErrors(each, false)),
    ...(not === undefined ? [] : nestedErrors(not, false)),
    ...when(problem !== undefined, () =>
      invalidField(
        `${path}.pattern`,
        pattern,
        `must be a valid regular expression, but isn't: ${problem ?? ''}`,
      ),
    ),
  ];
}

/** What may not stand within allOf and the like, and how it is said. */
const forbidden: Readonly<Record<string, string>> = {
  type: 'must be empty to be structural',
  additionalProperties: 'must be undefined to be structural',
  default: 'must be undefined to be structural',
  title: 'must be empty to be structural',
  description: 'must be empty to be structural',
  nullable: 'must be false to be structural',
  'x-kubernetes-preserve-unknown-fields': 'must be false to be structural',
  'x-kubernetes-embedded-resource': 'must be false to be structural',
  'x-kubernetes-int-or-string': 'must be false to be structural',
  'x-kubernetes-list-map-keys': 'must be empty to be structural',
  'x-kubernetes-list-type': 'must be undefined to be structural',
  'x-kubernetes-map-type': 'must be undefined to be structural',
  'x-kubernetes-validations': 'must be empty to be structural',
};
/** Of these even what is empty is said. */
const pointers: ReadonlySet<string> = new Set(['additionalProperties', 'default', 'externalDocs']);

function nestedErrors(part: SchemaPart, skipsAnyOf: boolean): readonly FieldError[] {
  const { json, path } = part;
  const items = partAt(part, 'items');
  return [
    ...checkErrors(part, { skipsAnyOf, skipsFirstAllOf: false }),
    ...(items === undefined ? [] : nestedErrors(items, false)),
    ...propertiesOf(part).flatMap((property) => nestedErrors(property, false)),
    ...Object.entries(forbidden).flatMap(([name, text]) =>
      when(isSaid(json[name]) || (pointers.has(name) && (json[name] ?? undefined) !== undefined), () =>
        forbiddenField(`${path}.${name}`, text),
      ),
    ),
    ...when(isObject(objectOf(json['properties'])['metadata']), () =>
      forbiddenField(`${path}.properties[metadata]`, 'must not be specified in a nested context'),
    ),
  ];
}
