import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type {
  AdmissionAttributes,
  AdmissionContext,
} from '#control-plane/apiserver/chain/admission/admission.ts';

/** By request, object and kind: one that several hooks see in another version is converted once. */
const converted = new WeakMap<AdmissionAttributes, Map<JsonObject, Map<Kind, JsonObject>>>();

/** A custom object in the version of `to`, asked of the webhook that converts it. @throws {E_API} 500 where that does not */
export async function convertedFor(
  registry: AdmissionContext['registry'],
  request: AdmissionAttributes,
  { object, from, to }: { readonly object: JsonObject; readonly from: Kind; readonly to: Kind },
): Promise<JsonObject> {
  if (to.custom?.conversion.kind !== 'webhook') return object;
  const ofRequest = converted.get(request) ?? new Map<JsonObject, Map<Kind, JsonObject>>();
  converted.set(request, ofRequest);
  const known = ofRequest.get(object) ?? new Map<Kind, JsonObject>();
  ofRequest.set(object, known);
  const made = known.get(to) ?? (await registry.custom.convertTo(from, object, to));
  known.set(to, made);
  return made;
}
