/**
 * A static pod: what a node makes of a manifest, without any server (Kubernetes, "Create static Pods"). Pure. It takes the rules of
 * kinds, which an agent whose directory has no manifest does not load.
 */
import { createHash } from 'node:crypto';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { invalid } from '#api/errors/status.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { referencesOf } from '#api/pod/references.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { objectsOfDocument, splitDocuments } from '#api/wire/documents.ts';
import { typed } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import { configAnnotations } from './static-pod.ts';

export interface Manifest {
  readonly text: string;
  /** Its path. */
  readonly file: string;
}

/**
 * The pod: of this node by name, and another (by its uid) with each change of the file. What is in the API no static pod names: it is
 * to run where there is no API.
 * @throws {E_INVALID} with all that is wrong, for anything but one Pod, and for a pod that names objects
 */
export function staticPodOf({ text, file }: Manifest, nodeName: string, nowMs: number): Pod {
  const [document, ...more] = splitDocuments(text).flatMap(objectsOfDocument);
  const kind = document === undefined ? undefined : findKindByName('v1', 'Pod');
  const isPod = document?.apiVersion === 'v1' && document.kind === 'Pod';
  if (document === undefined || kind === undefined || !isPod || more.length > 0)
    throw new PodwrightError('E_INVALID', 'a manifest is one object of kind Pod, apiVersion v1');
  const defaulted = applyDefaults(kind, decodeRequest(kind, document, 'Strict').object);
  const given = typed<Pod>(defaulted);
  const { name = '', namespace = 'default', annotations = {} } = given.metadata ?? {};
  // Never one that the text gives: a change of the text would change nothing then.
  const uid = createHash('md5').update(`${nodeName}\0${file}\0${text}`).digest('hex');
  const told = {
    [configAnnotations.hash]: uid,
    [configAnnotations.source]: 'file',
    [configAnnotations.seen]: new Date(nowMs).toISOString(),
  };
  const named: JsonObject = {
    ...defaulted,
    metadata: {
      ...given.metadata,
      name: `${name}-${nodeName.toLowerCase()}`,
      namespace,
      annotations: { ...annotations, ...told },
    },
    spec: {
      containers: [],
      ...given.spec,
      nodeName,
      tolerations: [...(given.spec?.tolerations ?? []), staysOn],
    },
  };
  const pod = prepareCreate(kind, named, { now: nowMs, uid, namespace });
  const errors = validateCreate(kind, pod);
  if (errors.length > 0) throw invalid(kind, name, errors);
  const [reference] = referencesOf(typed<Pod>(pod));
  if (reference !== undefined)
    throw new PodwrightError('E_INVALID', `a static pod may not refer to objects of the API: ${reference}`);
  return typed<Pod>(pod);
}

/** No taint ends it: it is the node's own. */
const staysOn = { operator: 'Exists', effect: 'NoExecute' } as const;
