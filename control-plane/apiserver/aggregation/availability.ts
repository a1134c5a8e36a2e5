import type { APIServiceCondition } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { formatTime } from '#api/meta/time.ts';
import { at, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { RemoteService } from './remote-service.ts';

/** Whether a remote server can be asked, and in upstream's words why not (kube-aggregator, pkg/controllers/status/remote). */
export interface Availability {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** What is there of the Service. */
export interface ServiceFacts {
  readonly service: JsonObject | undefined;
  /** Its EndpointSlices. */
  readonly slices: readonly JsonObject[];
}

/** What is wrong with the Service, before anybody is asked; undefined: nothing. */
export function serviceProblem(
  { service: { namespace, name, port } }: RemoteService,
  { service, slices }: ServiceFacts,
): Availability | undefined {
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  const no = (reason: string, message: string): Availability => ({ status: 'False', reason, message });
  if (service === undefined) return no('ServiceNotFound', `${where} is not present`);
  if (at(service, 'spec.type') === 'ExternalName') return undefined;
  const found = objectsOf(at(service, 'spec.ports')).find((each) => numberOf(each['port']) === port);
  if (found === undefined) return no('ServicePortError', `${where} is not listening on port ${port}`);
  if (slices.length === 0) return no('EndpointsNotFound', `cannot find endpointslices for ${where}`);
  const portName = stringOf(found['name']);
  const hasAddress = slices.some(
    (slice) =>
      objectsOf(slice['ports']).some((each) => stringOf(each['name']) === portName) &&
      objectsOf(slice['endpoints']).some((endpoint) => at(endpoint, 'conditions.ready') !== false),
  );
  return hasAddress
    ? undefined
    : no(
        'MissingEndpoints',
        `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`,
      );
}

/** What came of asking for its group version: undefined when it answered. */
export function discoveryAvailability(failure: string | undefined): Availability {
  return failure === undefined
    ? { status: 'True', reason: 'Passed', message: 'all checks passed' }
    : { status: 'False', reason: 'FailedDiscoveryCheck', message: failure };
}

/** The conditions of an APIService with this one among them; its time is that of the last change of status. */
export function withAvailability(
  conditions: readonly APIServiceCondition[],
  { status, reason, message }: Availability,
  nowMs: number,
): readonly APIServiceCondition[] {
  const type = 'Available';
  const known = findCondition(conditions, type);
  const lastTransitionTime =
    known?.status === status && known.lastTransitionTime !== undefined
      ? known.lastTransitionTime
      : formatTime(nowMs);
  const condition = { type, status, lastTransitionTime, reason, message };
  if (known === undefined) return [...conditions, condition];
  return conditions.map((each) => (each.type === type ? condition : each));
}
