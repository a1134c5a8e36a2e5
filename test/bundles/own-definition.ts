/**
 * A definition of the shapes that projects bring, for tests that have no bundle at hand: more than a megabyte, parts within parts, sixty rules
 * of CEL in each of three versions, lists that are maps, quantities, whole objects.
 */
import type { JsonObject } from '#api/meta/object.ts';
import type { RuleCase } from './rule-case.ts';

const group = 'own.example.com';
/** As controller-gen copies the comments of Go types. */
const description = 'Says what the field is for, in words that somebody reads who has never seen it. '.repeat(
  6,
);

const described = (schema: JsonObject): JsonObject => ({ description, ...schema });
const object = (properties: JsonObject, more: JsonObject = {}): JsonObject =>
  described({ type: 'object', properties, ...more });
const list = (items: JsonObject, more: JsonObject = {}): JsonObject =>
  described({ type: 'array', items, ...more });
const listMap = (keys: readonly string[], items: JsonObject): JsonObject =>
  list(items, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys, maxItems: 32 });
const text = (more: JsonObject = {}): JsonObject => described({ type: 'string', ...more });
const shortText = text({ maxLength: 63 });

const quantity = described({
  'x-kubernetes-int-or-string': true,
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  pattern: String.raw`^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$`,
});

export const ownRules: readonly RuleCase[] = [
  {
    message: 'a secret is named by name or by key, not by both',
    refused: { name: 'one', key: 'two' },
    allowed: { name: 'one' },
  },
  {
    message: 'steps have names of their own',
    refused: [
      { name: 'one', kind: 'Wait' },
      { name: 'one', kind: 'Run' },
    ],
    allowed: [
      { name: 'one', kind: 'Wait' },
      { name: 'two', kind: 'Wait' },
    ],
  },
  {
    message: 'one that waits has no image',
    refused: { name: 'one', kind: 'Wait', image: 'two' },
    allowed: { name: 'one', kind: 'Run', image: 'two' },
  },
  {
    message: 'the first comes before the last',
    refused: { first: '2026-01-02T00:00:00Z', last: '2026-01-01T00:00:00Z' },
    allowed: { first: '2026-01-01T00:00:00Z', last: '2026-01-02T00:00:00Z' },
  },
  { message: 'the class stays as it is', before: 'one', refused: 'two', allowed: 'one' },
  { message: 'only domain names are hosts', refused: ['192.0.2.1'], allowed: ['example.com'] },
];

/** As `ownRules` says them, by message. */
const rules: Readonly<Record<string, string>> = {
  'a secret is named by name or by key, not by both':
    '[has(self.name), has(self.key)].filter(x, x).size() <= 1',
  'steps have names of their own': 'self.all(a, self.exists_one(b, a.name == b.name))',
  'one that waits has no image': "self.kind == 'Wait' ? !has(self.image) : true",
  'the first comes before the last': '!has(self.first) || !has(self.last) || self.first < self.last',
  'the class stays as it is': 'self == oldSelf',
  'only domain names are hosts':
    'self.all(host, !isIP(host) && host.matches(r"""^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"""))',
};
const ruled = (schema: JsonObject, message: string): JsonObject => ({
  ...schema,
  'x-kubernetes-validations': [{ rule: rules[message], message }],
});

const secret = ruled(
  object({ name: shortText, key: shortText, optional: described({ type: 'boolean', default: false }) }),
  'a secret is named by name or by key, not by both',
);
const times = ruled(
  object({
    first: text({ format: 'date-time' }),
    last: text({ format: 'date-time' }),
    every: text({ pattern: '^(([0-9]{1,5}(h|m|s|ms)){1,4})$' }),
  }),
  'the first comes before the last',
);
const hosts = ruled(
  list(text({ minLength: 1, maxLength: 253 }), { maxItems: 16, 'x-kubernetes-list-type': 'set' }),
  'only domain names are hosts',
);

/** A part that has itself within, so many levels of two each. */
function term(levels: number): JsonObject {
  return object(
    {
      weight: described({ type: 'integer', format: 'int32', minimum: 1, maximum: 100 }),
      operator: text({ enum: ['In', 'NotIn', 'Exists'], default: 'In' }),
      labels: described({ type: 'object', additionalProperties: shortText, maxProperties: 8 }),
      ratio: described({ type: 'number', minimum: 0, exclusiveMinimum: true }),
      ...(levels === 0 ? {} : { terms: list(term(levels - 1), { maxItems: 4 }) }),
    },
    { required: ['operator'] },
  );
}

function step(): JsonObject {
  const parts = object({
    name: text({ minLength: 1, maxLength: 63, pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$' }),
    kind: text({ enum: ['Wait', 'Run'], default: 'Wait' }),
    image: shortText,
    env: listMap(['name'], object({ name: shortText, value: text(), from: secret }, { required: ['name'] })),
    ports: listMap(
      ['port', 'protocol'],
      object(
        {
          port: described({ type: 'integer', format: 'int32', minimum: 1, maximum: 65_535 }),
          protocol: text({ enum: ['TCP', 'UDP'], default: 'TCP' }),
        },
        { required: ['port'] },
      ),
    ),
    limits: described({ type: 'object', additionalProperties: quantity }),
    affinity: term(5),
    times,
    hosts,
    template: described({
      ...{ type: 'object', 'x-kubernetes-embedded-resource': true },
      'x-kubernetes-preserve-unknown-fields': true,
    }),
  });
  return ruled({ ...parts, required: ['name', 'kind'] }, 'one that waits has no image');
}

/** Names of lists of steps: what makes it large. */
const stages: readonly string[] = Array.from({ length: 12 }, (_none, index) => `stage${index}`);

function schema(): JsonObject {
  const steps = ruled(list(step(), { maxItems: 8 }), 'steps have names of their own');
  const spec = object(
    {
      class: ruled(shortText, 'the class stays as it is'),
      replicas: described({ type: 'integer', format: 'int32', minimum: 0, default: 1 }),
      ...Object.fromEntries(stages.map((stage) => [stage, steps])),
    },
    { required: ['class'] },
  );
  const status = object({
    replicas: described({ type: 'integer', format: 'int32' }),
    conditions: listMap(
      ['type'],
      object(
        { type: shortText, status: text({ enum: ['True', 'False', 'Unknown'] }), times },
        { required: ['type', 'status'] },
      ),
    ),
  });
  return {
    ...object({ apiVersion: text(), kind: text(), metadata: { type: 'object' }, spec, status }),
    required: ['spec'],
  };
}

export function ownDefinition(): JsonObject {
  const version = (name: string, served: boolean): JsonObject => ({
    name,
    served,
    storage: name === 'v1',
    schema: { openAPIV3Schema: schema() },
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
    },
    additionalPrinterColumns: [
      { name: 'Class', type: 'string', jsonPath: '.spec.class' },
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas', priority: 1 },
    ],
    selectableFields: [{ jsonPath: '.spec.class' }],
  });
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `pipelines.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'Pipeline', plural: 'pipelines', shortNames: ['pipe'], categories: ['own'] },
      versions: [version('v1', true), version('v1beta1', true), version('v1alpha1', false)],
    },
  };
}
