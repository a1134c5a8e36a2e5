import { describe, expect, it } from 'vitest';
import { invalid, statusOf } from '#api/errors/status.ts';
import { findKindByName, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateUpdate } from '#api/validation/validation.ts';
import { at, listOf } from '#api/wire/json.ts';

const long = 'm'.repeat(129);
const managed = [{ manager: long, operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' }];
const tooLong = 'metadata.managedFields[0].manager: Too long: may not be more than 128 bytes';
const badLabel = { labels: { a: 'b c' } };

function answer(kind: Kind, old: JsonObject, object: JsonObject, subresource?: string) {
  const { status } = statusOf(invalid(kind, 'x', validateUpdate(kind, old, object, subresource)));
  const causes = listOf(at(status, 'details.causes')).map((cause) => at(cause, 'field'));
  return { message: (status.message ?? '').replace(/^.*? is invalid: /, ''), causes };
}

const names = (plural: string): JsonObject => ({ plural, singular: 'w', kind: 'W', listKind: 'WList' });

function kindOf(apiVersion: string, name: string): Kind {
  return findKindByName(apiVersion, name) ?? expect.unreachable();
}

function metaOf(kind: Kind, more: JsonObject = {}): JsonObject {
  return { name: 'x', ...(kind.namespaced ? { namespace: 'n' } : {}), uid: 'u', ...more };
}

/** Seen on kube-apiserver 1.36.2: apply-observed. */
describe('causes of an update that leaves wrong metadata', () => {
  const configMap = kindOf('v1', 'ConfigMap');

  it('are as many as there are checks', () => {
    const old = { metadata: metaOf(configMap) };
    const object = { metadata: metaOf(configMap, { managedFields: managed }) };
    const field = 'metadata.managedFields[0].manager';
    expect(answer(configMap, old, object)).toEqual({
      message: tooLong,
      causes: [field, field, field, field],
    });
  });

  it('are two of what may not change', () => {
    const old = { metadata: metaOf(configMap) };
    expect(answer(configMap, old, { metadata: metaOf(configMap, { uid: 'v' }) })).toEqual({
      message: 'metadata.uid: Invalid value: "v": field is immutable',
      causes: ['metadata.uid', 'metadata.uid'],
    });
  });

  it.each([
    ['v1', 'LimitRange', 3],
    ['v1', 'ConfigMap', 4],
    ['networking.k8s.io/v1', 'NetworkPolicy', 3],
    ['networking.k8s.io/v1', 'ServiceCIDR', 3],
    ['rbac.authorization.k8s.io/v1', 'Role', 4],
    ['storage.k8s.io/v1', 'CSINode', 4],
  ] as const)('of %s %s', (apiVersion, name, count) => {
    const kind = kindOf(apiVersion, name);
    const { causes } = answer(kind, { metadata: metaOf(kind) }, { metadata: metaOf(kind, badLabel) });
    expect(causes).toEqual(Array.from({ length: count }, () => 'metadata.labels'));
  });

  it('of a status', () => {
    const kind = kindOf('apps/v1', 'Deployment');
    const { causes } = answer(
      kind,
      { metadata: metaOf(kind) },
      { metadata: metaOf(kind, badLabel) },
      'status',
    );
    expect(causes).toEqual(['metadata.labels', 'metadata.labels', 'metadata.labels']);
  });
});

describe('the order of what is said of an update', () => {
  it.each([
    {
      name: 'of a Secret what changed comes first',
      kind: kindOf('v1', 'Secret'),
      old: { type: 'Opaque', data: {} },
      object: { type: 'kubernetes.io/tls', data: {} },
      want: ['type', 'data[tls.crt]', 'data[tls.key]'],
    },
    {
      name: 'of a ConfigMap too',
      kind: kindOf('v1', 'ConfigMap'),
      old: { immutable: true, data: { a: 'b' } },
      object: { immutable: true, data: { 'a b': 'b' } },
      want: ['data', 'data[a b]'],
    },
    {
      name: 'of an IngressClass too',
      kind: kindOf('networking.k8s.io/v1', 'IngressClass'),
      old: { spec: { controller: 'a.b/c' } },
      object: { spec: { controller: 'x' } },
      want: ['spec.controller', 'spec.controller'],
    },
    {
      name: 'of a class of priorities nothing but what changed',
      kind: kindOf('scheduling.k8s.io/v1', 'PriorityClass'),
      old: { value: 1, preemptionPolicy: 'Never' },
      object: { value: 2_000_000_000, preemptionPolicy: 'Never' },
      want: ['value'],
    },
    {
      name: 'of a StorageClass what is wrong comes first',
      kind: kindOf('storage.k8s.io/v1', 'StorageClass'),
      old: { provisioner: 'a', reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
      object: { provisioner: '', reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
      want: ['provisioner', 'provisioner'],
    },
    {
      name: 'of a claim for devices nothing but that it changed',
      kind: kindOf('resource.k8s.io/v1', 'ResourceClaim'),
      old: { spec: { devices: {} } },
      object: { spec: { devices: { requests: [{ name: 'A' }] } } },
      want: ['spec'],
    },
    {
      name: 'of a definition what changed comes before what its status says',
      kind: kindOf('apiextensions.k8s.io/v1', 'CustomResourceDefinition'),
      old: { spec: { group: 'a.b', scope: 'Cluster', names: names('ws'), versions: [] } },
      object: { spec: { group: 'a.c', scope: 'X', names: names('ws'), versions: [] } },
      want: [
        'spec.scope',
        'spec.versions',
        'spec.conversion.strategy',
        'spec.group',
        'status.storedVersions',
      ],
    },
    {
      name: 'of a VolumeAttachment what is wrong is said twice',
      kind: kindOf('storage.k8s.io/v1', 'VolumeAttachment'),
      old: { spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } } },
      object: { spec: { attacher: '', nodeName: 'n', source: { persistentVolumeName: 'v' } } },
      want: ['spec.attacher', 'spec.attacher', 'spec'],
    },
  ])('$name', ({ kind, old, object, want }) => {
    const metadata = metaOf(kind);
    expect(answer(kind, { metadata, ...old }, { metadata, ...object }).causes).toEqual(want);
  });
});
