import type { KindRules } from '#api/kinds/rules.ts';
import { formatTime } from '#api/time.ts';

/** Rules of PersistentVolumes. */
export const persistentVolumeRules: KindRules = {
  tracksGeneration: false,
  initialStatus: (_volume, { now }) => ({ phase: 'Pending', lastPhaseTransitionTime: formatTime(now) }),
};
