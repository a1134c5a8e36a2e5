import { typed } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { podTemplateCells } from '#api/table/workload.ts';
import { templateErrors } from '#api/validation/workload.ts';

/** Rules of PodTemplates. */
export const podTemplateRules: KindRules = {
  podTemplatePath: 'template',
  validate: (template) => templateErrors(template, 'template', []),
  answersDeleteWithObject: true,
  cells: (object) => podTemplateCells(typed(object)),
};
