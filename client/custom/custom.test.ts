import { stripTypeScriptTypes } from 'node:module';
import { describe, expect, it } from 'vitest';
import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { createRandom } from '#base/random.fixture.ts';
import { kindOf } from './kind-of.ts';
import { renderKinds } from './render-kind.ts';
import { renderSchemaType } from './render-schema.ts';

const version = (name: string, more: object = {}) => ({ name, served: true, storage: false, ...more });
const definition = (versions: readonly object[], more: object = {}): CustomResourceDefinition =>
  ({
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { kind: 'Widget', plural: 'widgets' },
      versions,
      ...more,
    },
  }) as CustomResourceDefinition;

describe('kindOf()', () => {
  it.each([
    { name: 'the stored version', versions: [version('v1'), version('v2', { storage: true })], want: 'v2' },
    {
      name: 'the first where the stored is not served',
      versions: [version('v1'), version('v2', { storage: true, served: false })],
      want: 'v1',
    },
    {
      name: 'the one asked for',
      versions: [version('v1'), version('v2', { storage: true })],
      asked: 'v1',
      want: 'v1',
    },
  ])('takes $name', ({ versions, asked, want }) => {
    expect(kindOf(definition(versions), asked)).toEqual({
      group: 'example.com',
      version: want,
      kind: 'Widget',
      resource: 'widgets',
      namespaced: true,
    });
  });

  it('of the cluster', () => {
    expect(kindOf(definition([version('v1')], { scope: 'Cluster' })).namespaced).toBe(false);
  });

  it.each([
    { name: 'no version', given: definition([]) },
    { name: 'one that is not served', given: definition([version('v1', { served: false })]) },
    { name: 'no names', given: definition([version('v1')], { names: {} }) },
    { name: 'nothing', given: {} as CustomResourceDefinition },
  ])('refuses $name', ({ given }) => expect(() => kindOf(given)).toThrow(/make a kind of/));
});

describe('renderSchemaType()', () => {
  it.each([
    { name: 'nothing', schema: {}, want: 'unknown' },
    { name: 'a text', schema: { type: 'string' }, want: 'string' },
    { name: 'one of', schema: { type: 'string', enum: ['a', "b'"] }, want: '"a" | "b\'"' },
    { name: 'a number or text', schema: { 'x-kubernetes-int-or-string': true }, want: 'number | string' },
    { name: 'may be null', schema: { type: 'integer', nullable: true }, want: 'number | null' },
    {
      name: 'a list of what may be null',
      schema: { type: 'array', items: { type: 'string', nullable: true } },
      want: 'readonly (string | null)[]',
    },
    {
      name: 'a list of lists',
      schema: { type: 'array', items: { type: 'array', items: { type: 'boolean' } } },
      want: 'readonly (readonly boolean[])[]',
    },
    {
      name: 'a map',
      schema: { type: 'object', additionalProperties: { type: 'integer' } },
      want: '{ readonly [key: string]: number }',
    },
    {
      name: 'an object of anything',
      schema: { type: 'object' },
      want: '{ readonly [field: string]: unknown }',
    },
    {
      name: 'fields',
      schema: {
        type: 'object',
        required: ['a'],
        properties: { a: { type: 'string' }, 'b-c': { type: 'integer', description: 'How */ many.' } },
      },
      want: '{\n  readonly a: string;\n  /** How *∕ many. */\n  readonly "b-c"?: number | undefined;\n}',
    },
  ])('$name', ({ schema, want }) => expect(renderSchemaType(schema)).toBe(want));

  it('has bounds', () => {
    let deep: object = { type: 'string' };
    for (let depth = 0; depth < 70; depth++) deep = { type: 'array', items: deep };
    expect(() => renderSchemaType(deep)).toThrow(/deeper than 64/);
    // What YAML's aliases make of a few lines.
    let wide: object = { type: 'string' };
    for (let depth = 0; depth < 30; depth++) wide = { type: 'object', properties: { a: wide, b: wide } };
    expect(() => renderSchemaType(wide)).toThrow(/longer than/);
  });

  it('of any schema writes TypeScript', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now());
    const random = createRandom(seed);
    for (let run = 0; run < 500; run++) {
      const text = `type T = ${renderSchemaType(randomSchema(random, 4))};`;
      expect(() => stripTypeScriptTypes(text), `seed ${seed}:\n${text}`).not.toThrow();
    }
  });
});

function randomSchema(random: () => number, depth: number): object {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const text = (): string =>
    Array.from({ length: 6 }, () => pick(['a', '*/', '"', "'", '\n', '`', '${', '\\', '\u2028', ' '])).join(
      '',
    );
  const inner = (): object => (depth === 0 ? {} : randomSchema(random, depth - 1));
  return {
    type: pick(['string', 'integer', 'object', 'array', 'boolean', undefined, 7]),
    description: text(),
    ...(random() < 0.2 ? { enum: [text(), 1, null, { a: 1 }] } : {}),
    ...(random() < 0.3 ? { nullable: pick([true, false, 'x']) } : {}),
    ...(random() < 0.5 ? { properties: { [text()]: inner(), b: inner(), apiVersion: inner() } } : {}),
    ...(random() < 0.3 ? { items: pick([inner(), [inner()], null]) } : {}),
    ...(random() < 0.3 ? { additionalProperties: pick([inner(), true, false]) } : {}),
    ...(random() < 0.2 ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    ...(random() < 0.2 ? { 'x-kubernetes-embedded-resource': true } : {}),
    ...(random() < 0.2 ? { 'x-kubernetes-int-or-string': true } : {}),
    required: pick([undefined, ['b'], 'b', [7]]),
  };
}

it('renderKinds() writes a module', async () => {
  const openAPIV3Schema = {
    type: 'object',
    description: 'A widget.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: {
        type: 'object',
        required: ['size'],
        properties: { size: { type: 'integer', description: 'In metres.' } },
      },
      status: { type: 'object', properties: { ready: { type: 'boolean' } } },
    },
  };
  const text = renderKinds([definition([version('v1', { schema: { openAPIV3Schema } })])]);
  await expect(text).toMatchFileSnapshot('golden/widget.ts.txt');
});

it.each([
  { name: 'nothing', given: [], want: /no CustomResourceDefinition/ },
  {
    name: 'two of a kind',
    given: [definition([version('v1')]), definition([version('v1')])],
    want: /two definitions/,
  },
  {
    name: 'code for a name',
    given: [definition([version('v1')], { names: { kind: 'A = 1; //', plural: 'as' } })],
    want: /is no name/,
  },
])('renderKinds() refuses $name', ({ given, want }) => expect(() => renderKinds(given)).toThrow(want));
