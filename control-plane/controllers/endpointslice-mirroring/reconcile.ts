import { endpoints, services } from '#api/schema/kind-ref.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import {
  informerOfSlices,
  slicesOf,
  sourceOfSlices,
  writeSlices,
} from '#control-plane/controllers/endpointslice/write-slices.ts';
import { endpointsPerSubsetMax, managedByMirroring, planMirror } from './plan.ts';

/** EndpointSlices of each Endpoints object that somebody made for a Service without a selector. */
export function runEndpointsMirroring(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const recorder = context.recorder('endpoint-slice-mirroring-controller');
  const serviceInformer = informers.for(services);
  const endpointsInformer = informers.for(endpoints);
  const sliceInformer = informerOfSlices(informers);

  const reconcile = async (key: string): Promise<void> => {
    const existing = slicesOf(sliceInformer, { key, manager: managedByMirroring });
    const mirrored = { endpoints: endpointsInformer.get(key), service: serviceInformer.get(key) };
    const { slices, skippedCount } = planMirror(mirrored, existing);
    await writeSlices(context, sliceInformer, slices);
    if (mirrored.endpoints === undefined || skippedCount === 0) return;
    const message = `A max of ${endpointsPerSubsetMax} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skippedCount} addresses were skipped`;
    const regarding = { kind: endpoints, object: mirrored.endpoints };
    recorder.record(regarding, 'Warning', 'TooManyAddressesToMirror', message);
  };
  return runController({
    name: 'endpointslice-mirroring-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [ownKey(serviceInformer), ownKey(endpointsInformer), sourceOfSlices(sliceInformer)],
    reconcile,
  });
}
