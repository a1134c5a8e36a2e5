import { expect, test } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import { validateDefinition } from '#api/kinds/apiextensions/definition-validation.ts';
import type { JsonObject } from '#api/meta/object.ts';

function definition(spec: JsonObject, more: JsonObject = {}): JsonObject {
  const openAPIV3Schema = { type: 'object', properties: { spec } };
  return {
    metadata: { name: 'as.b.c' },
    spec: {
      group: 'b.c',
      scope: 'Cluster',
      names: { plural: 'as', singular: 'a', kind: 'A', listKind: 'AList' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
      conversion: { strategy: 'None' },
      ...more,
    },
    status: { storedVersions: ['v1'] },
  };
}

function said(next: JsonObject, old?: JsonObject): readonly string[] {
  return validateDefinition(next, old).map((error) => `${error.field}: ${renderFieldError(error)}`);
}

const text = { type: 'string' };
const whole = (spec: JsonObject): JsonObject => ({ type: 'object', properties: { x: spec } });

test.each<readonly [string, JsonObject]>([
  [
    'sets of objects that are no atoms',
    { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' },
  ],
  [
    'keys that may be absent',
    {
      type: 'array',
      items: { type: 'object', properties: { k: text } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['k'],
    },
  ],
  ['defaults with unknown fields', { type: 'object', default: { u: 1 }, properties: { a: text } }],
  [
    'expressions that cost too much',
    {
      type: 'array',
      items: text,
      'x-kubernetes-validations': [{ rule: 'self.all(x, self.all(y, x == y))' }],
    },
  ],
])('what was stored with %s may change otherwise', (_, spec) => {
  const old = definition(whole(spec));
  expect(said(old)).not.toEqual([]);
  expect(said(definition(whole(spec), { conversion: { strategy: 'None' } }), old)).toEqual([]);
  const fine = definition(whole(text));
  expect(said(definition(whole(spec)), fine)).not.toEqual([]);
});

test('whether it is preserved, approved or converted as it was is not asked again', () => {
  const odd = { preserveUnknownFields: true };
  expect(said(definition(whole(text), odd))).toHaveLength(1);
  expect(said(definition(whole(text), odd), definition(whole(text), odd))).toEqual([]);
  const webhook = { clientConfig: { url: 'https://a.b/c' }, conversionReviewVersions: ['v7'] };
  const converted = { conversion: { strategy: 'Webhook', webhook } };
  expect(said(definition(whole(text), converted))).toHaveLength(1);
  expect(said(definition(whole(text), converted), definition(whole(text), converted))).toEqual([]);
});
