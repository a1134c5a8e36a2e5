import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of HorizontalPodAutoscalers, of both versions. */
export const horizontalPodAutoscalerRules: KindRules = {
  tracksGeneration: false,
};
