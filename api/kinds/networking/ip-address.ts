import { at, objectOf, stringMapOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { nameOf } from '#api/table/object.ts';
import { canonicalIp } from '#api/validation/address.ts';
import { immutable } from '#api/validation/field.ts';
import { validateIpAddress } from './ip-address-validation.ts';

/** Rules of IPAddresses: their name is the address. */
export const ipAddressRules: KindRules = {
  effect: acted('control-plane/apiserver/services/address-objects.ts'),
  tracksGeneration: false,
  nameFormat: canonicalIp,
  validate: validateIpAddress,
  validatesAll: true,
  validateUpdate: immutable('spec.parentRef', undefined, 'networking.v1.ParentReference'),
  cells: (address) => {
    const parent = objectOf(at(address, 'spec.parentRef'));
    const { group, resource, namespace, name } = stringMapOf(parent);
    const qualified = group === undefined || group === '' ? resource : `${resource}.${group}`;
    return [nameOf(address), [qualified, namespace, name].filter(Boolean).join('/')];
  },
};
