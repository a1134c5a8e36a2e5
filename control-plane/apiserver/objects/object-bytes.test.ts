import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  bareShape,
  encodeStored,
  eventBytes,
  ParsedObjects,
  parsedBytesMax,
  partialShape,
  Shown,
  typedShape,
} from './object-bytes.ts';

const configMaps = builtIn('', 'v1', 'configmaps');

describe('stored bytes', () => {
  const rows: readonly { readonly name: string; readonly metadata: JsonObject }[] = [
    { name: 'nothing else', metadata: {} },
    { name: 'braces in a string', metadata: { annotations: { a: '}{"metadata":{', b: '{' } } },
    {
      name: 'quotes and backslashes',
      metadata: { annotations: { 'q"': '\\"}', slash: '\\', both: '"\\\\' } },
    },
    { name: 'beyond ASCII', metadata: { annotations: { ü: '→ 🙂 \u2028 \ud800' } } },
    { name: 'nested', metadata: { ownerReferences: [{ uid: '1' }, {}], labels: {}, finalizers: ['}'] } },
  ];
  it.each(rows)('give the metadata alone: $name', ({ metadata }) => {
    const object = { metadata: { name: 'n', ...metadata }, data: { metadata: '{}' } };
    const stored = { value: encodeStored(object), modRevision: 7 };
    const partial = {
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { ...object.metadata, resourceVersion: '7' },
    };
    const shown = new Shown(partialShape('meta.k8s.io/v1'), stored);
    expect(Buffer.concat(shown.pieces())).toEqual(shown.toBytes());
    const line = eventBytes('ADDED', shown);
    expect(JSON.parse(Buffer.from(line).toString())).toEqual({ type: 'ADDED', object: partial });
    expect(
      JSON.parse(Buffer.from(new Shown(typedShape(configMaps), stored).toBytes()).toString()),
    ).toMatchObject({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: '7' },
      data: { metadata: '{}' },
    });
  });

  const bareOf = (text: string, modRevision: number): string => {
    const stored = { value: Buffer.from(text), modRevision };
    const shown = new Shown(bareShape, stored);
    expect(Buffer.concat(shown.pieces())).toEqual(shown.toBytes());
    return shown.toBytes().toString();
  };

  it('have no revision, and are shown with it where the API has it', () => {
    const metadata = {
      labels: { name: 'x' },
      uid: 'u"]',
      namespace: 's',
      generateName: 'g-',
      name: 'g-1',
      resourceVersion: '3',
    };
    const value = encodeStored({ kind: 'A', apiVersion: 'v1', spec: {}, metadata });
    const text = Buffer.from(value).toString();
    expect(text).toBe(
      '{"metadata":{"name":"g-1","generateName":"g-","namespace":"s","uid":"u\\"]","labels":{"name":"x"}},"spec":{}}',
    );
    expect(bareOf(text, 41)).toBe(text.replace(',"labels"', ',"resourceVersion":"41","labels"'));
  });

  it('may have nothing but a name', () => {
    expect(bareOf('{"metadata":{"name":"n"}}', 5)).toBe('{"metadata":{"name":"n","resourceVersion":"5"}}');
  });

  it('of an earlier release have a revision, which is not shown', () => {
    const text = '{"metadata":{"name":"n","uid":"u","resourceVersion":"7","labels":{}},"data":{}}';
    expect(bareOf(text, 123)).toBe(text.replace('"7"', '"123"'));
  });

  it('are kept parsed up to some number and some bytes', () => {
    const parsed = new ParsedObjects();
    const values = Array.from({ length: 30 }, (_, index) =>
      encodeStored({ metadata: { name: 'n', uid: `u${index}` }, data: { text: 'x'.repeat(1_000_000) } }),
    );
    for (const value of values) parsed.read(configMaps, { value, modRevision: 1 });
    expect(parsed.bytes).toBeLessThanOrEqual(parsedBytesMax);
    expect(parsed.bytes).toBeGreaterThan(parsedBytesMax - 2_000_000);
    const small = encodeStored({ metadata: { name: 'n', uid: 'u' } });
    for (let index = 0; index < 3000; index++) {
      parsed.read(configMaps, { value: Buffer.from(small), modRevision: 1 });
    }
    expect(parsed.bytes).toBe(1024 * small.byteLength);
  });

  it('are parsed as the kind that was asked for', () => {
    const parsed = new ParsedObjects();
    const value = encodeStored({ metadata: { name: 'n', uid: 'u' } });
    const next = { ...configMaps, version: 'v2' };
    for (const kind of [configMaps, next, configMaps]) {
      const object = parsed.read(kind, { value, modRevision: 7 });
      expect(object).toMatchObject({ kind: 'ConfigMap', apiVersion: kind.version });
      expect(parsed.bytes).toBe(value.byteLength);
    }
  });

  it('are parsed with the revision that was asked for', () => {
    const parsed = new ParsedObjects();
    const value = encodeStored({ metadata: { name: 'n', uid: 'u', labels: {} }, data: {} });
    for (const modRevision of [7, 9, 7]) {
      const object = parsed.read(configMaps, { value, modRevision });
      expect(JSON.stringify(object)).toBe(
        `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"n","uid":"u","resourceVersion":"${modRevision}","labels":{}},"data":{}}`,
      );
    }
  });

  it('are not parsed where what was written is kept', () => {
    const parsed = new ParsedObjects();
    const written = {
      metadata: { name: 'n', managedFields: [{ manager: 'm', fieldsV1: { 'f:data': { 'f:<a>': {} } } }] },
      data: { '<a>': '\u2028' },
    };
    const value = encodeStored(written);
    parsed.keepWritten(configMaps, value, written);
    for (const modRevision of [7, 9, 7]) {
      const object = parsed.read(configMaps, { value, modRevision }, () => {
        throw new TypeError('it is there');
      });
      expect(object).toEqual(new ParsedObjects().read(configMaps, { value, modRevision }));
    }
    expect(parsed.bytes).toBe(value.byteLength);
  });
});
