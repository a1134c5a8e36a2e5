import { describe, expect, test } from 'vitest';
import { fieldErrorCause, renderFieldError } from '#api/errors/field-error.ts';
import { isObject } from '#api/wire/json.ts';
import { fillDefaults } from './defaults.ts';
import { observedSpecs, bigSchema } from './observed-values.fixture.ts';
import { parseSchema } from './parse.ts';
import { pruneObject } from './prune.ts';
import { validateObject } from './validate.ts';

const schema = parseSchema(bigSchema);

describe('objects are answered as kube-apiserver 1.36.2 does:', () => {
  test.each(observedSpecs)('$name', ({ spec, message, stored, causes }) => {
    const given = { apiVersion: 'crd.example.com/v1', kind: 'Big', metadata: { name: 'bx' }, spec };
    const object = fillDefaults(schema, pruneObject(schema, given).object);
    const errors = validateObject(schema, { object });
    const texts = errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
    // The order of a map's members is Go's, which is a random one.
    expect(texts.toSorted()).toEqual(partsOf(message).toSorted());
    if (message === '') expect(object['spec'] ?? null).toEqual(stored);
    if (causes !== undefined) {
      const said = errors.map(fieldErrorCause).map(({ reason, field }) => [reason, field]);
      expect(said.toSorted()).toEqual([...causes].toSorted());
    }
    expect(isObject(object)).toBe(true);
  });
});

/** The messages that were joined: each begins with a field. */
function partsOf(message: string): readonly string[] {
  if (message === '') return [];
  if (!message.startsWith('[')) return [message];
  return message.slice(1, -1).split(/, (?=(?:<nil>|[a-z]+(?:\.[a-zA-Z]+|\[\d+\])*): )/);
}
