import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of VolumeAttachments. */
export const volumeAttachmentRules: KindRules = {
  tracksGeneration: false,
};
