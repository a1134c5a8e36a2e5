import { describe, expect, it } from 'vitest';
import { at, isObject, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { kinds } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { encodeOpenApiV2, openApiV2Document } from './openapi-v2.ts';
import { openApiV3Document, openApiV3Index } from './openapi-v3.ts';
import { ProtobufReader } from '#api/wire/protobuf-reader.ts';
import { builtInVersions } from '#api/schema/served-version.ts';

/** Every `$ref` below a value. */
function refsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(refsOf);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, child]) =>
    // JSONSchemaProps has a property of that name, which is no reference.
    key === '$ref' && typeof child === 'string' ? [child] : refsOf(child),
  );
}

const documents = builtInVersions.map((gv) => {
  const { text } = openApiV3Document(gv);
  return [`${gv.group}/${gv.version}`, JSON.parse(text) as JsonObject] as const;
});

describe('openApiV3Document()', () => {
  it.each(documents)('has every schema that it refers to: %s', (_name, document) => {
    const schemas = objectOf(at(document, 'components.schemas'));
    const missing = refsOf(document).filter(
      (ref) => schemas[ref.replace('#/components/schemas/', '')] === undefined,
    );
    expect(missing).toEqual([]);
  });

  it.each(documents)('marks every PATCH as kubectl asks: %s', (_name, document) => {
    const patches = Object.values(objectOf(document['paths']))
      .map((item) => at(item, 'patch'))
      .filter(isObject);
    for (const patch of patches) {
      expect(patch['x-kubernetes-group-version-kind']).toMatchObject({ kind: expect.any(String) });
      const names = objectsOf(patch['parameters']).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(['dryRun', 'fieldManager', 'fieldValidation', 'force']));
      expect(objectOf(at(patch, 'requestBody.content'))).toHaveProperty([
        'application/strategic-merge-patch+json',
      ]);
    }
  });

  it('has a path for every verb of every kind', () => {
    const paths = new Set(documents.flatMap(([, document]) => Object.keys(objectOf(document['paths']))));
    for (const kind of kinds.filter(({ verbs }) => verbs.includes('get'))) {
      const root = kind.group === '' ? '/api/v1' : `/apis/${kind.group}/${kind.version}`;
      expect(paths).toContain(
        `${root}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.resource}/{name}`,
      );
    }
  });

  it('gives no operation twice', () => {
    const ids = documents.flatMap(([, document]) =>
      Object.values(objectOf(document['paths'])).flatMap((item) =>
        Object.values(objectOf(item)).flatMap((operation) => stringOf(at(operation, 'operationId')) || []),
      ),
    );
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it('carries the markers of strategic merge', () => {
    const [, core = {}] = documents.find(([name]) => name === '/v1') ?? [];
    const properties = objectOf(
      at(core, ['components', 'schemas', 'io.k8s.api.core.v1.PodSpec', 'properties']),
    );
    expect(properties['containers']).toEqual({
      description: expect.stringMatching(/^List of containers belonging to the pod\./),
      type: 'array',
      items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-patch-strategy': 'merge',
    });
    const [, apps = {}] = documents.find(([name]) => name === 'apps/v1') ?? [];
    const deployment = at(apps, ['components', 'schemas', 'io.k8s.api.apps.v1.Deployment']);
    expect(at(deployment, 'x-kubernetes-group-version-kind')).toEqual([
      { group: 'apps', kind: 'Deployment', version: 'v1' },
    ]);
    const strategy = at(apps, [
      'components',
      'schemas',
      'io.k8s.api.apps.v1.DeploymentSpec',
      'properties',
      'strategy',
    ]);
    expect(strategy).toEqual({
      description: 'The deployment strategy to use to replace existing pods with new ones.',
      allOf: [{ $ref: '#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy' }],
      'x-kubernetes-patch-strategy': 'retainKeys',
    });
  });
});

describe('openApiV3Index()', () => {
  it('leads to every document by its hash', () => {
    const hashes = new Map(builtInVersions.map((served, index) => [served, { hash: `HASH${index}` }]));
    const paths = objectOf(openApiV3Index(hashes)['paths']);
    expect(Object.keys(paths)).toHaveLength(builtInVersions.length);
    const apps = builtInVersions.findIndex(({ group }) => group === 'apps');
    expect(paths['apis/apps/v1']).toEqual({ serverRelativeURL: `/openapi/v3/apis/apps/v1?hash=HASH${apps}` });
  });
});

describe('openApiV2Document() and encodeOpenApiV2()', () => {
  const document = openApiV2Document(builtInVersions);

  it('has every definition that it refers to', () => {
    const definitions = objectOf(document['definitions']);
    const refs = [...new Set(refsOf(document))];
    expect(refs.filter((ref) => definitions[ref.replace('#/definitions/', '')] === undefined)).toEqual([]);
  });

  it('says what types and fields are, as v3 does', () => {
    const spec = objectOf(at(document, ['definitions', 'io.k8s.api.apps.v1.DeploymentSpec']));
    expect(spec['description']).toBe(
      'DeploymentSpec is the specification of the desired behavior of the Deployment.',
    );
    expect(at(spec, 'properties.strategy')).toEqual({
      $ref: '#/definitions/io.k8s.api.apps.v1.DeploymentStrategy',
      description: 'The deployment strategy to use to replace existing pods with new ones.',
      'x-kubernetes-patch-strategy': 'retainKeys',
    });
    expect(Buffer.from(encodeWhole(document)).includes('The deployment strategy to use to replace')).toBe(
      true,
    );
  });

  it('stays short enough for clients that ask for it at every command', () => {
    expect(JSON.stringify(document).length).toBeLessThan(documentBytesMax);
    const longest = Math.max(...builtInVersions.map((served) => openApiV3Document(served).text.length));
    expect(longest).toBeLessThan(documentBytesMax);
  });

  it('encodes all paths and definitions', () => {
    const reader = new ProtobufReader(encodeWhole(document));
    const counts = new Map<number, number>();
    while (!reader.isAtEnd) {
      const { field, wire } = reader.readTag();
      if (field !== 8 && field !== 9) {
        reader.skip(wire);
        continue;
      }
      const inner = reader.readMessage();
      while (!inner.isAtEnd) {
        inner.skip(inner.readTag().wire);
        counts.set(field, (counts.get(field) ?? 0) + 1);
      }
    }
    expect(counts.get(8)).toBe(Object.keys(objectOf(document['paths'])).length);
    expect(counts.get(9)).toBe(Object.keys(objectOf(document['definitions'])).length);
  });
});

/** kubectl before 1.27 reads v2 at each apply, later ones the group version of what they apply. */
const documentBytesMax = 2_000_000;

function encodeWhole(document: JsonObject): Uint8Array {
  const steps = encodeOpenApiV2(document);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
