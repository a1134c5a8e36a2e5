/** What a Service says of its own addresses and of their families: ValidateServiceClusterIPsRelatedFields and its neighbours. */
import { duplicateField, invalidField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { listOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseLegacyIp, type IpFamily } from '#base/ip.ts';
import { ipErrors } from '#api/validation/address.ts';

/** The families as spec.ipFamilies names them. */
export const ipFamilyNames: Readonly<Record<IpFamily, 'IPv4' | 'IPv6'>> = { 4: 'IPv4', 6: 'IPv6' };
const knownFamilies: readonly string[] = ['IPv4', 'IPv6'];
const unchangeable = 'may not change once set';

export function isHeadless(spec: JsonObject): boolean {
  return spec['clusterIP'] === 'None';
}

/** Complaints about clusterIP, clusterIPs and ipFamilies, whatever the cluster has. */
export function clusterAddressErrors(spec: JsonObject): readonly FieldError[] {
  if (spec['type'] === 'ExternalName') return [];
  const addresses = listOf(spec['clusterIPs']);
  const field = 'spec.clusterIPs';
  const malformed = malformedErrors(addresses);
  const errors = [
    ...firstAddressErrors(spec, addresses),
    ...familyNameErrors(spec),
    ...policyErrors(spec),
    ...malformed,
  ];
  if (addresses.length > 2) errors.push(invalidField(field, addresses, 'may only hold up to 2 values'));
  // What follows compares addresses: of broken ones it would say nonsense.
  if (malformed.length > 0) return errors;
  const families = addresses.map((address) => parseLegacyIp(stringOf(address))?.family);
  if (addresses.length > 1 && new Set(families).size < addresses.length)
    errors.push(invalidField(field, addresses, 'may specify no more than one IP for each IP family'));
  return isHeadless(spec) ? errors : [...errors, ...mismatchErrors(addresses, listOf(spec['ipFamilies']))];
}

function firstAddressErrors(spec: JsonObject, addresses: readonly unknown[]): FieldError[] {
  const first = stringOf(spec['clusterIP']);
  if (addresses.length === 0) return []; // An old client's: the list follows from the one address.
  if (first === '')
    return [invalidField('spec.clusterIPs', addresses, 'must be empty when `clusterIP` is not specified')];
  return addresses[0] === first
    ? []
    : [invalidField('spec.clusterIPs', addresses, 'first value must match `clusterIP`')];
}

function familyNameErrors(spec: JsonObject): readonly FieldError[] {
  const families = listOf(spec['ipFamilies']);
  return families.flatMap((family, index) => {
    const field = `spec.ipFamilies[${index}]`;
    if (!knownFamilies.includes(stringOf(family))) return [notSupportedField(field, family, knownFamilies)];
    return families.indexOf(family) < index ? [duplicateField(field, family)] : [];
  });
}

const knownPolicies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];

function policyErrors({ ipFamilyPolicy }: JsonObject): readonly FieldError[] {
  if (ipFamilyPolicy === undefined || knownPolicies.includes(stringOf(ipFamilyPolicy))) return [];
  return [notSupportedField('spec.ipFamilyPolicy', ipFamilyPolicy, knownPolicies)];
}

function malformedErrors(addresses: readonly unknown[]): readonly FieldError[] {
  return addresses.flatMap((address, index) => {
    if (index === 0 && address === 'None') {
      return addresses.length === 1
        ? []
        : [invalidField('spec.clusterIPs', addresses, "'None' must be the first and only value")];
    }
    return ipErrors(`spec.clusterIPs[${index}]`, address);
  });
}

function mismatchErrors(addresses: readonly unknown[], families: readonly unknown[]): readonly FieldError[] {
  return addresses.flatMap((address, index) => {
    const family = parseLegacyIp(stringOf(address))?.family;
    const wanted = families[index];
    if (wanted === undefined || family === undefined || ipFamilyNames[family] === wanted) return [];
    const detail = `expected an ${stringOf(wanted)} value as indicated by \`ipFamilies[${index}]\``;
    return [invalidField(`spec.clusterIPs[${index}]`, address, detail)];
  });
}

/** Complaints about how an update changes addresses and families: the first of each stays, the second may come and go. */
export function clusterAddressUpdateErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  if (before['type'] === 'ExternalName' || after['type'] === 'ExternalName') return [];
  // Of what is wrong in itself nothing more is said.
  if (clusterAddressErrors(after).length > 0) return [];
  if (isHeadless(before) && isHeadless(after)) return [];
  const changes: readonly ListChange[] = [
    { before, after, member: 'clusterIPs', one: 'clusterIP' },
    { before, after, member: 'ipFamilies', one: 'ipFamily' },
  ];
  const isMoved = isHeadless(before) !== isHeadless(after);
  return changes.slice(0, isMoved ? 1 : 2).flatMap(listChangeErrors);
}

interface ListChange {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly member: 'clusterIPs' | 'ipFamilies';
  /** One of them, in messages. */
  readonly one: string;
}

function listChangeErrors({ before, after, member, one }: ListChange): readonly FieldError[] {
  const [old, now] = [listOf(before[member]), listOf(after[member])];
  const policy = after['ipFamilyPolicy'];
  const changed = (index: number): FieldError => invalidField(`spec.${member}[${index}]`, now, unchangeable);
  if (old.length === now.length)
    return old.flatMap((value, index) => (value === now[index] ? [] : [changed(index)]));
  const errors = old.length > 0 && now.length > 0 && old[0] !== now[0] ? [changed(0)] : [];
  if (now.length > old.length) return errors;
  if (listOf(after['clusterIPs']).length === 0)
    errors.push(invalidField(`spec.${member}[0]`, now, `primary ${one} can not be unset`));
  if (now.length === 1 && policy !== 'SingleStack') {
    const detail = `must be set to SingleStack when releasing the secondary ${one}`;
    errors.push(invalidField('spec.ipFamilyPolicy', policy ?? null, detail));
  }
  return errors;
}
