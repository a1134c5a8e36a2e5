import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateCreate, validateUpdate } from './validation.ts';

const kind = findKindByName('networking.k8s.io/v1', 'IngressClass') ?? expect.unreachable();
const controller = 'example.com/ingress';
const parameters = { kind: 'Parameters', name: 'p' };

const ingressClass = (spec: JsonObject): JsonObject => ({
  ...applyDefaults(kind, { spec }),
  metadata: { name: 'i' },
});
const rendered = (errors: ReturnType<typeof validateCreate>): readonly string[] =>
  errors.map((error) => `${error.field}: ${renderFieldError(error)}`);

const rows: readonly {
  readonly name: string;
  readonly spec: JsonObject;
  readonly want: readonly string[];
}[] = [
  { name: 'nothing of a controller alone', spec: { controller }, want: [] },
  {
    name: 'nothing of parameters of the cluster',
    spec: { controller, parameters: { ...parameters, apiGroup: 'a.b' } },
    want: [],
  },
  {
    name: 'nothing of parameters in a namespace',
    spec: { controller, parameters: { ...parameters, scope: 'Namespace', namespace: 'n' } },
    want: [],
  },
  { name: 'no controller', spec: {}, want: ['spec.controller: Required value'] },
  {
    name: 'a controller without a domain',
    spec: { controller: 'nginx' },
    want: ['spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")'],
  },
  {
    name: 'a controller whose domain and path are none',
    spec: { controller: 'A_/b c' },
    want: [
      expect.stringMatching(/^spec.controller: Invalid value: "A_": a lowercase RFC 1123 subdomain must/),
      `spec.controller: Invalid value: "b c": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')`,
    ],
  },
  {
    name: 'a controller of 251 bytes',
    spec: { controller: `example.com/${'a'.repeat(239)}` },
    want: ['spec.controller: Too long: may not be more than 250 bytes'],
  },
  {
    name: 'parameters that name nothing',
    spec: { controller, parameters: { apiGroup: '' } },
    want: [
      expect.stringMatching(
        /^spec.parameters.apiGroup: Invalid value: "": a lowercase RFC 1123 subdomain must/,
      ),
      'spec.parameters.kind: Required value: kind is required',
      'spec.parameters.name: Required value: name is required',
    ],
  },
  {
    name: 'parameters whose names are paths',
    spec: { controller, parameters: { kind: 'a/b', name: '..' } },
    want: [
      `spec.parameters.kind: Invalid value: "a/b": may not contain '/'`,
      `spec.parameters.name: Invalid value: "..": may not be '..'`,
    ],
  },
  {
    name: 'a scope that is none',
    spec: { controller, parameters: { ...parameters, scope: 'Node' } },
    want: ['spec.parameters.scope: Unsupported value: "Node": supported values: "Cluster", "Namespace"'],
  },
  {
    name: 'a scope of the cluster with a namespace',
    spec: { controller, parameters: { ...parameters, namespace: 'n' } },
    want: ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
  },
  {
    name: 'a scope of a namespace without it',
    spec: { controller, parameters: { ...parameters, scope: 'Namespace' } },
    want: ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
  },
  {
    name: 'a scope of a namespace that is none',
    spec: { controller, parameters: { ...parameters, scope: 'Namespace', namespace: 'N' } },
    want: [
      expect.stringMatching(/^spec.parameters.namespace: Invalid value: "N": a lowercase RFC 1123 label/),
    ],
  },
];

describe('validateCreate() of an IngressClass', () => {
  it.each(rows)('says of $name', ({ spec, want }) => {
    expect(rendered(validateCreate(kind, ingressClass(spec)))).toEqual(want);
  });
});

describe('validateUpdate() of an IngressClass', () => {
  it('keeps the controller, and lets the parameters change', () => {
    const old = ingressClass({ controller });
    expect(rendered(validateUpdate(kind, old, ingressClass({ controller, parameters })))).toEqual([]);
    expect(rendered(validateUpdate(kind, old, ingressClass({ controller: 'example.com/other' })))).toEqual([
      'spec.controller: Invalid value: "example.com/other": field is immutable',
    ]);
  });
});
