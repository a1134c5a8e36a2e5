import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tryParseQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { at, equalJson, isObject, listOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors, requiredText } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const volumeModes = ['Block', 'Filesystem'];
const claimKind = 'PersistentVolumeClaim';

/**
 * What a claim asks for: by itself, in a pod, and in a StatefulSet (ValidatePersistentVolumeClaimSpec). `hadGroup`: groups of sources that an
 * update found may stay.
 */
export function claimSpecErrors(spec: JsonObject, path: string, hadGroup = false): readonly FieldError[] {
  const named = (field: string): readonly FieldError[] => {
    const name = stringOf(spec[field]);
    return name === '' ? [] : formatErrors(`${path}.${field}`, name, dnsSubdomain);
  };
  const modes = accessModeErrors(
    spec['accessModes'],
    `${path}.accessModes`,
    'at least 1 access mode is required',
  );
  return [
    ...modes.filter(({ type }) => type === 'Required'),
    ...labelSelectorErrors(spec['selector'], `${path}.selector`),
    ...modes.filter(({ type }) => type !== 'Required'),
    ...storageErrors(at(spec, 'resources.requests.storage'), `${path}.resources[storage]`),
    ...named('storageClassName'),
    ...givenChoiceErrors(`${path}.volumeMode`, spec['volumeMode'], volumeModes),
    ...sourceErrors(spec['dataSource'], `${path}.dataSource`, hadGroup),
    ...sourceErrors(spec['dataSourceRef'], `${path}.dataSourceRef`, hadGroup),
    ...bothErrors(spec, path),
    ...named('volumeAttributesClassName'),
  ];
}

/** How it may be mounted; by one pod alone, or by others. `missing` is what is said where nothing is. */
export function accessModeErrors(given: unknown, field: string, missing = ''): readonly FieldError[] {
  const modes = listOf(given).map(stringOf);
  const others = modes.filter((mode) => mode !== 'ReadWriteOncePod' && accessModes.includes(mode));
  return [
    ...when(modes.length === 0, () => requiredField(field, missing)),
    ...modes.flatMap((mode) => givenChoiceErrors(field, mode, accessModes)),
    ...when(modes.includes('ReadWriteOncePod') && others.length > 0, () =>
      forbiddenField(field, 'may not use ReadWriteOncePod with other access modes'),
    ),
  ];
}

function storageErrors(size: unknown, field: string): readonly FieldError[] {
  if (size === undefined) return [requiredField(field)];
  const { nanos } = tryParseQuantity(size) ?? zeroQuantity;
  return when(nanos <= 0n, () => invalidField(field, size, 'must be greater than zero'));
}

/** What the volume is to be filled from. */
function sourceErrors(source: unknown, path: string, hadGroup: boolean): readonly FieldError[] {
  if (!isObject(source)) return [];
  const [group, kind, namespace] = ['apiGroup', 'kind', 'namespace'].map((name) =>
    stringOf(source[name]),
  ) as [string, string, string];
  const own = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
  return [
    ...requiredText(source, 'name', path),
    ...requiredText(source, 'kind', path),
    ...when(group === '' && kind !== claimKind, () => invalidField(path, kind, own)),
    ...(group === '' || hadGroup ? [] : formatErrors(`${path}.apiGroup`, group, dnsSubdomain)),
    ...(namespace === '' ? [] : formatErrors(`${path}.namespace`, namespace, dnsLabel)),
  ];
}

/** Both fields say the same, where both are there. kube-apiserver shows an inner value of its own for the field. */
function bothErrors(
  { dataSource: source, dataSourceRef: reference }: JsonObject,
  path: string,
): readonly FieldError[] {
  if (!isObject(source) || !isObject(reference)) return [];
  const isElsewhere = stringOf(reference['namespace']) !== '';
  const isSame = ['apiGroup', 'kind', 'name'].every((name) => equalJson(source[name], reference[name]));
  return [
    ...when(isElsewhere, () =>
      invalidField(path, {}, 'may not be specified when dataSourceRef.namespace is specified'),
    ),
    ...when(!isElsewhere && !isSame, () => invalidField(path, {}, 'must match dataSourceRef')),
  ];
}
