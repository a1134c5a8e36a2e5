import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of FlowSchemas. */
export const flowSchemaRules: KindRules = {
  defaults: [['spec.matchingPrecedence', 1000, 'zero']],
};
