import { equalJson } from '#api/wire/json.ts';
import { nodes, pods, services } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { EndpointSlice, Node, Pod, Service } from '#api/generated/objects.ts';
import { labelSelectorFromMap, matchesLabels } from '#api/meta/selector.ts';
import { zoneOf } from '#api/meta/zone.ts';
import { describeRefusal, isConflict, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { Change, WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byLabel, selectedIn } from '#control-plane/controllers/pods/by-label.ts';
import { managedByUs, planSlices, type Backends, type MadeOfPod } from './plan.ts';
import { countSync } from './count-sync.ts';
import { MissingNodes } from './missing-nodes.ts';
import { createHintTeller } from './hint-teller.ts';
import { createEndpointsWriter } from './write-endpoints.ts';
import { hasSelector, type SlicePlan } from './slices.ts';
import { TriggerTimes, withTriggerTime } from './trigger-times.ts';
import { informerOfSlices, slicesOf, sourceOfSlices, writeSlices } from './write-slices.ts';
import { wantsZoneHints } from './zone-hints.ts';
import { ZoneProcessors } from './zone-shares.ts';

/** Index of Services by a label that they select by. */
const bySelector = (service: Service): readonly string[] =>
  hasSelector(service)
    ? [selectedIn(service.metadata?.namespace, labelSelectorFromMap(service.spec?.selector))]
    : [];

/** Index of Services that are spread by where processors are: all of them together. */
const byZoneHints = (service: Service): readonly string[] => (wantsZoneHints(service) ? ['yes'] : []);

const serviceIndexes = { selector: bySelector, zoneHints: byZoneHints };

/** Whose the two kinds of objects are; of one that is not given nothing is written. */
export interface EndpointWriters {
  readonly slices: ControllerContext | undefined;
  readonly endpoints: ControllerContext | undefined;
}

/**
 * EndpointSlices of each Service with a selector, and the Endpoints object that old clients read: that is another controller's in
 * Kubernetes, and is written as it.
 */
export function runEndpoints(context: ControllerContext, writers: EndpointWriters): Controller {
  const { informers, clock, logger } = context;
  const serviceInformer = informers.for(services, { indexes: serviceIndexes });
  const podInformer = informers.for(pods, { indexes: { label: byLabel } });
  const nodeInformer = informers.for(nodes);
  const sliceInformer = informerOfSlices(informers);
  const own = writers.endpoints === undefined ? undefined : createEndpointsWriter(writers.endpoints);
  const triggers = new TriggerTimes();
  const madeFor = new WeakMap<Service, WeakMap<Pod, MadeOfPod>>();
  const processors = new ZoneProcessors();
  const missing = new MissingNodes();
  const hints = writers.slices === undefined ? undefined : createHintTeller(writers.slices);

  const reconcile = async (key: string): Promise<void> => {
    const service = serviceInformer.get(key);
    const slices = slicesOf(sliceInformer, { key, manager: managedByUs });
    if (service === undefined) {
      const none = { create: [], update: [], delete: slices };
      if (writers.slices !== undefined) await writeSlices(writers.slices, sliceInformer, none);
      await own?.remove(key);
      for (const memory of [hints, missing, triggers]) memory?.forget(key);
      return;
    }
    if (!hasSelector(service) || service.spec?.type === 'ExternalName') return;
    if (service.metadata?.deletionTimestamp !== undefined) return;
    const matcher = labelSelectorFromMap(service.spec?.selector);
    const selected = podInformer
      .byIndex('label', selectedIn(service.metadata?.namespace, matcher))
      .filter(({ metadata }) => matchesLabels(matcher, metadata?.labels));
    const triggerMs = triggers.take(key, service, selected);
    const made = madeFor.get(service) ?? new WeakMap<Pod, MadeOfPod>();
    madeFor.set(service, made);
    const shares = wantsZoneHints(service) ? processors.shares : undefined;
    const nodeOf = (name: string): Node | undefined => nodeInformer.get(name);
    const backends: Backends = { service, pods: selected, nodeOf, made, shares };
    missing.note(key, backends);
    if (writers.slices !== undefined) {
      const plan = planSlices(backends, slices);
      const { slices: writer } = writers;
      const write = (): Promise<void> => writeSlices(writer, sliceInformer, stamped(plan, triggerMs));
      await countSync(writer.loopCounts, { service, slices, plan }, write).catch(
        tellFailure(writer.recorder('endpoint-slice-controller'), service, {
          reason: 'FailedToUpdateEndpointSlices',
          message: `Error updating Endpoint Slices for Service ${key}`,
        }),
      );
      hints?.tell(key, service, plan);
    }
    if (writers.endpoints !== undefined && own !== undefined)
      await own
        .write(key, backends, triggerMs)
        .catch(tellEndpointsFailure(writers.endpoints, { service, key, isThere: own.has(key) }));
  };
  return runController({
    name: 'endpointslice-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      ownKey(serviceInformer),
      source(podInformer, (change) => servicesOfPod(serviceInformer, change)),
      sourceOfSlices(sliceInformer),
      source(nodeInformer, (change) => servicesOfNode({ serviceInformer, processors, missing }, change)),
      ...(own === undefined ? [] : [own.source]),
    ],
    reconcile,
  });
}

interface Known {
  readonly serviceInformer: WritableInformer<Service>;
  readonly processors: ZoneProcessors;
  readonly missing: MissingNodes;
}

/** Endpoints say their zone: all of a node that moved have another one. Most changes of a node do not matter. */
function servicesOfNode(
  { serviceInformer, processors, missing }: Known,
  { key, old, current }: Change<Node>,
): readonly string[] {
  const isSpreadOtherwise = processors.put(key, current);
  if (zoneOf(old) !== zoneOf(current)) return serviceInformer.list().map(objectKey);
  const spread = isSpreadOtherwise ? serviceInformer.byIndex('zoneHints', 'yes').map(objectKey) : [];
  return [...spread, ...(old === undefined ? missing.waitingFor(key) : [])];
}

/** What is written says since when it is due. */
function stamped({ create, update, delete: gone }: SlicePlan, triggerMs: number | undefined): SlicePlan {
  const withTime = (slice: EndpointSlice): EndpointSlice => {
    const annotations = withTriggerTime(slice.metadata?.annotations, triggerMs);
    return { ...slice, metadata: { ...slice.metadata, annotations } };
  };
  return { create: create.map(withTime), update: update.map(withTime), delete: gone };
}

function tellEndpointsFailure(
  { recorder }: ControllerContext,
  { service, key, isThere }: { readonly service: Service; readonly key: string; readonly isThere: boolean },
): (error: unknown) => never {
  return tellFailure(
    recorder('endpoint-controller'),
    service,
    isThere
      ? { reason: 'FailedToUpdateEndpoint', message: `Failed to update endpoint ${key}` }
      : { reason: 'FailedToCreateEndpoint', message: `Failed to create endpoint for service ${key}` },
  );
}

/** That others were first is nothing to be told. */
function tellFailure(
  recorder: EventRecorder,
  object: Service,
  { reason, message }: { readonly reason: string; readonly message: string },
): (error: unknown) => never {
  return (error) => {
    if (!isConflict(error) && !isNotFound(error) && !isNamespaceTerminating(error))
      recorder.record({ kind: services, object }, 'Warning', reason, `${message}: ${describeRefusal(error)}`);
    throw error;
  };
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
