/** A file as kubectl reads it: its Pods, as the API server would have stored them, and what they may refer to. Pure. */
import { admitCreate } from '#api/pod/admission.ts';
import type { DecodedBody } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { objectsOfDocument, splitDocuments } from '#api/wire/documents.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { at, isObject, stringOf, typed } from '#api/wire/json.ts';
import { findKindByName, type Kind } from '#api/schema/kinds.ts';
import { kindKey } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ConfigMap, Pod, Secret } from '#api/generated/objects.ts';
import { invalid } from '#api/errors/status.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { assumedUid, node } from './assumed-node.ts';

/** What a file holds. */
export interface Manifest {
  readonly pods: readonly Pod[];
  readonly configMaps: readonly ConfigMap[];
  readonly secrets: readonly Secret[];
  /** `Service web`: what a node does not make of a pod. */
  readonly others: readonly string[];
}

/** `source` names the text in errors. @throws {E_INVALID} for what the API would refuse, and for a file without a Pod */
export function readPods(text: string, source: string): Manifest {
  const pods: Pod[] = [];
  const configMaps: ConfigMap[] = [];
  const secrets: Secret[] = [];
  const others: string[] = [];
  for (const [index, document] of splitDocuments(text).entries()) {
    try {
      for (const body of objectsOfDocument(document)) {
        const { kind, object } = decodeOne(body, pods.length + 1);
        // By group and name: what another group calls a Pod is none.
        const key = kind === undefined ? undefined : kindKey(kind);
        if (key === '/Pod') pods.push(typed(object));
        else if (key === '/ConfigMap') configMaps.push(typed(object));
        else if (key === '/Secret') secrets.push(typed(object));
        else others.push(`${body.kind} ${stringOf(at(object, 'metadata.name'))}`);
      }
    } catch (error) {
      // Not as a cause: what the YAML parser says takes several lines.
      throw new PodwrightError('E_INVALID', `plan ${source}, document ${index + 1}: ${messageOf(error)}`);
    }
  }
  if (pods.length > 0) return { pods, configMaps, secrets, others };
  const found = others.length === 0 ? '' : `, only ${others.join(', ')}`;
  throw new PodwrightError('E_INVALID', `plan ${source}: there is no Pod in it${found}`);
}

/** As a strict `kubectl create` and the API server treat it; `podCount` numbers the pod's uid. */
function decodeOne(
  body: DecodedBody,
  podCount: number,
): { readonly kind: Kind | undefined; readonly object: JsonObject } {
  const { apiVersion = '', kind: name = '' } = body;
  if (apiVersion === '' || name === '')
    throw new PodwrightError('E_INVALID', 'apiVersion and kind must be set');
  const kind = findKindByName(apiVersion, name);
  // Another API's object (a custom resource) is none that a node makes anything of.
  if (kind === undefined) return { kind, object: isObject(body.value) ? body.value : {} };
  const { object } = decodeRequest(kind, body, 'Strict');
  const defaulted = applyDefaults(kind, object);
  return { kind, object: kindKey(kind) === '/Pod' ? storePod(kind, defaulted, podCount) : defaulted };
}

function storePod(kind: Kind, defaulted: JsonObject, count: number): JsonObject {
  const namespace = stringOf(at(defaulted, 'metadata.namespace')) || 'default';
  const admitted = admitCreate(kind, defaulted, { tokenVolumeSuffix: '00000' });
  const context = { now: 0, uid: assumedUid(count), namespace, nameSuffix: '00000' };
  const pod = prepareCreate(kind, admitted, context);
  const errors = validateCreate(kind, pod);
  if (errors.length > 0) throw invalid(kind, stringOf(at(pod, 'metadata.name')), errors);
  const spec = at(pod, 'spec');
  return { ...pod, spec: { ...(isObject(spec) ? spec : {}), nodeName: node.name } };
}

function messageOf(error: unknown): string {
  return isPodwrightError(error) ? error.message : describeError(error);
}
