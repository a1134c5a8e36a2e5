import { expect, test } from 'vitest';
import { validateDefinition } from '#api/kinds/apiextensions/definition-validation.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf } from '#api/wire/json.ts';
import { parseSchema } from './parse.ts';
import { largeDefinition } from './shapes.fixture.ts';
import { childSchemas, type StructuralSchema } from './structural-schema.ts';
import { valueErrors } from './validate.ts';

function schemaOf(definition: JsonObject): JsonObject {
  return objectOf(at((at(definition, 'spec.versions') as readonly unknown[])[0], 'schema.openAPIV3Schema'));
}

function partsOf(
  schema: StructuralSchema,
  found = new Set<StructuralSchema>(),
): ReadonlySet<StructuralSchema> {
  if (found.has(schema)) return found;
  found.add(schema);
  for (const child of childSchemas(schema)) partsOf(child, found);
  return found;
}

test('a definition as large as the largest is valid, and small once it is read', () => {
  const definition = largeDefinition('big', { breadth: 60, depth: 6 });
  const json = schemaOf(definition);
  expect(JSON.stringify(json).length).toBeGreaterThan(400_000);
  expect(validateDefinition(definition)).toEqual([]);
  const schema = parseSchema(json);
  expect(partsOf(schema).size).toBeLessThan(500);
  expect(valueErrors(schema, { spec: { part3: { mode: 'Odd' } } })).toMatchObject([
    { field: 'spec.part3.mode' },
  ]);
});

test('five hundred definitions are checked, and kept as what they say, in little time and memory', () => {
  const definition = largeDefinition('one', { breadth: 6, depth: 4 });
  const json = schemaOf(definition);
  const kept: StructuralSchema[] = [];
  const before = process.memoryUsage().heapUsed;
  const started = process.cpuUsage();
  for (let index = 0; index < 500; index++) {
    if (index % 5 === 0) expect(validateDefinition(definition)).toEqual([]);
    kept.push(parseSchema(json));
  }
  const { user, system } = process.cpuUsage(started);
  const bytes = process.memoryUsage().heapUsed - before;
  expect(kept).toHaveLength(500);
  // A fifth is checked here; all of it, with what a server does beside, is to take less than 20 s.
  expect((user + system) / 1e6).toBeLessThan(12);
  expect(bytes / 2 ** 20).toBeLessThan(150);
});
