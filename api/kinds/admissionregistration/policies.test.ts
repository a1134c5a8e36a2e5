import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateMutatingPolicy, validateValidatingPolicy } from './policy-validation.ts';

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly spec: JsonObject;
  readonly errors: string;
}

/** As kube-apiserver 1.36.2 answered. */
const rows = JSON.parse(
  readFileSync(`${import.meta.dirname}/policies-observed-1.36.2.json`, 'utf8'),
) as readonly Row[];

describe('policies that are written', () => {
  it.each(rows.map((row) => [`${row.kind}: ${row.name}`, row] as const))(
    '%s is answered as a real server does',
    (_, { kind, spec, errors }) => {
      const validate = kind.startsWith('V') ? validateValidatingPolicy : validateMutatingPolicy;
      const found = validate({ metadata: { name: 'bad' }, spec });
      const texts = found.map((error) => `${error.field}: ${renderFieldError(error)}`);
      expect(texts.length > 1 ? `[${texts.join(', ')}]` : (texts[0] ?? '')).toBe(errors);
    },
  );
});
