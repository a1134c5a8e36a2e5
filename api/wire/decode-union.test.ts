import { expect, test } from 'vitest';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { decodeObject } from './decode.ts';

const type = { schema: builtInTypes, typeName: 'apiextensions.v1.JSONSchemaProps' };

test('a schema within a union is read as a schema, and what it does not know goes without mention', () => {
  const given = {
    type: 'array',
    foo: 1,
    items: { type: 'object', bar: 1, additionalProperties: { type: 'string', baz: null } },
  };
  expect(decodeObject(type, given)).toEqual({
    object: {
      type: 'array',
      items: { type: 'object', additionalProperties: { type: 'string' } },
    },
    unknownFields: ['foo'],
  });
  const flags = {
    nullable: false,
    uniqueItems: false,
    'x-kubernetes-preserve-unknown-fields': false,
    minimum: 0,
  };
  expect(decodeObject(type, { ...flags, default: false }).object).toEqual({
    'x-kubernetes-preserve-unknown-fields': false,
    minimum: 0,
    default: false,
  });
  expect(decodeObject(type, { additionalProperties: false }).object).toEqual({ additionalProperties: false });
  expect(decodeObject(type, { items: [{ type: 'string', x: 1 }] }).object).toEqual({
    items: [{ type: 'string' }],
  });
});
