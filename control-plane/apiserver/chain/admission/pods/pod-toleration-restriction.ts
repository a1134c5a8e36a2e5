import { checkConfigDocument, type DocumentKind, type FieldShape } from '#api/config/config-document.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { bareError } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qosClass } from '#api/pod/qos.ts';
import { tolerationErrors } from '#api/validation/pod/tolerations.ts';
import { at, isObject, objectsOf, withPath } from '#api/wire/json.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';
import { namespaceAnnotation } from './namespace-annotation.ts';
import { makesPod, writesPod } from './pod.ts';
import { areAllowed, mergeTolerations } from './tolerations.ts';

/** Of namespaces that say nothing themselves. */
export interface TolerationDefaults {
  /** What new pods bear beside what they say. */
  readonly default: readonly JsonObject[];
  /** What pods may bear at most; none: all. */
  readonly whitelist: readonly JsonObject[];
}

export const noTolerationDefaults: TolerationDefaults = { default: [], whitelist: [] };

const annotations = {
  default: 'scheduler.alpha.kubernetes.io/defaultTolerations',
  whitelist: 'scheduler.alpha.kubernetes.io/tolerationsWhitelist',
} as const;
const underPressure: JsonObject = {
  key: 'node.kubernetes.io/memory-pressure',
  operator: 'Exists',
  effect: 'NoSchedule',
};

/**
 * New pods bear what their namespace, or else the cluster, says, and no pod more than it may (plugin/pkg/admission/podtolerationrestriction).
 * Who asks for memory may go to a node that runs short of it.
 */
export function podTolerationRestriction(
  defaults: TolerationDefaults = noTolerationDefaults,
): AdmissionPlugin {
  return {
    name: 'PodTolerationRestriction',
    handles: (attributes) => (writesPod(attributes) ? 'mayWait' : 'no'),
    admit: async (context, request) => {
      const tolerant = await withTolerations(context, defaults, request);
      await check(context, defaults, { ...request, object: tolerant });
      return tolerant;
    },
    validate: (context, request) => check(context, defaults, request),
  };
}

async function withTolerations(
  context: AdmissionContext,
  defaults: TolerationDefaults,
  { attributes, object: pod = {} }: AdmissionRequest,
): Promise<JsonObject> {
  const given = makesPod(attributes)
    ? ((await ofNamespace(context, attributes.namespace, 'default')) ?? defaults.default)
    : [];
  const added = qosClass(pod) === 'BestEffort' ? given : [...given, underPressure];
  if (added.length === 0) return pod;
  return withPath(pod, 'spec.tolerations', mergeTolerations(objectsOf(at(pod, 'spec.tolerations')), added));
}

/** @throws {E_API} 500 for a pod that bears what it may not */
async function check(
  context: AdmissionContext,
  defaults: TolerationDefaults,
  { attributes, object: pod = {} }: AdmissionRequest,
): Promise<void> {
  const tolerations = objectsOf(at(pod, 'spec.tolerations'));
  if (tolerations.length === 0) return;
  const own = await ofNamespace(context, attributes.namespace, 'whitelist');
  if (areAllowed(tolerations, own ?? defaults.whitelist)) return;
  const whose = own === undefined ? 'cluster' : 'namespace';
  throw bareError(
    `pod tolerations (possibly merged with namespace default tolerations) conflict with its ${whose} whitelist`,
  );
}

/** What the namespace says; undefined where it says nothing. An empty text says: none. */
async function ofNamespace(
  context: AdmissionContext,
  namespace: string,
  which: keyof typeof annotations,
): Promise<readonly JsonObject[] | undefined> {
  const key = annotations[which];
  const text = await namespaceAnnotation(context, namespace, key);
  if (text === undefined || text === '') return text === undefined ? undefined : [];
  const list = parseList(text);
  if (list !== undefined) return list;
  throw bareError(`namespace ${namespace}: annotation ${key} must be a JSON list of tolerations`);
}

function parseList(text: string): readonly JsonObject[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every(isObject) ? list : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Tolerations in one list of a configuration, at most. */
const tolerationCountMax = 1000;

const toleration: FieldShape = {
  ...{ key: 'string', operator: 'string', value: 'string', effect: 'string' },
  tolerationSeconds: 'integer',
};
const document: DocumentKind = {
  kind: 'Configuration',
  apiVersions: ['podtolerationrestriction.admission.k8s.io/v1alpha1'],
  fields: { default: [toleration], whitelist: [toleration] },
};

/** The configuration of PodTolerationRestriction. @throws {E_INVALID} beginning with the field that is wrong */
export function parseTolerationDefaults(value: JsonObject): TolerationDefaults {
  const given = checkConfigDocument(value, document);
  const listAt = (field: 'default' | 'whitelist'): readonly JsonObject[] => {
    const list = objectsOf(given[field]);
    if (list.length > tolerationCountMax) throw wrong(field, `must be ${tolerationCountMax} at most`);
    const [error] = tolerationErrors(list, field);
    if (error !== undefined) throw wrong(error.field, renderFieldError(error));
    return list;
  };
  return { default: listAt('default'), whitelist: listAt('whitelist') };
}
