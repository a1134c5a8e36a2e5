import { at, objectsOf, typed, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import { refuseNodeWrite } from '#api/kinds/node-writes/node.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { joinTwins } from '#api/kinds/twin-fields.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nodeCells } from '#api/table/core.ts';
import { nodeWarnings } from '#api/warnings/address.ts';
import {
  taintErrors,
  validateNodeCreate,
  validateNodeStatus,
  validateNodeUpdate,
} from './node-validation.ts';

/** Rules of Nodes: kubelets register them with their status. */
export const nodeRules: KindRules = {
  effect: acted('control-plane/scheduler/scheduler.ts'),
  storageFolder: 'minions',
  defaults: [['status.allocatable', (status) => status['capacity']]],
  completeDefaults: (node) => joinTwins(node, { holder: 'spec', single: 'podCIDR', list: 'podCIDRs' }),
  admit: taintNode,
  refuseNode: refuseNodeWrite,
  tracksGeneration: false,
  keepsStatusOnCreate: true,
  validate: taintErrors,
  validateCreate: validateNodeCreate,
  validateUpdate: validateNodeUpdate,
  validateStatus: validateNodeStatus,
  validatesAll: true,
  warnings: nodeWarnings,
  selectableFields: [['spec.unschedulable', (node) => String(at(node, 'spec.unschedulable') === true)]],
  cells: (object, now) => nodeCells(typed(object), now),
};

/** New nodes are not ready before somebody says so. */
function taintNode(node: JsonObject): JsonObject {
  const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  const taints = objectsOf(at(node, 'spec.taints'));
  const has = taints.some(({ key, effect }) => key === taint.key && effect === taint.effect);
  return has ? node : withPath(node, 'spec.taints', [...taints, taint]);
}
