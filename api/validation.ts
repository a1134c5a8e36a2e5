import { collectFaults, type FieldError } from './field-error.ts';
import type { Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';
import { podAddressErrors } from './validation/address.ts';
import { batchUpdateValidators, batchValidators } from './validation/batch.ts';
import { clusterUpdateValidators, clusterValidators } from './validation/cluster.ts';
import {
  validateConfigMap,
  validateConfigMapUpdate,
  validateSecret,
  validateSecretUpdate,
} from './validation/config.ts';
import { validateMeta, validateMetaUpdate } from './validation/meta.ts';
import { validateEphemeralContainers, validatePod, validatePodUpdate } from './validation/pod.ts';
import { validatePodResize } from './validation/pod-resize.ts';
import { validateSchema } from './validation/schema.ts';
import {
  validateEndpoints,
  validateEndpointSlice,
  validateIngress,
  validateService,
  validateServiceUpdate,
} from './validation/service.ts';
import { validateServiceStatus } from './validation/service-load-balancer.ts';
import { workloadUpdateValidators, workloadValidators } from './validation/workload.ts';
import { forbiddenField } from './field-error.ts';
import { at, equalJson, objectsOf } from './json.ts';

export type { FieldError } from './field-error.ts';

/** Complaints about a new object, decoded, defaulted and prepared; none: it may be stored. */
export function validateCreate(kind: Kind, object: JsonObject): readonly FieldError[] {
  return collectFaults(() => createFaults(kind, object));
}

function createFaults(kind: Kind, object: JsonObject): readonly FieldError[] {
  const key = keyOf(kind);
  const ephemeral =
    key === '/Pod' && objectsOf(at(object, 'spec.ephemeralContainers')).length > 0
      ? [forbiddenField('spec.ephemeralContainers', 'cannot be set on create')]
      : [];
  return distinct([...validateMeta(kind, object), ...(validators[key]?.(object) ?? []), ...ephemeral], () =>
    validateSchema(kind.typeName, object),
  );
}

/** Complaints about an update, after prepareUpdate; `subresource` where the write is to one. */
export function validateUpdate(
  kind: Kind,
  old: JsonObject,
  object: JsonObject,
  subresource?: string,
): readonly FieldError[] {
  return collectFaults(() => updateFaults(kind, { old, object, subresource }));
}

function updateFaults(
  kind: Kind,
  { old, object, subresource }: { old: JsonObject; object: JsonObject; subresource: string | undefined },
): readonly FieldError[] {
  const meta = [...validateMetaUpdate(old, object), ...validateMeta(kind, object)];
  if (subresource === 'ephemeralcontainers') return [...meta, ...validateEphemeralContainers(old, object)];
  const key = keyOf(kind);
  if (subresource === 'status') return [...meta, ...(statusValidators[key]?.(object) ?? [])];
  if (subresource !== undefined && subresource !== 'resize') return meta;
  // What is stored was accepted once: it must stay possible to label it, and to let go of it.
  const isSame = isSameBody(old, object);
  const own = isSame ? [] : (validators[key]?.(object) ?? []);
  const update =
    subresource === 'resize' ? validatePodResize(old, object) : (updateValidators[key]?.(old, object) ?? []);
  return distinct([...meta, ...own, ...update], () => (isSame ? [] : validateSchema(kind.typeName, object)));
}

/** Whether the two say the same, but for metadata and status. */
function isSameBody(old: JsonObject, object: JsonObject): boolean {
  const isSame = (key: string): boolean =>
    key === 'metadata' || key === 'status' || equalJson(old[key], object[key]);
  return Object.keys(old).every(isSame) && Object.keys(object).every(isSame);
}

const validators: Readonly<Record<string, (object: JsonObject) => readonly FieldError[]>> = {
  ...workloadValidators,
  ...batchValidators,
  ...clusterValidators,
  '/Pod': validatePod,
  '/Service': validateService,
  '/ConfigMap': validateConfigMap,
  '/Secret': validateSecret,
  '/Endpoints': validateEndpoints,
  'discovery.k8s.io/EndpointSlice': validateEndpointSlice,
  'networking.k8s.io/Ingress': validateIngress,
};

const updateValidators: Readonly<
  Record<string, (old: JsonObject, object: JsonObject) => readonly FieldError[]>
> = {
  ...workloadUpdateValidators,
  ...batchUpdateValidators,
  ...clusterUpdateValidators,
  '/Pod': validatePodUpdate,
  '/Service': validateServiceUpdate,
  '/ConfigMap': validateConfigMapUpdate,
  '/Secret': validateSecretUpdate,
};

const statusValidators: Readonly<Record<string, (object: JsonObject) => readonly FieldError[]>> = {
  '/Service': validateServiceStatus,
  '/Pod': podAddressErrors,
};

function keyOf(kind: Pick<Kind, 'group' | 'kind'>): string {
  return `${kind.group}/${kind.kind}`;
}

/** The schema's complaints count only where nothing more particular was said of the same field. */
function distinct(
  particular: readonly FieldError[],
  schema: () => readonly FieldError[],
): readonly FieldError[] {
  const fields = new Set(particular.map(({ field }) => field));
  return [...particular, ...schema().filter(({ field }) => !fields.has(field))];
}
