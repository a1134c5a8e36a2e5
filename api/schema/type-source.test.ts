import { describe, expect, it } from 'vitest';
import { decodeRequest, type FieldValidation } from '#api/wire/decode-request.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { isObject } from '#api/wire/json.ts';
import { kinds } from './kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { schemasOf } from '#api/openapi/schema.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { tableColumns, tableRow } from '#api/table/table.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { builtInTypes } from './built-in-types.ts';
import { widgets, widgetTypes } from './widget.fixture.ts';

function decode(value: JsonObject, fieldValidation: FieldValidation): ReturnType<typeof decodeRequest> {
  const body = { value, duplicateFields: [] };
  return decodeRequest(widgets, body, fieldValidation);
}

const typed = { apiVersion: 'example.com/v1', kind: 'Widget' };
const created = { creationTimestamp: '1970-01-01T00:00:00Z', generation: 1, uid: 'u', namespace: 'n' };

describe('a kind with types of its own', () => {
  const spec = {
    color: 'red',
    bogus: 1,
    parts: [{ name: 'a', weight: '1000m', other: 2 }],
    notes: { any: [1] },
  };
  const known = { color: 'red', parts: [{ name: 'a', weight: '1' }], notes: { any: [1] } };
  const given = { metadata: { name: 'w', nope: 1 }, spec };
  const unknown = ['metadata.nope', 'spec.bogus', 'spec.parts[0].other'].map(
    (path) => `unknown field "${path}"`,
  );

  it.each([
    { fieldValidation: 'Warn', warnings: unknown },
    { fieldValidation: 'Ignore', warnings: [] },
  ] as const)('is decoded by them ($fieldValidation)', ({ fieldValidation, warnings }) => {
    const metadata = { name: 'w' };
    expect(decode(given, fieldValidation)).toEqual({ object: { ...typed, metadata, spec: known }, warnings });
  });

  it('has no unknown field where clients want none', () => {
    expect(() => decode(given, 'Strict')).toThrow(`strict decoding error: ${unknown.join(', ')}`);
  });

  it.each([
    {
      at: { size: '3' },
      complaint: 'json: cannot unmarshal string into Go struct field WidgetSpec.spec.size of type int32',
    },
    {
      at: { size: 1.5 },
      complaint: 'json: cannot unmarshal number 1.5 into Go struct field WidgetSpec.spec.size of type int32',
    },
    {
      at: { parts: {} },
      complaint:
        'json: cannot unmarshal object into Go struct field WidgetSpec.spec.parts of type []v1.WidgetPart',
    },
    {
      at: { places: { a: 1 } },
      complaint:
        'json: cannot unmarshal number into Go struct field WidgetSpec.spec.places of type v1.WidgetPart',
    },
  ])('has no field of another type: $complaint', ({ at, complaint }) => {
    expect(() => decode({ spec: at }, 'Ignore')).toThrow(complaint);
  });

  it.each([
    { name: 'of an object that says nothing', object: {}, want: { spec: { size: 3 } } },
    { name: 'of what is there, no more', object: { spec: { size: 0 } }, want: { spec: { size: 0 } } },
    {
      name: 'of items and values',
      object: { spec: { parts: [{ name: 'a' }], places: { p: { name: 'b' } } } },
      want: {
        spec: { size: 3, parts: [{ name: 'a', weight: '1' }], places: { p: { name: 'b', weight: '1' } } },
      },
    },
  ])('gets their defaults: $name', ({ object, want }) => {
    expect(applyDefaults(widgets, object)).toEqual(want);
  });

  it('does not share its defaults', () => {
    const one = applyDefaults(widgets, {});
    expect(one['spec']).not.toBe(applyDefaults(widgets, {})['spec']);
  });

  it.each([
    { spec: { size: 1, color: 'red' }, want: [] },
    { spec: { size: 1, color: '' }, want: [] },
    { spec: { color: 'red' }, want: ['spec.size: Required'] },
    {
      spec: { size: 1, color: 'green' },
      want: ['spec.color: NotSupported'],
    },
    { spec: { size: 1, color: 'red', parts: [{}] }, want: ['spec.parts[0].name: Required'] },
    { spec: { size: 1, color: 'red', places: { p: {} } }, want: ['spec.places[p].name: Required'] },
  ])('is checked by them: $want', ({ spec: checked, want }) => {
    const object = { ...typed, metadata: { name: 'w', namespace: 'n' }, spec: checked };
    expect(validateCreate(widgets, object).map(({ field, type }) => `${field}: ${type}`)).toEqual(want);
  });

  it('begins without a status, whatever it came with', () => {
    const object = { ...typed, metadata: { name: 'w' }, spec: known, status: { ready: true } };
    const context = { now: 0, uid: 'u', namespace: 'n' };
    expect(prepareCreate(widgets, object, context)).toEqual({
      ...typed,
      metadata: { name: 'w', ...created },
      spec: known,
    });
  });

  it('has the plain row', () => {
    const object = { ...typed, metadata: { name: 'w', ...created } };
    expect(tableColumns(widgets).map(({ name, type }) => [name, type])).toEqual([
      ['Name', 'string'],
      ['Created At', 'date'],
    ]);
    expect(tableRow(widgets, object, 0)).toEqual({ cells: ['w', '1970-01-01T00:00:00Z'] });
  });

  it('has lists that merge as they say', () => {
    const base = { spec: { parts: [{ name: 'a', weight: '1' }, { name: 'b' }] } };
    expect(applyStrategicPatch(widgets, base, { spec: { parts: [{ name: 'b', weight: '2' }] } })).toEqual({
      spec: {
        parts: [
          { name: 'a', weight: '1' },
          { name: 'b', weight: '2' },
        ],
      },
    });
  });

  it('is described by them, and by what they refer to', () => {
    const schemas = schemasOf([widgets], 'v3');
    expect(Object.keys(schemas).filter((name) => name.startsWith('com.example'))).toEqual([
      'com.example.v1.Widget',
      'com.example.v1.WidgetPart',
      'com.example.v1.WidgetSpec',
      'com.example.v1.WidgetStatus',
    ]);
    expect(schemas['com.example.v1.WidgetSpec']).toMatchObject({
      required: ['size', 'color'],
      properties: { size: { type: 'integer', default: 3 }, color: { enum: ['red', 'blue'] } },
    });
    expect(schemas['com.example.v1.Widget']).toMatchObject({
      'x-kubernetes-group-version-kind': [{ group: 'example.com', version: 'v1', kind: 'Widget' }],
    });
    expect(schemas).toHaveProperty(['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta']);
    expect(isObject(schemas['com.example.v1.WidgetStatus'])).toBe(true);
  });

  it('finds nothing under names that no type has', () => {
    expect(widgetTypes.find('constructor')).toBeUndefined();
  });
});

describe('builtInTypes', () => {
  it('are the types of every kind, and of what its subresources take', () => {
    for (const kind of kinds) {
      expect(kind.schema).toBe(builtInTypes);
      expect(builtInTypes.find(kind.typeName)?.kinds).toContainEqual({
        group: kind.group,
        version: kind.version,
        kind: kind.kind,
      });
    }
  });

  it('gives one answer', () => {
    expect(builtInTypes.find('core.v1.Pod')).toBe(builtInTypes.find('core.v1.Pod'));
  });
});
