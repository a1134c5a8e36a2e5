import { at, listOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { validateCsiNode, validateCsiNodeUpdate } from './csi-validation.ts';

/** Rules of CSINodes. */
export const csiNodeRules: KindRules = {
  effect: acted('control-plane/scheduler/plugins/volume-limits.ts'),
  updatesNameRevision: true,
  answersDeleteWithObject: true,
  refuseNode: ({ node, name }) =>
    name === node ? undefined : 'can only access CSINode with the same name as the requesting node',
  tracksGeneration: false,
  // kube-apiserver asks twice.
  updateChecks: ['metadata', 'object', 'metadata', 'object', 'changes'],
  validate: validateCsiNode,
  validateUpdate: validateCsiNodeUpdate,
  validatesAll: true,
  cells: (node, now) => [nameOf(node), listOf(at(node, 'spec.drivers')).length, ageOfObject(node, now)],
};
