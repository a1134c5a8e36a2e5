import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, objectOf, stringMapOf, typed, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { replicationControllerCells } from '#api/table/workload.ts';
import { nonNegative } from '#api/validation/field.ts';
import { templateErrors } from '#api/validation/workload.ts';
import { newNameWarnings } from '#api/warnings/name.ts';

/** Rules of ReplicationControllers: their selector is a map. */
export const replicationControllerRules: KindRules = {
  effect: acted('control-plane/controllers/replicaset/reconcile.ts'),
  storageFolder: 'controllers',
  defaults: [
    ['spec.replicas', 1],
    ['spec.selector', (_spec, object) => templateLabels(object)],
    ['metadata.labels', (_metadata, object) => templateLabels(object)],
  ],
  podSpec: { path: 'spec.template.spec', isTemplate: true },
  warnings: newNameWarnings,
  validate: (controller) => [
    ...selectorMapErrors(controller),
    ...nonNegative(controller, ['spec.replicas', 'spec.minReadySeconds']),
    ...templateErrors(controller, 'spec.template', { restartPolicies: ['Always'] }),
  ],
  selectableFields: [['status.replicas', (object) => String(at(object, 'status.replicas') ?? 0)]],
  propagation: { unsaid: 'Orphan' },
  hasPlainSelector: true,
  cells: (object, now) => replicationControllerCells(typed(object), now),
};

function templateLabels(object: Draft): unknown {
  const labels = objectOf(at(object, 'spec.template.metadata.labels'));
  return Object.keys(labels).length === 0 ? undefined : { ...labels };
}

function selectorMapErrors(controller: JsonObject): readonly FieldError[] {
  const selector = stringMapOf(at(controller, 'spec.selector'));
  if (Object.keys(selector).length === 0) return [requiredField('spec.selector')];
  const labels = stringMapOf(at(controller, 'spec.template.metadata.labels'));
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
    ? []
    : [invalidField('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')];
}
