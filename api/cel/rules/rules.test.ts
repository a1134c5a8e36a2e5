import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseSchema } from '#api/structural/parse.ts';
import { compileRules } from './compile-rules.ts';
import { expressionsOf, ruleErrors, ruleFormErrors } from './rule-errors.ts';
import { runRules, type Judged } from './run-rules.ts';

/** As kube-apiserver 1.36.2 answered: schemas, and values of the last of them. */
const observed = JSON.parse(readFileSync(`${import.meta.dirname}/observed-1.36.2.json`, 'utf8')) as {
  readonly schemas: readonly { readonly schema: JsonObject; readonly errors: string }[];
  readonly runs: readonly { readonly name: string; readonly spec: JsonObject; readonly errors: string }[];
};

function render(errors: readonly FieldError[]): string {
  const texts = errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
  return texts.length > 1 ? `[${texts.join(', ')}]` : (texts[0] ?? '');
}

function formErrorsWithin(schema: JsonObject, path: string): readonly FieldError[] {
  const properties = Object.entries((schema['properties'] ?? {}) as Readonly<Record<string, JsonObject>>);
  return [
    ...properties.flatMap(([name, part]) => formErrorsWithin(part, `${path}.properties[${name}]`)),
    ...ruleFormErrors(schema, path),
  ];
}

function judge(schema: JsonObject, judged: Judged): string {
  const tree = compileRules(parseSchema(schema));
  return tree === undefined ? '' : render(runRules(tree, judged).errors);
}

describe('rules of a schema', () => {
  it.each(observed.schemas.map(({ schema, errors }) => [JSON.stringify(schema), schema, errors] as const))(
    '%s is answered as a real server does',
    (_, schema, errors) => {
      const path = 'spec.validation.openAPIV3Schema';
      expect(render([...formErrorsWithin(schema, path), ...ruleErrors(parseSchema(schema), path)])).toBe(
        errors,
      );
    },
  );

  const cels = observed.schemas.at(-1)?.schema ?? {};

  it.each(observed.runs.map((run) => [run.name, run] as const))('%s', (_, { spec, errors }) => {
    expect(judge(cels, { value: { metadata: { name: 'c' }, spec } })).toBe(errors);
  });

  it('that compare with what was are run on updates, of values that are on both sides', () => {
    const old = { spec: { imm: 'a', opt: 'locked' } };
    expect(judge(cels, { value: { spec: { imm: 'b', opt: 'locked' } }, old })).toBe(
      '[spec.imm: Invalid value: "b": imm is immutable, spec.opt: Invalid value: "locked": locked]',
    );
    expect(judge(cels, { value: { spec: { opt: 'free' } }, old })).toBe(
      'spec.opt: Invalid value: "free": locked',
    );
    expect(judge(cels, { value: { spec: { opt: 'locked' } } })).toBe('');
  });

  const ok = [{ rule: 'has(self.z) && self.z == "ok"' }];
  const rats = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          o: { type: 'object', properties: { z: { type: 'string' } }, 'x-kubernetes-validations': ok },
          m: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: {
              type: 'object',
              properties: { k: { type: 'string' }, z: { type: 'string' } },
              'x-kubernetes-validations': ok,
            },
          },
          l: {
            type: 'array',
            items: { type: 'object', properties: { z: { type: 'string' } }, 'x-kubernetes-validations': ok },
          },
        },
      },
    },
  };

  it.each<[string, JsonObject, JsonObject, string]>([
    ['an object that did not change', { o: { z: 'bad' } }, { o: { z: 'bad' }, b: 1 }, ''],
    ['one that did', { o: { z: 'bad' } }, { o: { z: 'bad', y: 1 } }, 'spec.o'],
    ['an item by its key', { m: [{ k: '1' }] }, { m: [{ k: '2', z: 'ok' }, { k: '1' }] }, ''],
    ['an item that changed', { m: [{ k: '1' }] }, { m: [{ k: '1', z: 'bad' }] }, 'spec.m[0]'],
    ['an item of a list without keys, that is the same', { l: [{}] }, { l: [{}] }, ''],
    ['one of a list that is not', { l: [{}] }, { l: [{}, { z: 'ok' }] }, 'spec.l[0]'],
  ])('%s is judged by what it was', (_, old, value, field) => {
    const tree = compileRules(parseSchema(rats));
    if (tree === undefined) throw new Error('no rules');
    const { errors, ratcheted } = runRules(tree, { value: { spec: value }, old: { spec: old } });
    expect(errors.map((error) => error.field)).toEqual(field === '' ? [] : [field]);
    expect(ratcheted).toHaveLength(field === '' ? 1 : 0);
  });

  it('end where the budget of a call or of the object does', () => {
    const list = { type: 'array', items: { type: 'integer' } };
    const spec = (rules: readonly string[]): JsonObject => ({
      ...list,
      'x-kubernetes-validations': rules.map((rule) => ({ rule })),
    });
    const value = Array.from({ length: 2000 }, (_, index) => index);
    const [square, line] = ['self.all(x, self.all(y, x + y >= 0))', 'self.all(x, x >= 0)'];
    expect(judge(spec([square, line]), { value })).toBe(
      `<nil>: Invalid value: "array": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: ${square}`,
    );
    expect(judge(spec([line, line]), { value, budget: 15_000 })).toBe(
      '<nil>: Invalid value: "array": validation failed due to running out of cost budget, no further validation rules will be run',
    );
  });

  it('names what it holds', () => {
    expect([...expressionsOf(parseSchema(rats))]).toEqual([ok[0]?.rule, '']);
  });
});
