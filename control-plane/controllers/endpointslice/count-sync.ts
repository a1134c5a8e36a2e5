import type { EndpointSlice, Service } from '#api/generated/objects.ts';
import { isConflict } from '#client/api-error.ts';
import type { LoopCounts } from '#control-plane/controllers/metrics/loop-counts.ts';
import type { SlicePlan } from './slices.ts';
import { wantsZoneHints } from './zone-hints.ts';

/** What a look at a Service writes, and how it ends. Without somebody who counts nothing is worked out. */
export async function countSync(
  counts: LoopCounts | undefined,
  {
    service,
    slices,
    plan,
  }: { readonly service: Service; readonly slices: readonly EndpointSlice[]; readonly plan: SlicePlan },
  write: () => Promise<void>,
): Promise<void> {
  if (counts === undefined) return write();
  try {
    await write();
  } catch (error) {
    counts.add('endpoint_slice_controller_syncs', isConflict(error) ? 'stale' : 'error');
    throw error;
  }
  counts.add('endpoint_slice_controller_syncs', 'success');
  for (const operation of ['create', 'update', 'delete'] as const)
    for (const _slice of plan[operation]) counts.add('endpoint_slice_controller_changes', operation);
  const { added, removed } = changedEndpoints(slices, plan);
  counts.observe('endpoint_slice_controller_endpoints_added_per_sync', added);
  counts.observe('endpoint_slice_controller_endpoints_removed_per_sync', removed);
  const hasHints = wantsZoneHints(service);
  counts.observe(
    'endpoint_slice_controller_endpointslices_changed_per_sync',
    plan.create.length + plan.update.length + plan.delete.length,
    hasHints ? 'Auto' : 'Disabled',
    hasHints ? '' : (service.spec?.trafficDistribution ?? ''),
  );
}

/** Of the slices that are written: what stays where it is is in none of them. Pure. */
export function changedEndpoints(
  slices: readonly EndpointSlice[],
  { create, update, delete: gone }: SlicePlan,
): { readonly added: number; readonly removed: number } {
  if (create.length + update.length + gone.length === 0) return { added: 0, removed: 0 };
  const names = new Set([...update, ...gone].map(({ metadata }) => metadata?.name));
  const before = addressesOf(slices.filter(({ metadata }) => names.has(metadata?.name)));
  const after = addressesOf([...create, ...update]);
  return { added: after.difference(before).size, removed: before.difference(after).size };
}

function addressesOf(slices: readonly EndpointSlice[]): Set<string> {
  return new Set(
    slices.flatMap(({ addressType, ports, endpoints }) => {
      const group = `${addressType} ${JSON.stringify(ports)}`;
      return (endpoints ?? []).flatMap(({ addresses }) => addresses.map((address) => `${group} ${address}`));
    }),
  );
}
