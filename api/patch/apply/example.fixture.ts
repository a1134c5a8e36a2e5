import { builtInTypes } from '#api/schema/built-in-types.ts';
import type { SchemaField, SchemaType, TypeRef, TypeSource } from '#api/schema/type-source.ts';
import type { KindTerms } from './manage.ts';
import { atomOf } from './atom.ts';

/*
 * A type that has each way of merging once:
 *
 *   a, b   scalars            n      a struct of two scalars     m      a map, member by member
 *   k      a list by name     s      a set                       l, w   a list and a map that are wholes
 */

function field(type: string, merge?: SchemaField['merge']): SchemaField {
  return { type, omitsEmpty: false, absent: 'nothing', presence: 'optional', merge };
}

function struct(name: string, fields: Readonly<Record<string, SchemaField>>): readonly [string, SchemaType] {
  return [name, { publicName: name, fields: new Map(Object.entries(fields)), required: [], kinds: [] }];
}

const types: ReadonlyMap<string, SchemaType> = new Map([
  struct('Example', {
    apiVersion: field('string'),
    kind: field('string'),
    metadata: field('meta.v1.ObjectMeta'),
    a: field('int64'),
    b: field('string'),
    n: field('Pair'),
    m: field('map:string'),
    k: field('[]Item', { lt: 'map', lk: ['name'] }),
    s: field('[]string', { lt: 'set' }),
    l: field('[]string', { lt: 'atomic' }),
    w: field('map:string', { mt: 'atomic' }),
  }),
  struct('Pair', { x: field('string'), y: field('string') }),
  struct('Item', { name: field('string'), v: field('string'), u: field('string') }),
]);

export const exampleTypes: TypeSource = {
  fillsDefaults: true,
  find: (name) => types.get(name) ?? builtInTypes.find(name),
};

export const exampleType: TypeRef = { schema: exampleTypes, typeName: 'Example' };

/** Terms of objects of the type, which have one version and no part. */
export const exampleTerms: KindTerms = {
  apiVersion: 'v1',
  empty: { apiVersion: 'v1', kind: 'Example' },
  resetMembers: [],
  withoutReset: (set) => set,
  formOf: (version) =>
    version === 'v1'
      ? { atom: atomOf(exampleType), of: (object) => object, back: (object) => object }
      : undefined,
};
