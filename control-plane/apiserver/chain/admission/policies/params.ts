import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringMapOf } from '#api/wire/json.ts';
import type { AdmissionContext } from '#control-plane/apiserver/chain/admission/admission.ts';
import { shownAs } from '#control-plane/apiserver/chain/admission/match/shown-as.ts';
import type { Binding, ParamRef, Policy } from './policy-book.ts';

/** Objects that a selector of one binding may select; each is a judgement of its own. */
const paramsMax = 1_000;

/** The parameters that a binding is judged by, one after the other; null: it names none. An error keeps it from being judged. */
export type Params =
  | { readonly params: readonly (JsonObject | null)[]; readonly error?: undefined }
  | { readonly params?: undefined; readonly error: string };

/** The kind of a policy's parameters, as it is served now; undefined: it has none; an error: nobody serves it. */
export function findParamKind(
  { paramKind }: Policy,
  { kinds }: Pick<AdmissionContext, 'kinds'>,
): { readonly kind: Kind | undefined; readonly error?: undefined } | { readonly error: string } {
  if (paramKind === undefined) return { kind: undefined };
  const { apiVersion, kind: name } = paramKind;
  const kind = kinds.findByName(apiVersion, name);
  if (kind !== undefined) return { kind };
  const shown = `${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${name}`;
  return { error: `failed to find resource referenced by paramKind: '${shown}'` };
}

/** @param namespace of the request; '' for what is in none */
export async function findParams(
  { paramRef }: Binding,
  kind: Kind | undefined,
  { registry, namespace }: Pick<AdmissionContext, 'registry'> & { readonly namespace: string },
): Promise<Params> {
  if (kind === undefined || paramRef === undefined) return { params: [null] };
  if (!kind.namespaced && paramRef.namespace !== '')
    return { error: 'paramRef.namespace must not be provided for a cluster-scoped `paramKind`' };
  const within = kind.namespaced ? paramRef.namespace || namespace : '';
  if (kind.namespaced && within === '')
    return {
      error: 'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    };
  const found = await read(registry, kind, { ...paramRef, namespace: within });
  if (found.length > paramsMax) return { error: `more than ${paramsMax} params selected` };
  if (found.length === 0 && paramRef.isNeeded)
    return { error: 'no params found for policy binding with `Deny` parameterNotFoundAction' };
  return { params: found.map((object) => whole(object, kind)) };
}

async function read(
  registry: AdmissionContext['registry'],
  kind: Kind,
  { name, namespace, selector }: ParamRef,
): Promise<readonly JsonObject[]> {
  if (selector === undefined) {
    const entry = await registry.read(kind, namespace, name);
    return entry === undefined ? [] : [entry.object];
  }
  const matcher = labelSelectorFromObject(selector);
  const all = await registry.readAll(kind, namespace);
  return all.filter((object) => matchesLabels(matcher, stringMapOf(at(object, 'metadata.labels'))));
}

/** With what it is. */
function whole(object: JsonObject, kind: Kind): JsonObject {
  return { ...shownAs(object, kind, kind), apiVersion: formatGroupVersion(kind), kind: kind.kind };
}
