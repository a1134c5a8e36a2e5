import type { ClaimObjects } from './claim-objects.ts';
import { createLocalVolumes } from './local-volumes.ts';

/** What a pod's volumes may ask about claims, where there are none. */
export const noClaims: ClaimObjects = {
  claim: async () => undefined,
  persistentVolume: async () => undefined,
  node: async () => undefined,
  podsUsing: async () => [],
  noteMounted: async () => false,
  tellClaim: async (claim) => claim,
  localVolumes: createLocalVolumes({ directory: '/nonexistent', nodeName: 'n' }),
};
