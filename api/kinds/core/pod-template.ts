import { objectOf, typed } from '#api/wire/json.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { podTemplateCells } from '#api/table/workload.ts';
import { validateTemplate } from '#api/validation/pod/pod.ts';

/** Rules of PodTemplates. */
export const podTemplateRules: KindRules = {
  effect: inert('a template to copy from; no controller of Kubernetes reads it'),
  podSpec: { path: 'template.spec', isTemplate: true },
  updateChecks: ['metadata changes', 'object'],
  validate: (template) => validateTemplate(objectOf(template['template']), 'template'),
  validatesAll: true,
  answersDeleteWithObject: true,
  cells: (object) => podTemplateCells(typed(object)),
};
