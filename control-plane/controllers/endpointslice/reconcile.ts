import { equalJson } from '#api/wire/json.ts';
import { endpoints, nodes, pods, services } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Pod, Service } from '#api/generated/objects.ts';
import { labelSelectorFromMap, matchesLabels } from '#api/meta/selector.ts';
import { zoneOf } from '#api/meta/zone.ts';
import { isNotFound } from '#client/api-error.ts';
import { onlySynced, ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { Change, WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byLabel, selectedIn } from '#control-plane/controllers/pods/by-label.ts';
import { computeEndpoints, managedByUs, planSlices, type Backends, type MadeOfPod } from './plan.ts';
import { hasSelector } from './slices.ts';
import { informerOfSlices, slicesOf, sourceOfSlices, writeSlices } from './write-slices.ts';

/** Index of Services by a label that they select by. */
const bySelector = (service: Service): readonly string[] =>
  hasSelector(service)
    ? [selectedIn(service.metadata?.namespace, labelSelectorFromMap(service.spec?.selector))]
    : [];

/**
 * EndpointSlices of each Service with a selector, and the Endpoints object that old clients read: that is another controller's in
 * Kubernetes, and is written as it.
 */
export function runEndpoints(
  context: ControllerContext,
  { client }: Pick<ControllerContext, 'client'>,
): Controller {
  const { informers, clock, logger } = context;
  const serviceInformer = informers.for(services, { indexes: { selector: bySelector } });
  const podInformer = informers.for(pods, { indexes: { label: byLabel } });
  const nodeInformer = informers.for(nodes);
  const sliceInformer = informerOfSlices(informers);
  const endpointsInformer = informers.for(endpoints);
  const madeFor = new WeakMap<Service, WeakMap<Pod, MadeOfPod>>();

  const reconcile = async (key: string): Promise<void> => {
    const service = serviceInformer.get(key);
    const slices = slicesOf(sliceInformer, { key, manager: managedByUs });
    if (service === undefined) {
      await writeSlices(context, sliceInformer, { create: [], update: [], delete: slices });
      await removeEndpoints({ client, informers }, key);
      return;
    }
    if (!hasSelector(service) || service.spec?.type === 'ExternalName') return;
    if (service.metadata?.deletionTimestamp !== undefined) return;
    const matcher = labelSelectorFromMap(service.spec?.selector);
    const selected = podInformer
      .byIndex('label', selectedIn(service.metadata?.namespace, matcher))
      .filter(({ metadata }) => matchesLabels(matcher, metadata?.labels));
    const made = madeFor.get(service) ?? new WeakMap<Pod, MadeOfPod>();
    madeFor.set(service, made);
    const backends: Backends = { service, pods: selected, nodeOf: (name) => nodeInformer.get(name), made };
    await writeSlices(context, sliceInformer, planSlices(backends, slices));
    const existing = endpointsInformer.get(key);
    const wanted = computeEndpoints(backends, existing);
    if (existing === undefined) endpointsInformer.observe(await client.create(endpoints, wanted));
    else if (!equalJson(existing, wanted)) endpointsInformer.observe(await client.update(endpoints, wanted));
  };
  return runController({
    name: 'endpointslice-controller',
    clock,
    logger,
    sources: [
      ownKey(serviceInformer),
      source(podInformer, (change) => servicesOfPod(serviceInformer, change)),
      sourceOfSlices(sliceInformer),
      // Endpoints say their zone: all of a node that moved have another one. Most changes of a node do not matter.
      source(nodeInformer, ({ old, current }) =>
        zoneOf(old) === zoneOf(current) ? [] : serviceInformer.list().map(objectKey),
      ),
      onlySynced(endpointsInformer),
    ],
    reconcile,
  });
}

/** The Services that select the pod as it was or as it is. */
function servicesOfPod(
  serviceInformer: WritableInformer<Service>,
  { old, current }: Change<Pod>,
): readonly string[] {
  if (old !== undefined && current !== undefined && isSameEndpoint(old, current)) return [];
  const known = [old, current].filter((pod) => pod !== undefined);
  const selecting = known.flatMap((pod) =>
    byLabel(pod)
      .flatMap((label) => serviceInformer.byIndex('selector', label))
      .filter(({ spec }) => matchesLabels(labelSelectorFromMap(spec?.selector), pod.metadata?.labels)),
  );
  return [...new Set(selecting.map(objectKey))];
}

/** Most changes of a pod do not matter to a Service. */
function isSameEndpoint(old: Pod, current: Pod): boolean {
  const relevant = ({ metadata, spec, status }: Pod): unknown => [
    metadata?.labels,
    metadata?.deletionTimestamp,
    spec?.nodeName,
    status?.podIP,
    status?.podIPs,
    status?.phase,
    status?.conditions?.find(({ type }) => type === 'Ready')?.status,
  ];
  return equalJson(relevant(old), relevant(current));
}

async function removeEndpoints(
  { client, informers }: Pick<ControllerContext, 'client' | 'informers'>,
  key: string,
): Promise<void> {
  const existing = informers.for(endpoints).get(key);
  // Leader-election locks of old programs live in Endpoints objects: only those made here go.
  if (existing?.metadata?.labels?.['endpoints.kubernetes.io/managed-by'] !== 'endpoint-controller') return;
  const { namespace, name = '', uid } = existing.metadata;
  try {
    await client.delete(endpoints, { namespace, name }, { preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
