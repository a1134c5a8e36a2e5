import { describe, expect, it } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { updatedMetaFaults, validateMeta } from './meta.ts';

const bare = 'name is neither a standard finalizer name nor is it fully qualified';

function complaints(finalizers: readonly string[], apiVersion = 'v1', name = 'ConfigMap'): readonly string[] {
  const kind = findKindByName(apiVersion, name) ?? expect.unreachable();
  const metadata = { name: 'x', ...(kind.namespaced ? { namespace: 'n' } : {}), finalizers };
  return validateMeta(kind, { metadata }).map((error) => `${error.field}: ${renderFieldError(error)}`);
}

describe('validateMeta() of finalizers', () => {
  it.each([
    [['foo'], [`metadata.finalizers[0]: Invalid value: "foo": ${bare}`]],
    [['a.b/c', 'bar'], [`metadata.finalizers[1]: Invalid value: "bar": ${bare}`]],
    [['orphan'], []],
    [['foregroundDeletion', 'kubernetes', 'a.b/c', 'kubernetes.io/pvc-protection'], []],
    [
      ['orphan', 'foregroundDeletion'],
      [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
      ],
    ],
    [['-x/y'], [expect.stringContaining('prefix part a lowercase RFC 1123 subdomain')]],
  ])('%j', (finalizers, want) => {
    expect(complaints(finalizers)).toEqual(want);
  });

  it('takes any qualified name for what kube-apiserver checks as custom resources', () => {
    const group = 'admissionregistration.k8s.io/v1';
    expect(complaints(['foo'], group, 'ValidatingWebhookConfiguration')).toEqual([]);
    expect(complaints(['foo'], 'rbac.authorization.k8s.io/v1', 'ClusterRole')).toHaveLength(1);
  });
});

describe('updatedMetaFaults()', () => {
  it('knows no new finalizers of what is being deleted', () => {
    const metadata = { name: 'x', deletionTimestamp: 't', finalizers: ['a.b/c'] };
    const more = { metadata: { ...metadata, finalizers: ['a.b/c', 'a.b/d'] } };
    const kind = findKindByName('v1', 'Namespace') ?? expect.unreachable();
    expect(updatedMetaFaults(kind, { metadata }, more).changes).toHaveLength(1);
  });
});
