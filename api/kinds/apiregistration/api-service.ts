import { at, objectsOf, stringMapOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { pathSegment } from '#api/validation/format.ts';
import { validateApiService, validateApiServiceStatus } from './api-service-validation.ts';

/** Rules of APIServices. */
export const apiServiceRules: KindRules = {
  effect: acted('control-plane/apiserver/aggregation/aggregation.ts'),
  updatesNameRevision: true,
  reset: { status: { fields: ['metadata', 'spec'] } },
  storageFolder: 'apiregistration.k8s.io/apiservices',
  defaults: [['spec.service.port', 443]],
  tracksGeneration: false,
  // What the server answers itself is there at once (kube-aggregator's PrepareForCreate).
  initialStatus: (service, { now }) =>
    at(service, 'spec.service') === undefined ? locallyAvailable(now) : {},
  nameFormat: pathSegment,
  takesAnyFinalizer: true,
  updateChecks: ['metadata changes', 'metadata', 'object', 'changes'],
  validate: validateApiService,
  validateStatus: validateApiServiceStatus,
  validatesAll: true,
  cells: (service, now) => [
    nameOf(service),
    at(service, 'spec.service') === undefined
      ? 'Local'
      : `${text(service, 'spec.service.namespace', '')}/${text(service, 'spec.service.name', '')}`,
    availability(service),
    ageOfObject(service, now),
  ],
};

function locallyAvailable(nowMs: number): JsonObject {
  const condition = {
    type: 'Available',
    status: 'True',
    lastTransitionTime: formatTime(nowMs),
    reason: 'Local',
    message: 'Local APIServices are always available',
  };
  return { conditions: [condition] };
}

function availability(service: JsonObject): string {
  const condition = objectsOf(at(service, 'status.conditions')).find(({ type }) => type === 'Available');
  if (condition === undefined) return 'Unknown';
  const { status, reason } = stringMapOf(condition);
  return status === 'True' ? 'True' : `${status} (${reason})`;
}
