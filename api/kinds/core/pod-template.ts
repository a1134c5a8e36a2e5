import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of PodTemplates. */
export const podTemplateRules: KindRules = {
  podTemplatePath: 'template',
};
