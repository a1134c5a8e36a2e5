import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/object.ts';
import { builtIn } from './built-in.ts';
import { encodeStored, eventBytes, partialShape, typedBytes } from './object-bytes.ts';

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
    const stored = encodeStored(object, 7);
    const partial = {
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { ...object.metadata, resourceVersion: '7' },
    };
    const line = eventBytes('ADDED', partialShape('meta.k8s.io/v1'), stored);
    expect(JSON.parse(Buffer.from(line).toString())).toEqual({ type: 'ADDED', object: partial });
    expect(JSON.parse(Buffer.from(typedBytes(configMaps, stored)).toString())).toMatchObject({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: '7' },
      data: { metadata: '{}' },
    });
  });
});
