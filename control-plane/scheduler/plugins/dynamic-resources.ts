import { podClaimKeys } from '#api/device/pod-claims.ts';
import type { Pod } from '#api/generated/objects.ts';
import { deviceClaimsFor, planDevices } from '#control-plane/scheduler/devices/plan-claims.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

function hasClaims({ spec }: Pod): boolean {
  return (spec?.resourceClaims ?? []).length > 0;
}

/** A pod goes where its claims have devices, or can be given some. */
export const dynamicResourcesFilter: FilterPlugin = {
  name: 'DynamicResources',
  refuseAll: ({ pod, snapshot: { devices } }) => {
    if (!hasClaims(pod)) return undefined;
    if (devices === undefined) return 'resourceclaims are not known';
    const claims = deviceClaimsFor(pod, devices);
    return typeof claims === 'string' ? claims : undefined;
  },
  filter: ({ pod, snapshot: { devices } }) => {
    if (devices === undefined || !hasClaims(pod)) return undefined;
    const claims = deviceClaimsFor(pod, devices);
    if (typeof claims === 'string') return () => [claims];
    return ({ node }) => {
      const plan = planDevices(claims, node, devices);
      return typeof plan === 'string' ? [plan] : passes;
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'deviceClaim') return event.isFreed || podClaimKeys(pod).includes(event.key);
    return event.kind === 'devices' || event.kind === 'node';
  },
};
