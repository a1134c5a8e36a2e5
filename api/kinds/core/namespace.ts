import { at, listOf, objectOf, stringOf, typed, withPath, type Draft } from '#api/wire/json.ts';
import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { namespaceCells } from '#api/table/core.ts';
import { dnsLabel, formatErrors, qualifiedName } from '#api/validation/format.ts';

/** Rules of Namespaces: they go when their content is gone, and spec.finalizers stand for that. */
export const namespaceRules: KindRules = {
  effect: acted('control-plane/controllers/namespace/reconcile.ts'),
  completeDefaults: labelNamespace,
  defaultsFollowName: true,
  namesItsNamespace: true,
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Active' }),
  prepareCreate: (namespace) => withPath(namespace, 'spec.finalizers', ['kubernetes']),
  prepareUpdate: (old, namespace) => withPath(namespace, 'spec.finalizers', at(old, 'spec.finalizers')),
  nameFormat: dnsLabel,
  validateStatus: phaseErrors,
  refuseDeletion: (name) => (immortal.has(name) ? 'this namespace may not be deleted' : undefined),
  markDeleted: (marked) => {
    const { deletionGracePeriodSeconds: _none, ...metadata } = objectOf(marked['metadata']);
    return withPath({ ...marked, metadata }, 'status.phase', 'Terminating');
  },
  holdsDeletion: (namespace) => listOf(at(namespace, 'spec.finalizers')).length > 0,
  parts: {
    finalize: {
      write: (old, namespace) => withPath(old, 'spec.finalizers', at(namespace, 'spec.finalizers')),
      validate: (_old, namespace) => finalizerErrors(namespace),
    },
  },
  reset: { finalize: { only: ['spec.finalizers'] } },
  selectableFields: ['status.phase'],
  cells: (object, now) => namespaceCells(typed(object), now),
};

function finalizerErrors(namespace: JsonObject): readonly FieldError[] {
  const standard = ['kubernetes', 'orphan', 'foregroundDeletion'];
  return listOf(at(namespace, 'spec.finalizers')).flatMap((value, index) => {
    const [field, text] = [`spec.finalizers[${index}]`, stringOf(value)];
    const errors = formatErrors(field, text, qualifiedName);
    return text.includes('/') || standard.includes(text)
      ? errors
      : [
          ...errors,
          invalidField(field, text, 'name is neither a standard finalizer name nor is it fully qualified'),
        ];
  });
}

/** The phase says whether it goes, and nothing else does. */
function phaseErrors(namespace: JsonObject): readonly FieldError[] {
  const goes = at(namespace, 'metadata.deletionTimestamp') !== undefined;
  const phase = at(namespace, 'status.phase');
  const wanted = goes ? 'Terminating' : 'Active';
  const detail = `may only be '${wanted}' if \`deletionTimestamp\` is ${goes ? 'not ' : ''}empty`;
  return phase === wanted ? [] : [invalidField('status.Phase', phase ?? '', detail)];
}

const immortal: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

function labelNamespace(namespace: Draft): void {
  const metadata = objectOf(namespace['metadata']);
  if (typeof metadata['name'] !== 'string' || metadata['name'] === '') return;
  const labels = { ...objectOf(metadata['labels']), 'kubernetes.io/metadata.name': metadata['name'] };
  namespace['metadata'] = { ...metadata, labels };
}
