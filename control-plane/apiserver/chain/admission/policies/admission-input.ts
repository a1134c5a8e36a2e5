import type { AdmissionInput } from '#api/cel/admission/evaluation.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { stringOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import {
  describeRequest,
  objectsShownAs,
} from '#control-plane/apiserver/chain/admission/match/admission-request.ts';
import type { AccessCache } from './access.ts';

const namespaces = builtIn('', 'v1', 'namespaces');

/** What the expressions of one policy are about, but for the parameters. `as` is the kind that the policy means. */
export type InputOfRequest = Omit<AdmissionInput, 'params'>;

/** @throws {E_API} 500 where a webhook does not convert an object of the request to what the policy means */
export async function inputOf(
  request: AdmissionRequest,
  as: Kind,
  {
    context,
    access,
    namespaceObject,
  }: {
    readonly context: Pick<AdmissionContext, 'registry'>;
    readonly access: AccessCache;
    readonly namespaceObject: JsonObject | null;
  },
): Promise<InputOfRequest> {
  const { subresource, namespace } = request.attributes;
  const described = describeRequest(request, as);
  const name = stringOf(described['name']);
  return {
    ...(await objectsShownAs(context, request, as)),
    request: described,
    namespaceObject,
    ask: access.ask,
    about: { group: as.group, resource: as.resource, subresource, namespace, name },
  };
}

/** The namespace of the request as it is stored; null for what is in none. */
export async function readNamespace(
  { registry }: Pick<AdmissionContext, 'registry'>,
  { namespace, kind }: AdmissionAttributes,
): Promise<JsonObject | null> {
  if (namespace === '' || !kind.namespaced) return null;
  const entry = await registry.read(namespaces, '', namespace);
  return entry?.object ?? null;
}
