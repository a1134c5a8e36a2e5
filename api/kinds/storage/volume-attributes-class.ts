import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of VolumeAttributesClasses. */
export const volumeAttributesClassRules: KindRules = {
  tracksGeneration: false,
};
