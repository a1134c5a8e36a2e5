import type { JsonObject } from '#api/meta/object.ts';

/* Definitions as large and as deep as those that people install, written here. */

const text = { type: 'string', description: 'Says something about what it is for, in a sentence or two.' };
const count = { type: 'integer', format: 'int32', minimum: 0 };
const quantity = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  pattern: String.raw`^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$`,
  'x-kubernetes-int-or-string': true,
};

function object(properties: JsonObject, more: JsonObject = {}): JsonObject {
  return { type: 'object', properties, ...more };
}

function list(items: JsonObject, more: JsonObject = {}): JsonObject {
  return { type: 'array', items, ...more };
}

/** A container, with all that may be in it. */
function container(): JsonObject {
  const probe = object({
    exec: object({ command: list(text) }),
    httpGet: object(
      {
        host: text,
        path: text,
        port: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
      },
      { required: ['port'] },
    ),
    periodSeconds: count,
    failureThreshold: count,
  });
  const port = object(
    { containerPort: count, name: text, protocol: { type: 'string', default: 'TCP' } },
    { required: ['containerPort'] },
  );
  const amounts = { type: 'object', additionalProperties: quantity };
  return object(
    {
      name: text,
      image: text,
      args: list(text),
      env: list(object({ name: text, value: text }, { required: ['name'] }), {
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
      ports: list(port, {
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
      }),
      resources: object({ limits: amounts, requests: amounts }),
      livenessProbe: probe,
      readinessProbe: probe,
      startupProbe: probe,
    },
    { required: ['name'] },
  );
}

/** `depth` levels of alternatives within one another, as in what generates applications. */
function nested(depth: number): JsonObject {
  if (depth === 0) return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const inner = nested(depth - 1);
  return object({
    selector: object({ matchLabels: { type: 'object', additionalProperties: text } }),
    all: list(object({ any: inner })),
    values: inner,
  });
}

/** A definition with `breadth` parts like pods, and others as deep as `depth`; a hundred KiB for each of its parts. */
export function largeDefinition(
  name: string,
  { breadth, depth }: { breadth: number; depth: number },
): JsonObject {
  const pods = Object.fromEntries(
    Array.from({ length: breadth }, (_, index) => [
      `part${index}`,
      object({
        containers: list(container()),
        initContainers: list(container()),
        replicas: { ...count, default: 1 },
        mode: { type: 'string', enum: ['Fast', 'Slow'], default: 'Fast' },
        schedule: { type: 'string', format: 'duration' },
      }),
    ]),
  );
  const spec = object({ ...pods, generators: nested(depth), paused: { type: 'boolean' } });
  const condition = object({
    type: text,
    status: text,
    lastTransitionTime: { type: 'string', format: 'date-time' },
  });
  const conditions = list(condition, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });
  const withKey = { ...condition, required: ['type'] };
  const status = object({ conditions: { ...conditions, items: withKey }, replicas: count });
  const schema = object({ apiVersion: text, kind: text, metadata: { type: 'object' }, spec, status });
  const version = {
    served: true,
    schema: { openAPIV3Schema: schema },
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.part0.replicas', statusReplicasPath: '.status.replicas' },
    },
    additionalPrinterColumns: [
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    ],
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${name}s.large.example.com` },
    spec: {
      group: 'large.example.com',
      scope: 'Namespaced',
      names: { plural: `${name}s`, singular: name, kind: `K${name}`, listKind: `K${name}List` },
      versions: [
        { ...version, name: 'v1', storage: true },
        { ...version, name: 'v1beta1', storage: false, deprecated: true },
      ],
      conversion: { strategy: 'None' },
    },
    status: { storedVersions: ['v1'] },
  };
}
