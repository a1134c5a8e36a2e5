import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fieldCoverage } from '#agent/kubelet/field-coverage.fixture.ts';
import { schemaFacts } from '#api/facts/facts.ts';
import { isObject, objectOf, typed } from '#api/wire/json.ts';
import { c, fieldChanges, type FieldChange } from './field-changes.fixture.ts';
import { namedProofs } from './named-proofs.fixture.ts';
import { nodeView, podOf } from './node-view.fixture.ts';

/** The field (`Type.field`) that a path of a pod's spec leads to, by the schema. */
function fieldAt(at: string): string {
  let type = 'core.v1.PodSpec';
  let found = '';
  for (const step of at.split('.')) {
    if (/^\d+$/.test(step)) continue;
    const fact = schemaFacts().types[type]?.f?.[step];
    if (fact === undefined) throw new Error(`${at}: ${type} has no ${step}`);
    found = `${type.replace('core.v1.', '')}.${step}`;
    type = (typeof fact === 'string' ? fact : (fact[0] ?? '')).replace(/^(\[\]|map:)+/, '');
  }
  return found;
}

/** A copy with a value at a path; undefined takes it away. */
function withValue(value: unknown, steps: readonly string[], to: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return to;
  if (Array.isArray(value)) {
    return value.map((each: unknown, index) => (String(index) === step ? withValue(each, rest, to) : each));
  }
  const { [step]: old, ...others } = isObject(value) ? value : {};
  const next = withValue(old, rest, to);
  return next === undefined ? others : { ...others, [step]: next };
}

async function viewOf({ at, on }: FieldChange, value: unknown): Promise<string> {
  const spec = withValue({ containers: [c], ...on }, at.split('.'), value);
  return nodeView(podOf(typed(objectOf(spec))));
}

const acted = Object.entries(fieldCoverage).flatMap(([type, fields]) =>
  Object.entries(fields)
    .filter(([, { kind }]) => kind === 'acted' || kind === 'server')
    .map(([field]) => `${type}.${field}`),
);
const changed = new Set(fieldChanges.map(({ at }) => fieldAt(at)));

describe('what a node makes of a pod', () => {
  test.each(fieldChanges.map((each): [string, FieldChange] => [each.at, each]))(
    'is something else with another %s',
    async (_at, each) => {
      const without = await viewOf(each, each.from);
      expect(await viewOf(each, each.from), 'the same twice').toBe(without);
      expect((await viewOf(each, each.to)) === without, `${each.at} is ignored`).toBe(false);
    },
  );
});

describe('every field that is acted on', () => {
  test('has a change that shows, or a test by name, and none is proven that is not there', () => {
    const proven = [...changed, ...Object.keys(namedProofs)];
    expect(acted.filter((field) => !proven.includes(field))).toEqual([]);
    expect(Object.keys(namedProofs).filter((field) => !acted.includes(field))).toEqual([]);
    expect(Object.keys(namedProofs).filter((field) => changed.has(field))).toEqual([]);
  });

  test.each(Object.entries(namedProofs))(
    '%s: its test is there, and has the field',
    (field, { file, name }) => {
      expect(existsSync(file), file).toBe(true);
      const text = readFileSync(file, 'utf8');
      expect(text, `${file}: ${name}`).toContain(name);
      expect(text).toMatch(new RegExp(`\\b${field.split('.')[1] ?? ''}\\b`));
    },
  );
});
