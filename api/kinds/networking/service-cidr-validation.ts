import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf } from '#api/wire/json.ts';
import { cidrErrors, familiesOf } from '#api/validation/parts/cidr.ts';

const field = 'spec.cidrs';
const immutableText = 'field is immutable';

/** Complaints about a ServiceCIDR: one network, or one of each family (kubernetes pkg/apis/networking/validation). */
export function validateServiceCidr(cidr: JsonObject): readonly FieldError[] {
  const cidrs = listOf(at(cidr, field));
  // The value that kube-apiserver shows is the whole spec, as its own code calls it.
  const complain = (detail: string): readonly FieldError[] => [invalidField(field, { CIDRs: cidrs }, detail)];
  if (cidrs.length === 0) return [requiredField(field, 'at least one CIDR required')];
  if (cidrs.length > 2) return complain('may only hold up to 2 values');
  if (cidrs.length === 2 && new Set(familiesOf(cidrs)).size !== 2) {
    return complain(
      'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    );
  }
  return cidrs.flatMap((value, index) => cidrErrors(`${field}[${index}]`, value));
}

/** Networks stay; one of the other family may join a first. */
export function validateServiceCidrUpdate(old: JsonObject, cidr: JsonObject): readonly FieldError[] {
  const [before, after] = [old, cidr].map((each) => listOf(at(each, field)));
  if (before === undefined || after === undefined || before.length > after.length)
    return [invalidField(field, after ?? [], immutableText)];
  return before.flatMap((value, index) =>
    value === after[index] ? [] : [invalidField(`${field}[${index}]`, after[index], immutableText)],
  );
}
