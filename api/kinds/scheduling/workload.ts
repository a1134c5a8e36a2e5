import type { FieldError } from '#api/errors/field-error.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { immutable, repeatedErrors } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors, pathSegment, requiredText } from '#api/validation/format.ts';
import { at, isObject, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import {
  countErrors,
  droppedWarnings,
  groupErrors,
  labelNameErrors,
  withoutDropped,
} from './pod-group-parts.ts';

/** WorkloadMaxPodGroupTemplates of scheduling.k8s.io/v1alpha2. */
const templatesMax = 8;
const templatesField = 'spec.podGroupTemplates';

/** Rules of Workloads: templates, of which whoever makes pods makes PodGroups. */
export const workloadRules: KindRules = {
  effect: acted('control-plane/apiserver/chain/admission/groups/pod-group-workload-exists.ts'),
  defaults: [[`${templatesField}[].disruptionMode`, 'Pod']],
  tracksGeneration: false,
  earlyWarnings: (workload) =>
    templatesOf(workload).flatMap((template, index) =>
      droppedWarnings(template, `${templatesField}[${index}]`),
    ),
  prepareCreate: withoutDroppedTemplates,
  prepareUpdate: (_old, workload) => withoutDroppedTemplates(workload),
  validate: (workload) => {
    const templates = templatesOf(workload);
    const fieldOf = (index: number): string => `${templatesField}[${index}]`;
    return [
      ...ownerErrors(at(workload, 'spec.controllerRef')),
      ...countErrors(templatesField, templates.length, templatesMax),
      ...templates
        .slice(0, templatesMax)
        .flatMap((template, index) => [
          ...labelNameErrors(`${fieldOf(index)}.name`, template['name']),
          ...groupErrors(template, fieldOf(index)),
        ]),
      ...repeatedErrors(
        templates.map(({ name }) => name),
        (index) => `${fieldOf(index)}.name`,
      ),
    ];
  },
  validateUpdate: (old, workload) => [
    ...(at(old, 'spec.controllerRef') === undefined ? [] : immutable('spec.controllerRef')(old, workload)),
    ...immutable(templatesField)(old, workload),
  ],
};

function templatesOf(workload: JsonObject): readonly JsonObject[] {
  return objectsOf(at(workload, templatesField));
}

function withoutDroppedTemplates(workload: JsonObject): JsonObject {
  const templates = templatesOf(workload);
  const kept = templates.map(withoutDropped);
  return kept.every((template, index) => template === templates[index])
    ? workload
    : withPath(workload, templatesField, kept);
}

/** What the groups are of, for those who want to know. */
function ownerErrors(reference: unknown): readonly FieldError[] {
  if (!isObject(reference)) return [];
  const path = 'spec.controllerRef';
  const group = stringOf(objectOf(reference)['apiGroup']);
  return [
    ...(group === '' ? [] : formatErrors(`${path}.apiGroup`, group, dnsSubdomain)),
    ...requiredText(reference, 'kind', path, pathSegment),
    ...requiredText(reference, 'name', path, pathSegment),
  ];
}
