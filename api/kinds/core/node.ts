import { forbiddenField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, objectsOf, stringOf, typed, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nodeCells } from '#api/table/core.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

/** Rules of Nodes: kubelets register them with their status. */
export const nodeRules: KindRules = {
  effect: acted('control-plane/scheduler/scheduler.ts'),
  storageFolder: 'minions',
  defaults: [
    ['status.allocatable', (status) => status['capacity']],
    ['spec.podCIDRs', (spec) => (stringOf(spec['podCIDR']) === '' ? undefined : [spec['podCIDR']])],
  ],
  admit: taintNode,
  refuseNode: ({ node, name }) =>
    `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(name)}`,
  tracksGeneration: false,
  keepsStatusOnCreate: true,
  validate: (node) => taintErrors(objectsOf(at(node, 'spec.taints'))),
  validateUpdate: (old, node) =>
    stringOf(at(old, 'spec.podCIDR')) === '' || equalJson(at(old, 'spec.podCIDRs'), at(node, 'spec.podCIDRs'))
      ? []
      : [forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')],
  selectableFields: [['spec.unschedulable', (node) => String(at(node, 'spec.unschedulable') === true)]],
  cells: (object, now) => nodeCells(typed(object), now),
};

function taintErrors(taints: readonly JsonObject[]): readonly FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const key = `${stringOf(taint['key'])}:${stringOf(taint['effect'])}`;
    const field = `spec.taints[${index}]`;
    const errors =
      stringOf(taint['key']) === ''
        ? []
        : formatErrors(`${field}.key`, stringOf(taint['key']), qualifiedName);
    const isDuplicate = seen.has(key);
    seen.add(key);
    if (!isDuplicate) return errors;
    return [
      ...errors,
      {
        type: 'Duplicate',
        field,
        value: taint,
        detail: 'taints must be unique by key and effect pair',
      } as const,
    ];
  });
}

/** New nodes are not ready before somebody says so. */
function taintNode(node: JsonObject): JsonObject {
  const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  const taints = objectsOf(at(node, 'spec.taints'));
  const has = taints.some(({ key, effect }) => key === taint.key && effect === taint.effect);
  return has ? node : withPath(node, 'spec.taints', [...taints, taint]);
}
