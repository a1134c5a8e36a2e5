import { forbiddenField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf } from '#api/wire/json.ts';

/** Label of namespaces whose claims may look at devices that others have (resource/v1 DRAAdminNamespaceLabelKey). */
const adminLabel = 'resource.kubernetes.io/admin-access';
const why = `admin access to devices requires the \`${adminLabel}: true\` label on the containing namespace`;

/** Of a new claim or template what its requests say, where they are (AuthorizedForAdmin). Later they stay as they are. */
export function adminRequestErrors(
  requests: string,
): (object: JsonObject, labels: Readonly<Record<string, string>>, old?: JsonObject) => readonly FieldError[] {
  return (object, labels, old) =>
    old === undefined
      ? faultOf(objectsOf(at(object, requests)), labels, {
          isAdmin: (request) => at(request, 'exactly.adminAccess') === true,
          field: 'spec.devices.requests',
        })
      : [];
}

/** Of a claim what it is given, too (AuthorizedForAdminStatus): once that is there it stays. */
export function adminClaimErrors(
  claim: JsonObject,
  labels: Readonly<Record<string, string>>,
  old?: JsonObject,
): readonly FieldError[] {
  const results = 'status.allocation.devices.results';
  const isAdmin = (result: JsonObject): boolean => result['adminAccess'] === true;
  if (objectsOf(at(old, results)).some(isAdmin)) return [];
  return [
    ...adminRequestErrors('spec.devices.requests')(claim, labels, old),
    ...(old === undefined ? [] : faultOf(objectsOf(at(claim, results)), labels, { isAdmin, field: results })),
  ];
}

function faultOf(
  items: readonly JsonObject[],
  labels: Readonly<Record<string, string>>,
  { isAdmin, field }: { readonly isAdmin: (item: JsonObject) => boolean; readonly field: string },
): readonly FieldError[] {
  const index = items.findIndex(isAdmin);
  return index < 0 || labels[adminLabel] === 'true'
    ? []
    : [forbiddenField(`${field}[${index}].adminAccess`, why)];
}
