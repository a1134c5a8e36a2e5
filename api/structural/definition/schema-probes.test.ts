import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import { validateDefinition } from '#api/kinds/apiextensions/definition-validation.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { unknownFormats } from './formats.ts';

/* Each line of schema-probes.txt: a schema, of `spec` or the whole (`root`), what the version has beside it, and what a 1.36.2 said. */
interface Probe {
  readonly root?: JsonObject;
  readonly spec?: JsonObject;
  readonly version?: JsonObject;
  readonly message: string;
  readonly warning?: string;
}

const probes = readFileSync(new URL('schema-probes.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Probe);

function schemaOf({ root, spec }: Probe): JsonObject {
  const status = { type: 'object', properties: { r: { type: 'integer' } } };
  return root ?? { type: 'object', properties: { spec, status } };
}

function definitionOf(probe: Probe): JsonObject {
  const version = {
    name: 'v1',
    served: true,
    storage: true,
    schema: { openAPIV3Schema: schemaOf(probe) },
    ...probe.version,
  };
  const names = { plural: 'ts', singular: 't', kind: 'T', listKind: 'TList' };
  return {
    metadata: { name: 'ts.crd.example.com' },
    spec: {
      group: 'crd.example.com',
      scope: 'Namespaced',
      names,
      versions: [version],
      conversion: { strategy: 'None' },
    },
    status: { storedVersions: [version.name] },
  };
}

describe('schemas are answered as kube-apiserver 1.36.2 does:', () => {
  test.each(probes.map((probe) => [JSON.stringify(probe.root ?? probe.spec), probe] as const))(
    '%s',
    (_, probe) => {
      const errors = validateDefinition(definitionOf(probe)).map(
        (error) => `${error.field}: ${renderFieldError(error)}`,
      );
      expect(errors.length > 1 ? `[${errors.join(', ')}]` : errors.join('')).toBe(probe.message);
      const warnings = unknownFormats(schemaOf(probe)).map((format) => `unrecognized format "${format}"`);
      const wanted = probe.warning?.startsWith('unrecognized') ? [probe.warning] : [];
      expect(warnings).toEqual(wanted);
    },
  );
});
