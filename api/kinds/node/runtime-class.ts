import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { validateRuntimeClass } from '#api/validation/runtime-class.ts';
import { nodeSelectorWarnings } from '#api/warnings/node-labels.ts';
import { at } from '#api/wire/json.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of RuntimeClasses. */
export const runtimeClassRules: KindRules = {
  effect: acted('agent/kubelet/sync/gather.ts'),
  updatesNameRevision: true,
  createdByUpdate: true,
  tracksGeneration: false,
  validate: validateRuntimeClass,
  validateUpdate: immutable('handler'),
  warnings: (runtime) =>
    nodeSelectorWarnings(at(runtime, 'scheduling.nodeSelector'), 'scheduling.nodeSelector'),
  cells: (runtime, now) => [nameOf(runtime), text(runtime, 'handler', ''), ageOfObject(runtime, now)],
};
