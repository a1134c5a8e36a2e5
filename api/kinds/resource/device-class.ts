import { noDevices } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of DeviceClasses. */
export const deviceClassRules: KindRules = {
  effect: noDevices,
  answersDeleteWithObject: true,
};
