import {
  constantFrom,
  dictionary,
  integer,
  oneof,
  record,
  string,
  array,
  boolean,
  constant,
  double,
  letrec,
  type Arbitrary,
} from 'fast-check';
import { expect } from 'vitest';
import { validateDefinition } from '#api/kinds/apiextensions/definition-validation.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { cloneJson, goJson } from '#api/wire/json.ts';
import { isPodwrightError } from '#base/errors.ts';
import { fuzz } from './fuzz.ts';
import { decodeCustom } from '#api/structural/decode-custom.ts';
import { fillDefaults } from '#api/structural/defaults.ts';
import { formatChecks } from '#api/structural/formats.ts';
import { objectDocument } from '#api/structural/open-api.ts';
import { findByPath } from '#api/structural/paths/find.ts';
import { parseJsonPath } from '#api/structural/paths/json-path.ts';
import { parseSchema } from '#api/structural/parse.ts';
import { pruneObject } from '#api/structural/prune.ts';
import { typeNameOfKind, typeSourceOf } from '#api/structural/type-source.ts';
import { validateObject } from '#api/structural/validate.ts';

/* Schemas and objects of the same few names, so that they meet; and schemas that nobody would write. */

const names = constantFrom('a', 'b', 'k', '__proto__', 'constructor', 'metadata');
const { value } = letrec<{ value: unknown }>((tie) => ({
  value: oneof(
    { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
    oneof(
      constant(null),
      boolean(),
      integer({ min: -3, max: 3 }),
      double(),
      constantFrom('', 'a', 'b', '😀', '1.2.3.4'),
    ),
    array(tie('value'), { maxLength: 3 }),
    dictionary(names, tie('value'), { maxKeys: 4 }),
  ),
}));
const limit = oneof(integer({ min: -1, max: 4 }), constant(1.5), constant(null));
const leaf: Arbitrary<JsonObject> = record({
  type: constantFrom('object', 'array', 'string', 'integer', 'number', 'boolean', ''),
});
const { schema } = letrec<{ schema: JsonObject; whole: JsonObject }>((tie) => ({
  schema: oneof({ maxDepth: 3, depthSize: 'small' }, leaf, tie('whole')),
  whole: record<JsonObject>(
    {
      type: constantFrom('object', 'object', 'array', 'string', 'integer', 'number', 'boolean', 'null', ''),
      properties: dictionary(names, tie('schema'), { maxKeys: 3 }),
      items: oneof(tie('schema'), constant([])),
      additionalProperties: oneof(tie('schema'), boolean()),
      default: value,
      nullable: boolean(),
      enum: array(value, { maxLength: 3 }),
      required: array(names, { maxLength: 2 }),
      pattern: constantFrom('a', '^(a+)+$', '[', '(?=a)'),
      format: oneof(constantFrom(...formatChecks.keys()), constantFrom('date-time', 'int32', 'x')),
      maximum: limit,
      minimum: limit,
      multipleOf: limit,
      maxLength: limit,
      minItems: limit,
      maxProperties: limit,
      uniqueItems: boolean(),
      anyOf: array(tie('schema'), { maxLength: 2 }),
      oneOf: array(tie('schema'), { maxLength: 2 }),
      allOf: array(tie('schema'), { maxLength: 2 }),
      not: tie('schema'),
      'x-kubernetes-preserve-unknown-fields': boolean(),
      'x-kubernetes-embedded-resource': boolean(),
      'x-kubernetes-int-or-string': boolean(),
      'x-kubernetes-list-type': constantFrom('set', 'map', 'atomic', 'x'),
      'x-kubernetes-list-map-keys': array(names, { maxLength: 2 }),
      'x-kubernetes-map-type': constantFrom('atomic', 'granular', 'x'),
      'x-kubernetes-validations': array(
        constantFrom({ rule: 'self == oldSelf', fieldPath: '.a' }, { rule: '' }),
        {
          maxLength: 1,
        },
      ),
    },
    { requiredKeys: ['type'] },
  ) as Arbitrary<JsonObject>,
}));
const object = dictionary(names, value, { maxKeys: 5 });

fuzz('schemas of custom kinds, and their objects', {
  arbitrary: record({ schema, object, old: object }),
  check: ({ schema: json, object: given, old }) => {
    const before = goJson([json, given]);
    const parsed = parseSchema(json);
    const pruned = pruneObject(parsed, given).object;
    expect(pruneObject(parsed, pruned)).toEqual({ object: pruned, unknownFields: [] });
    const filled = fillDefaults(parsed, pruned);
    expect(fillDefaults(parsed, filled)).toEqual(filled);
    const errors = validateObject(parsed, { object: filled });
    const again = validateObject(parsed, { object: cloneJson(filled) as JsonObject });
    expect(goJson(again)).toBe(goJson(errors));
    // Nothing that stays as it was is wrong, whatever it is, but for embedded resources, which are asked each time.
    const same = validateObject(parsed, { object: filled, old: filled });
    if (!goJson(json).includes('embedded-resource":true')) expect(same).toEqual([]);
    validateObject(parsed, { object: filled, old });
    expect(goJson([json, given])).toBe(before);
  },
});

fuzz('objects of custom kinds as they are read', {
  arbitrary: record({ schema, object }),
  check: ({ schema: json, object: given }) => {
    const parsed = parseSchema(json);
    try {
      const first = decodeCustom(parsed, given);
      const second = decodeCustom(parsed, first.object);
      expect(second).toEqual({ object: first.object, unknownFields: [] });
    } catch (error) {
      if (!isPodwrightError(error, 'E_INVALID')) throw error;
    }
  },
});

fuzz('definitions of custom kinds', {
  arbitrary: record({ schema, old: schema }),
  check: ({ schema: json, old }) => {
    const definition = (openAPIV3Schema: JsonObject): JsonObject => ({
      metadata: { name: 'as.b.c' },
      spec: {
        group: 'b.c',
        names: { plural: 'as' },
        versions: [{ name: 'v1', schema: { openAPIV3Schema } }],
      },
    });
    validateDefinition(definition(json));
    validateDefinition(definition(json), definition(old));
    const gvk = { group: 'b.c', version: 'v1', kind: 'A' };
    const source = typeSourceOf({ ...gvk, schema: () => parseSchema(json) });
    const seen = new Set<string>();
    const left = [typeNameOfKind(gvk)];
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      const type = source.find(name);
      const types = [...(type?.fields?.values() ?? [])].map((field) => field.type);
      left.push(...[...types, type?.alias ?? 'any'].map((each) => each.replace(/^(\[\]|map:)+/, '')));
    }
    const kind = { ...gvk, listKind: 'AList', plural: 'as', json, selectablePaths: [], publicName: 'A' };
    expect(() => JSON.stringify([objectDocument(kind, 'v2'), objectDocument(kind, 'v3')])).not.toThrow();
  },
});

const pathPart = constantFrom(
  '.',
  '..',
  '[',
  ']',
  '*',
  'a',
  "'",
  '"',
  '?(',
  ')',
  '@',
  '==',
  '0',
  ':',
  ',',
  '\\',
  '$',
  ' ',
);

fuzz('JSON paths', {
  arbitrary: record({ parts: array(oneof(pathPart, string({ maxLength: 2 })), { maxLength: 20 }), object }),
  check: ({ parts, object: given }) => {
    try {
      findByPath(parseJsonPath(parts.join('')), given);
    } catch (error) {
      if (!isPodwrightError(error, 'E_INVALID')) throw error;
    }
  },
});

fuzz('texts of formats', {
  arbitrary: oneof(
    string({ maxLength: 40 }),
    string({ unit: constantFrom('a', '1', '-', '.', ':', '/', '@', '%', ' ', '"', 'T', 'Z') }),
  ),
  check: (text) => {
    for (const check of formatChecks.values()) expect(typeof check(text)).toBe('boolean');
  },
});
