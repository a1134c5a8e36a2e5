import { formatGroupVersion, kindOfSubresource, type Kind, type Subresource } from '#api/schema/kinds.ts';
import { findSubresource } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** The kind of the objects that a request is about: of `deployments/scale` Scale, of `pods/exec` PodExecOptions. */
export function kindOfObjects(kind: Kind, subresource: string): Kind {
  const found: Subresource | undefined = findSubresource(kind, subresource);
  return found === undefined ? kind : kindOfSubresource(kind, found);
}

/** An object of one kind as the other shows it: both show what is stored alike. The same object where they are one. */
export function shownAs(object: JsonObject, from: Kind, to: Kind): JsonObject {
  if (from === to) return object;
  const stored = from.storedAs === undefined ? object : from.storedAs.toStored(object);
  const shown = to.storedAs === undefined ? stored : to.storedAs.fromStored(stored);
  return { ...shown, kind: to.kind, apiVersion: formatGroupVersion(to) };
}
