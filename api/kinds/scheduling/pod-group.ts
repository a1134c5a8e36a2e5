import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { immutable } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { at, isObject, objectOf, stringOf } from '#api/wire/json.ts';
import { droppedWarnings, groupErrors, labelNameErrors, withoutDropped } from './pod-group-parts.ts';

/** Rules of PodGroups. */
export const podGroupRules: KindRules = {
  effect: acted('control-plane/scheduler/gang/pod-groups.ts'),
  defaults: [['spec.disruptionMode', 'Pod']],
  tracksGeneration: false,
  earlyWarnings: (group) => droppedWarnings(objectOf(group['spec']), 'spec'),
  prepareCreate: withoutDroppedSpec,
  prepareUpdate: (_old, group) => withoutDroppedSpec(group),
  validate: (group) => {
    const spec = objectOf(group['spec']);
    return [...referenceErrors(spec['podGroupTemplateRef']), ...groupErrors(spec, 'spec')];
  },
  validateUpdate: (old, group) => settled.flatMap((field) => immutable(`spec.${field}`)(old, group)),
};

/** What stays as it was created: all that there is. */
const settled = [
  ...['podGroupTemplateRef', 'schedulingPolicy', 'disruptionMode', 'priorityClassName', 'priority'],
];

function withoutDroppedSpec(group: JsonObject): JsonObject {
  const spec = objectOf(group['spec']);
  const kept = withoutDropped(spec);
  return kept === spec ? group : { ...group, spec: kept };
}

function referenceErrors(reference: unknown): readonly FieldError[] {
  if (!isObject(reference)) return [];
  const path = 'spec.podGroupTemplateRef';
  const { workload } = reference;
  if (!isObject(workload)) return [invalidField(path, '', 'must specify one of: `workload`')];
  const name = stringOf(at(workload, 'workloadName'));
  const field = `${path}.workload.workloadName`;
  return [
    ...(name === '' ? [requiredField(field)] : formatErrors(field, name, dnsSubdomain)),
    ...labelNameErrors(`${path}.workload.podGroupTemplateName`, workload['podGroupTemplateName']),
  ];
}
