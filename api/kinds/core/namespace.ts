import { at, listOf, objectOf, stringMapOf, typed, withPath, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { namespaceCells } from '#api/table/core.ts';
import { dnsLabel } from '#api/validation/format.ts';

/** Rules of Namespaces: they go when their content is gone, and spec.finalizers stand for that. */
export const namespaceRules: KindRules = {
  effect: acted('control-plane/controllers/namespace/reconcile.ts'),
  unactedParts: [
    {
      part: 'labels pod-security.kubernetes.io/*',
      what: 'pods are not checked against Pod Security Standards',
      find: (namespace) =>
        Object.keys(stringMapOf(at(namespace, 'metadata.labels')))
          .filter((label) => podSecurity.test(label))
          .map((label) => `metadata.labels[${label}]`),
    },
  ],
  completeDefaults: labelNamespace,
  defaultsFollowName: true,
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Active' }),
  prepareCreate: (namespace) => withPath(namespace, 'spec.finalizers', ['kubernetes']),
  prepareUpdate: (old, namespace) => withPath(namespace, 'spec.finalizers', at(old, 'spec.finalizers')),
  nameFormat: dnsLabel,
  refuseDeletion: (name) => (immortal.has(name) ? 'this namespace may not be deleted' : undefined),
  markDeleted: (marked) => {
    const { deletionGracePeriodSeconds: _none, ...metadata } = objectOf(marked['metadata']);
    return withPath({ ...marked, metadata }, 'status.phase', 'Terminating');
  },
  holdsDeletion: (namespace) => listOf(at(namespace, 'spec.finalizers')).length > 0,
  parts: {
    finalize: {
      write: (old, namespace) => withPath(old, 'spec.finalizers', at(namespace, 'spec.finalizers')),
    },
  },
  selectableFields: ['status.phase'],
  cells: (object, now) => namespaceCells(typed(object), now),
};

const immortal: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

function labelNamespace(namespace: Draft): void {
  const metadata = objectOf(namespace['metadata']);
  if (typeof metadata['name'] !== 'string' || metadata['name'] === '') return;
  const labels = { ...objectOf(metadata['labels']), 'kubernetes.io/metadata.name': metadata['name'] };
  namespace['metadata'] = { ...metadata, labels };
}

const podSecurity = /^pod-security\.kubernetes\.io\/(enforce|warn|audit)(-version)?$/;
