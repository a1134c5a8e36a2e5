import { notFound } from '#api/errors/status.ts';
import { at } from '#api/wire/json.ts';
import type { AdmissionContext } from '#control-plane/apiserver/chain/admission/admission.ts';
import { namespaces } from '#control-plane/apiserver/chain/admission/namespaces/namespaces.ts';

/** What a namespace says in an annotation; undefined without. @throws {E_API} 404 without the namespace */
export async function namespaceAnnotation(
  { registry }: AdmissionContext,
  namespace: string,
  key: string,
): Promise<string | undefined> {
  const entry = await registry.read(namespaces, '', namespace);
  if (entry === undefined) throw notFound(namespaces, namespace);
  const value = at(entry.object, ['metadata', 'annotations', key]);
  return typeof value === 'string' ? value : undefined;
}
