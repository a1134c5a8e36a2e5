import { endpointSlices } from '#api/schema/kind-ref.ts';
import type { EndpointSlice } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import { source, type Source } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { managedByLabel, serviceKeyOf, type SlicePlan } from './slices.ts';

/** All slices, to be found by the key of their Service. */
export function informerOfSlices(informers: Informers): WritableInformer<EndpointSlice> {
  return informers.for(endpointSlices, { indexes: { service: (slice) => [serviceKeyOf(slice) ?? ''] } });
}

/** Enqueues the Service of a slice that somebody removed or changed: it is put right. */
export function sourceOfSlices(informer: WritableInformer<EndpointSlice>): Source {
  return source(informer, ({ old, current }) => [old, current].flatMap((slice) => serviceKeyOf(slice) ?? []));
}

/** The slices of a Service that `manager` wrote. */
export function slicesOf(
  informer: WritableInformer<EndpointSlice>,
  { key, manager }: { readonly key: string; readonly manager: string },
): readonly EndpointSlice[] {
  return informer
    .byIndex('service', key)
    .filter(({ metadata }) => metadata?.labels?.[managedByLabel] === manager);
}

/** Safe to repeat with a plan made anew. */
export async function writeSlices(
  { client }: ControllerContext,
  informer: WritableInformer<EndpointSlice>,
  plan: SlicePlan,
): Promise<void> {
  for (const slice of plan.create) informer.observe(await client.create(endpointSlices, slice));
  for (const slice of plan.update) informer.observe(await client.update(endpointSlices, slice));
  for (const slice of plan.delete) {
    const { namespace, name = '', uid } = slice.metadata ?? {};
    try {
      await client.delete(endpointSlices, { namespace, name }, { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
