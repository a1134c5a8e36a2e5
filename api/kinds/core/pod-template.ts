import type { KindRules } from '#api/kinds/rules.ts';
import { templateErrors } from '#api/validation/workload.ts';

/** Rules of PodTemplates. */
export const podTemplateRules: KindRules = {
  podTemplatePath: 'template',
  validate: (template) => templateErrors(template, 'template', []),
};
