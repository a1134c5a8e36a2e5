import type { Kind } from './kinds.ts';
import { builtInTypes } from './built-in-types.ts';
import type { SchemaField, SchemaType, TypeSource, TypeTexts } from './type-source.ts';

/*
 * A kind that no facts know: what a client would bring. Its fields are shown as they were given, as those of custom resources are.
 */

const gv = { group: 'example.com', version: 'v1' };

function field(type: string, more: Partial<SchemaField> = {}): SchemaField {
  return { type, omitsEmpty: false, absent: 'nothing', presence: 'optional', ...more };
}

function struct(
  name: string,
  fields: Readonly<Record<string, SchemaField>>,
  required: readonly string[] = [],
): readonly [string, SchemaType] {
  const kinds = name === 'Widget' ? [{ ...gv, kind: name }] : [];
  const type = {
    publicName: `com.example.v1.${name}`,
    fields: new Map(Object.entries(fields)),
    required,
    kinds,
  };
  return [`example.com.v1.${name}`, type];
}

const types: ReadonlyMap<string, SchemaType> = new Map([
  struct('Widget', {
    apiVersion: field('string'),
    kind: field('string'),
    metadata: field('meta.v1.ObjectMeta', { absent: 'zero' }),
    spec: field('example.com.v1.WidgetSpec', { default: {} }),
    status: field('example.com.v1.WidgetStatus'),
  }),
  struct(
    'WidgetSpec',
    {
      size: field('int32', { presence: 'given', default: 3 }),
      color: field('string', { presence: 'given', allowed: ['red', 'blue'] }),
      parts: field('[]example.com.v1.WidgetPart', { merge: { ps: 'merge', pk: 'name' } }),
      places: field('map:example.com.v1.WidgetPart'),
      notes: field('any'),
    },
    ['size', 'color'],
  ),
  struct(
    'WidgetPart',
    { name: field('string', { presence: 'given' }), weight: field('quantity', { default: '1' }) },
    ['name'],
  ),
  struct('WidgetStatus', { ready: field('bool') }),
]);

const texts: Readonly<Record<string, TypeTexts>> = {
  'example.com.v1.Widget': { '': 'Widget is what a client brought.', spec: 'spec says what it is to be.' },
};

/** Its types, and what they refer to of Kubernetes'. */
export const widgetTypes: TypeSource = {
  fillsDefaults: true,
  find: (name) => types.get(name) ?? builtInTypes.find(name),
  textsOf: (name) => texts[name] ?? builtInTypes.textsOf?.(name),
};

const type = { schema: widgetTypes, typeName: 'example.com.v1.Widget' };

/** `example.com/v1` Widget, with a status. */
export const widgets: Kind = {
  ...gv,
  ...type,
  kind: 'Widget',
  resource: 'widgets',
  singular: 'widget',
  shortNames: ['wd'],
  categories: ['all'],
  namespaced: true,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  subresources: [{ ...gv, ...type, name: 'status', kind: 'Widget', verbs: ['get', 'patch', 'update'] }],
};
