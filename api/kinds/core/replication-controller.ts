import { templateLabels } from '#api/defaults/template-labels.ts';
import { requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, isObject, stringMapOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { replicationControllerCells } from '#api/table/workload.ts';
import { nonNegative } from '#api/validation/field.ts';
import { labelMismatch, statusCountErrors, stayingErrors } from '#api/validation/workload.ts';
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
    ...nonNegative(controller, ['spec.minReadySeconds']),
    ...(Object.keys(stringMapOf(at(controller, 'spec.selector'))).length === 0
      ? [requiredField('spec.selector')]
      : []),
    ...nonNegative(controller, ['spec.replicas']),
    ...templateErrors(controller),
  ],
  validateStatusUpdate: statusCountErrors({
    counts: ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'],
    parts: ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
    ready: 'cannot be greater than readyReplicas',
  }),
  validatesAll: true,
  selectableFields: [['status.replicas', (object) => String(at(object, 'status.replicas') ?? 0)]],
  propagation: { unsaid: 'Orphan' },
  hasPlainSelector: true,
  cells: (object, now) => replicationControllerCells(typed(object), now),
};

function templateErrors(controller: JsonObject): readonly FieldError[] {
  const template = at(controller, 'spec.template');
  if (!isObject(template)) return [requiredField('spec.template')];
  const labels = stringMapOf(at(template, 'metadata.labels'));
  const selector = Object.entries(stringMapOf(at(controller, 'spec.selector')));
  return [
    ...(selector.every(([key, value]) => labels[key] === value) ? [] : [labelMismatch(template)]),
    ...stayingErrors(template, 'controller'),
  ];
}
