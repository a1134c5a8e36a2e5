import { at, objectOf, stringMapOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { nameOf } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';
import type { Format } from '#api/validation/format.ts';
import { familyOfIp } from '#base/ip.ts';
import { validateIpAddress } from './ip-address-validation.ts';

const anyIp: Format = (text) =>
  familyOfIp(text) !== undefined ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];

/** Rules of IPAddresses: their name is the address. */
export const ipAddressRules: KindRules = {
  effect: acted('control-plane/apiserver/services/address-objects.ts'),
  tracksGeneration: false,
  nameFormat: anyIp,
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
