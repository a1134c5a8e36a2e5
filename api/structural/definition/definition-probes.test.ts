import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { at, objectsOf } from '#api/wire/json.ts';

/* Each line of definition-probes.txt: a CustomResourceDefinition, and what a 1.36.2 said of it. */
interface Probe {
  readonly name: string;
  readonly definition: JsonObject;
  readonly message: string;
}

const probes = readFileSync(new URL('definition-probes.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Probe);
const kind = findKindByName('apiextensions.k8s.io/v1', 'CustomResourceDefinition');

describe('definitions are answered as kube-apiserver 1.36.2 does:', () => {
  test.each(probes)('$name', ({ definition, message }) => {
    if (kind === undefined) throw new Error('no kind');
    const object = applyDefaults(kind, decodeObject(kind, definition).object);
    const stored = objectsOf(at(object, 'spec.versions')).filter(({ storage }) => storage === true);
    const status = { storedVersions: stored.slice(0, 1).map(({ name }) => name) };
    const errors = validateCreate(kind, { ...object, status });
    const texts = errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
    const whole = texts.length > 1 ? `[${texts.join(', ')}]` : texts.join('');
    expect(whole).toBe(
      message.replace(/^CustomResourceDefinition\.apiextensions\.k8s\.io "[^"]*" is invalid: /, ''),
    );
  });
});
