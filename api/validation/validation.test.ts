import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeObject } from '#api/wire/decode.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { invalid } from '#api/errors/status.ts';
import { prepareUpdate } from '#api/strategy/strategy.ts';
import { created, kindOf } from './rules/rule-table.fixture.ts';
import { validateCreate, validateUpdate } from './validation.ts';

const observed: {
  readonly objects: Readonly<Record<string, { readonly in: JsonObject; readonly out: JsonObject }>>;
} = JSON.parse(readFileSync(new URL('../fixtures/defaults-observed-1.36.2.json', import.meta.url), 'utf8'));

function update(old: JsonObject, object: JsonObject): readonly string[] {
  const kind = kindOf(old);
  const next = prepareUpdate(kind, old, applyDefaults(kind, decodeObject(kind, object).object));
  return validateUpdate(kind, old, next).map((error) => `${error.field}: ${renderFieldError(error)}`);
}

describe('validateCreate()', () => {
  it.each(Object.entries(observed.objects))(
    'accepts what kube-apiserver accepted: %s',
    (_name, { in: given }) => {
      expect(validateCreate(kindOf(given), created(given))).toEqual([]);
    },
  );
});

describe('validateUpdate()', () => {
  it.each(Object.entries(observed.objects))('accepts no change: %s', (_name, { in: given }) => {
    const object = created(given);
    expect(validateUpdate(kindOf(given), object, object)).toEqual([]);
  });
});

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};
const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'p' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
};

/** Whole messages as kube-apiserver 1.36.2 answered (errors-observed). */
const messages: readonly { readonly name: string; readonly object: JsonObject; readonly want: string }[] = [
  {
    name: 'no name',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} },
    want: 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
  },
  {
    name: 'a prefix of names that ends in a dot',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a.x', generateName: 'a.' } },
    want: String.raw`ConfigMap "a.x" is invalid: metadata.generateName: Invalid value: "a.": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  },
  {
    name: 'a prefix of names that is too long',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', generateName: 'a'.repeat(254) } },
    want: `ConfigMap "x" is invalid: metadata.generateName: Invalid value: "${'a'.repeat(254)}": must be no more than 253 bytes`,
  },
  {
    name: 'bad name',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'A_b' } },
    want: String.raw`ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  },
  {
    name: 'many errors of a pod',
    object: {
      ...pod,
      spec: {
        restartPolicy: 'X',
        volumes: [{ name: 'v' }, { name: 'v' }],
        containers: [{ name: 'A' }],
      },
    },
    want: `Pod "p" is invalid: [spec.volumes[1].name: Duplicate value: "v", spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?'), spec.containers[0].image: Required value, spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never"]`,
  },
  {
    name: 'no containers',
    object: { ...pod, spec: {} },
    want: 'Pod "p" is invalid: spec.containers: Required value',
  },
  {
    name: 'selector and template disagree',
    object: withPath(deployment, 'spec.selector', { matchLabels: { a: 'c' } }),
    want: 'Deployment.apps "p" is invalid: spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
  },
];

describe('validateCreate() and invalid() give the observed message', () => {
  it.each(messages)('$name', ({ object, want }) => {
    const made = created(object);
    const { name = '' } = made['metadata'] as { readonly name?: string };
    expect(invalid(kindOf(object), name, validateCreate(kindOf(object), made)).message).toBe(want);
  });
});

const container = pod.spec.containers[0];

interface Case {
  readonly name: string;
  readonly object: JsonObject;
  readonly want: readonly string[];
}

const mounting = {
  ...deployment,
  kind: 'StatefulSet',
  spec: {
    ...deployment.spec,
    template: {
      ...deployment.spec.template,
      spec: { containers: [{ ...container, volumeMounts: [{ name: 'x', mountPath: '/x' }] }] },
    },
  },
};

const claimed = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };

const cases: readonly Case[] = [
  {
    name: 'mount of a claim that each pod of a StatefulSet gets',
    object: {
      ...mounting,
      spec: { ...mounting.spec, volumeClaimTemplates: [{ metadata: { name: 'x' }, spec: claimed }] },
    },
    want: [],
  },
  {
    name: 'mount of neither volume nor claim in a StatefulSet',
    object: {
      ...mounting,
      spec: { ...mounting.spec, volumeClaimTemplates: [{ metadata: { name: 'y' }, spec: claimed }] },
    },
    want: ['spec.template.spec.containers[0].volumeMounts[0].name: Not found: "x"'],
  },
  {
    name: 'mount of no volume',
    object: {
      ...pod,
      spec: { containers: [{ ...container, volumeMounts: [{ name: 'x', mountPath: '/x' }] }] },
    },
    want: ['spec.containers[0].volumeMounts[0].name: Not found: "x"'],
  },
  {
    name: 'request above limit',
    object: {
      ...pod,
      spec: { containers: [{ ...container, resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }] },
    },
    want: [
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ],
  },
  {
    name: 'two handlers in a probe',
    object: {
      ...pod,
      spec: {
        containers: [{ ...container, livenessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 1 } } }],
      },
    },
    want: ['spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type'],
  },
  {
    name: 'a label that is none',
    object: { ...pod, metadata: { name: 'p', labels: { 'a b': 'c' } } },
    want: [
      `metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    ],
  },
  {
    name: 'a Service without ports',
    object: { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: {} },
    want: ['spec.ports: Required value'],
  },
  {
    name: 'unnamed ports of a Service',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { ports: [{ port: 1 }, { port: 2 }] },
    },
    want: ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
  },
  {
    name: 'a relative path of an Ingress',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'i' },
      spec: {
        rules: [
          {
            http: {
              paths: [
                { path: 'x', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } },
              ],
            },
          },
        ],
      },
    },
    want: ['spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path'],
  },
  {
    name: 'a ConfigMap that is too large',
    object: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { a: 'x'.repeat(1_048_577) },
    },
    want: ['[]: Too long: may not be more than 1048576 bytes'],
  },
  {
    name: 'a TLS Secret without its key',
    object: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': '' },
    },
    want: ['data[tls.key]: Required value'],
  },
  {
    name: 'a value that is none of an enum',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { type: 'X', ports: [{ port: 1 }] },
    },
    want: [
      'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
  },
  {
    name: 'a port of an EndpointSlice that is none',
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 's' },
      addressType: 'IPv4',
      ports: [{ name: 'a', port: 80 }, { name: 'b', port: 70_000 }, {}],
      endpoints: [],
    },
    want: ['ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive'],
  },
  {
    name: 'a traffic distribution that is none',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { trafficDistribution: 'Near', ports: [{ port: 1 }] },
    },
    want: [
      'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    ],
  },
  {
    name: 'a binding without its role',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'b' },
      roleRef: { kind: 'Role' },
    },
    want: ['roleRef.name: Required value'],
  },
  ...[
    { kind: 'RoleBinding', want: [] },
    { kind: 'ClusterRoleBinding', want: ['subjects[0].namespace: Required value'] },
  ].map(({ kind, want }) => ({
    name: `a ${kind} of an account without its namespace`,
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind,
      metadata: { name: 'b' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'r' },
      subjects: [{ kind: 'ServiceAccount', name: 's' }],
    },
    want,
  })),
];

describe('validateCreate()', () => {
  it.each(cases)('complains of $name', ({ object, want }) => {
    const errors = validateCreate(kindOf(object), created(object));
    expect(errors.map((error) => `${error.field}: ${renderFieldError(error)}`)).toEqual(want);
  });
});

describe('validateUpdate()', () => {
  it('keeps the selector of a Deployment', () => {
    const changed = withPath(deployment, 'spec.selector', { matchLabels: { a: 'b', q: 'z' } });
    expect(update(created(deployment), changed)).toEqual([
      'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
      'spec.selector: Invalid value: {"matchLabels":{"a":"b","q":"z"}}: field is immutable',
    ]);
  });

  it('keeps the address of a Service', () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { ports: [{ port: 1 }] },
    };
    const moved = withPath(created(service), 'spec.clusterIP', '10.96.0.77');
    expect(update(created(service), withPath(moved, 'spec.clusterIPs', ['10.96.0.77']))).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.77"]: may not change once set',
    ]);
  });

  it('lets the images of a pod change, and nothing else', () => {
    const old = created(pod);
    const image = withPath(old, 'spec.containers', [{ ...container, image: 'j', imagePullPolicy: 'Always' }]);
    expect(update(old, image)).toEqual([]);
    expect(update(old, withPath(old, 'spec.dnsPolicy', 'Default'))).toEqual([
      expect.stringMatching(
        /^spec: Forbidden: pod updates may not change fields other than `spec\.containers/,
      ),
    ]);
  });

  it('names the fields of a StatefulSet that may change', () => {
    const set = { ...deployment, kind: 'StatefulSet' };
    expect(update(created(set), withPath(set, 'spec.serviceName', 'x'))).toEqual([
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ]);
  });

  it('keeps the data of an immutable ConfigMap', () => {
    const map = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      immutable: true,
      data: { a: '1' },
    };
    expect(update(created(map), { ...map, data: { a: '2' } })).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
  });
});
