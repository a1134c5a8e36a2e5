import { invalidField, tooLongField, type FieldError } from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import { isPrintable, managerBytesMax } from '#api/patch/apply/manager-name.ts';

/** Bytes of the name of a subresource in managedFields (apimachinery metav1 validation). */
const subresourceBytesMax = 256;

/** Complaints about metadata.managedFields (apimachinery metav1 validation, ValidateManagedFields). */
export function managedFieldsErrors(managedFields: unknown, field: string): readonly FieldError[] {
  return objectsOf(managedFields).flatMap((entry, index) => {
    const path = `${field}[${index}]`;
    const { operation, fieldsType } = entry;
    const isKnown = operation === 'Apply' || operation === 'Update';
    const isTyped = stringOf(fieldsType) === '' || fieldsType === 'FieldsV1';
    const subresource = stringOf(entry['subresource']);
    const isLong = subresource !== '' && Buffer.byteLength(subresource) > subresourceBytesMax;
    return [
      ...(isKnown ? [] : [invalidField(`${path}.operation`, operation ?? '', 'must be `Apply` or `Update`')]),
      ...(isTyped ? [] : [invalidField(`${path}.fieldsType`, fieldsType, 'must be `FieldsV1`')]),
      ...managerFaults(stringOf(entry['manager']), `${path}.manager`),
      ...(isLong ? [tooLongField(`${path}.subresource`, subresourceBytesMax)] : []),
    ];
  });
}

/** Printable ASCII, which nearly all names are. */
const plain = /^[ -~]*$/;

/** Why a name is none of a manager (apimachinery metav1 validation, ValidateFieldManager). */
export function managerFaults(manager: string, field: string): readonly FieldError[] {
  if (manager.length <= managerBytesMax && plain.test(manager)) return [];
  const faults: FieldError[] = [];
  if (Buffer.byteLength(manager) > managerBytesMax) faults.push(tooLongField(field, managerBytesMax));
  let position = 0;
  for (const char of manager) {
    if (!isPrintable(char)) {
      const point = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
      faults.push(invalidField(field, manager, `invalid character U+${point} (at position ${position})`));
    }
    position += Buffer.byteLength(char);
  }
  return faults;
}
