import { describe, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionAttributes, AdmissionPlugin } from './admission.ts';
import { contextWith, nothingStored, store } from './admission.fixture.ts';
import { defaultIngressClass } from './default-ingress-class.ts';
import { defaultStorageClass } from './storage/default-storage-class.ts';

interface Defaulted {
  readonly plugin: AdmissionPlugin;
  readonly kind: readonly [group: string, version: string, resource: string];
  readonly classes: string;
  /** Annotations that make a class the default one. */
  readonly marks: readonly string[];
  /** The annotation that named the class when there was no field. */
  readonly older: string;
  readonly field: string;
}

const defaulted: readonly Defaulted[] = [
  {
    plugin: defaultStorageClass,
    kind: ['', 'v1', 'persistentvolumeclaims'],
    classes: 'storage.k8s.io/v1/storageclasses',
    marks: [
      'storageclass.kubernetes.io/is-default-class',
      'storageclass.beta.kubernetes.io/is-default-class',
    ],
    older: 'volume.beta.kubernetes.io/storage-class',
    field: 'storageClassName',
  },
  {
    plugin: defaultIngressClass,
    kind: ['networking.k8s.io', 'v1', 'ingresses'],
    classes: 'networking.k8s.io/v1/ingressclasses',
    marks: ['ingressclass.kubernetes.io/is-default-class'],
    older: 'kubernetes.io/ingress.class',
    field: 'ingressClassName',
  },
];

/** Classes by name: the second in which each was made, and what it says of being the default one. */
type Classes = Readonly<Record<string, readonly [second: number, isDefault: string | undefined]>>;

const rows: readonly {
  readonly name: string;
  readonly classes: Classes;
  readonly asked?: string;
  readonly annotated?: string;
  readonly want: string | undefined;
}[] = [
  { name: 'no class', classes: {}, want: undefined },
  {
    name: 'classes of which none is for all',
    classes: { a: [1, undefined], b: [2, 'false'] },
    want: undefined,
  },
  { name: 'one that is for all', classes: { a: [1, 'true'], b: [2, undefined] }, want: 'a' },
  { name: 'two for all: the newest', classes: { a: [1, 'true'], b: [2, 'true'] }, want: 'b' },
  { name: 'two for all of one second: the first', classes: { b: [1, 'true'], a: [1, 'true'] }, want: 'a' },
  { name: 'a class that was asked for', classes: { a: [1, 'true'] }, asked: 'x', want: 'x' },
  { name: 'no class that was asked for', classes: { a: [1, 'true'] }, asked: '', want: '' },
  { name: 'a class in the annotation', classes: { a: [1, 'true'] }, annotated: '', want: undefined },
];

describe.each(defaulted)('$plugin.name', ({ plugin, kind, classes: resource, marks, older, field }) => {
  const attributes: AdmissionAttributes = {
    ...{ operation: 'create', verb: 'create', kind: builtIn(...kind), subresource: '' },
    ...{ namespace: 'n', name: 'x', user: { name: 'alice', groups: [] }, dryRun: false },
  };

  it.each(marks.flatMap((mark) => rows.map((row) => ({ ...row, mark }))))(
    'of $name ($mark)',
    async ({ classes, asked, annotated, want, mark }) => {
      const context = await contextWith([]);
      for (const [name, [second, isDefault]] of Object.entries(classes)) {
        const annotations = isDefault === undefined ? {} : { [mark]: isDefault };
        const creationTimestamp = `2026-01-01T00:00:0${second}Z`;
        await store(context, resource, { metadata: { name, creationTimestamp, annotations } });
      }
      const object: JsonObject = {
        metadata: { name: 'x', annotations: annotated === undefined ? {} : { [older]: annotated } },
        spec: asked === undefined ? {} : { [field]: asked },
      };
      const answer = await plugin.admit?.(context, { attributes, object });
      expect(at(answer ?? object, ['spec', field])).toBe(want);
    },
  );

  it('has no say in an update', () => {
    expect(plugin.handles({ ...attributes, operation: 'update', verb: 'update' }, nothingStored)).toBe('no');
    expect(
      plugin.handles(
        { ...attributes, operation: 'update', verb: 'update', subresource: 'status' },
        nothingStored,
      ),
    ).toBe('no');
  });
});
