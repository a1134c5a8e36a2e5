import {
  duplicateStruct,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { familiesOf, looseCidrErrors } from '#api/validation/parts/cidr.ts';
import { repeatedErrors, when } from '#api/validation/field.ts';
import {
  configKey,
  dnsLabel,
  dnsSubdomain,
  formatErrors,
  labelValue,
  qualifiedName,
  type Format,
} from '#api/validation/format.ts';
import { amountErrors } from '#api/validation/resource-name.ts';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** Complaints about a new Node (ValidateNode of kubernetes pkg/apis/core/validation). */
export function validateNodeCreate(node: JsonObject): readonly FieldError[] {
  return [...resourceErrors(node), ...podCidrErrors(listOf(at(node, 'spec.podCIDRs')))];
}

/** Complaints about what an update of a Node changes, or says beside (ValidateNodeUpdate). */
export function validateNodeUpdate(old: JsonObject, node: JsonObject): readonly FieldError[] {
  const [before, after] = [old, node].map((object) => objectOf(object['spec'])) as [JsonObject, JsonObject];
  const provider = stringOf(before['providerID']);
  const fromEmpty = (what: string): string => `node updates may not change ${what} except from "" to valid`;
  return [
    ...when(listOf(before['podCIDRs']).length > 0 && !equalJson(before['podCIDRs'], after['podCIDRs']), () =>
      forbiddenField('spec.podCIDRs', fromEmpty('podCIDR')),
    ),
    ...when(provider !== '' && provider !== stringOf(after['providerID']), () =>
      forbiddenField('spec.providerID', fromEmpty('providerID')),
    ),
    ...(isObject(after['configSource'])
      ? sourceErrors(after['configSource'], 'spec.configSource', unsetErrors)
      : []),
    ...when(stringOf(before['externalID']) !== stringOf(after['externalID']), () =>
      forbiddenField('spec.externalID', 'may not be updated'),
    ),
  ];
}

/** Complaints about the status of a Node. */
export function validateNodeStatus(node: JsonObject): readonly FieldError[] {
  const addresses = objectsOf(at(node, 'status.addresses'));
  const told = addresses.map((address) => `${stringOf(address['type'])} ${stringOf(address['address'])}`);
  return [
    ...resourceErrors(node),
    ...addresses.flatMap((address, index) =>
      when(told.indexOf(told[index] ?? '') < index, () =>
        duplicateStruct(`status.addresses[${index}]`, goStruct('NodeAddress', address)),
      ),
    ),
    ...['assigned', 'active', 'lastKnownGood'].flatMap((name) => {
      const source = at(node, ['status', 'config', name]);
      return isObject(source) ? sourceErrors(source, `status.config.${name}`, setErrors) : [];
    }),
  ];
}

/** The paths are kube-apiserver's, which looks for taints below metadata when it complains. */
export function taintErrors(node: JsonObject): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(at(node, 'spec.taints')).flatMap((taint, index) => {
    const path = `metadata.taints[${index}]`;
    const [key, value, effect] = ['key', 'value', 'effect'].map((name) => stringOf(taint[name])) as [
      string,
      string,
      string,
    ];
    const isRepeated = seen.has(`${key}:${effect}`);
    seen.add(`${key}:${effect}`);
    const wrong = labelValue(value);
    return [
      ...formatErrors(`${path}.key`, key, qualifiedName),
      ...when(wrong.length > 0, () => invalidField(`${path}.value`, value, wrong.join(';'))),
      ...(effect === ''
        ? [requiredField(`${path}.effect`)]
        : when(!effects.includes(effect), () => notSupportedField(`${path}.effect`, effect, effects))),
      ...when(isRepeated, () => ({
        ...duplicateStruct(path, goStruct('Taint', taint)),
        detail: 'taints must be unique by key and effect pair',
      })),
    ];
  });
}

function resourceErrors(node: JsonObject): readonly FieldError[] {
  return ['capacity', 'allocatable'].flatMap((list) =>
    Object.entries(objectOf(at(node, ['status', list]))).flatMap(([name, value]) =>
      amountErrors(`status.${list}.${name}`, name, value),
    ),
  );
}

function podCidrErrors(cidrs: readonly unknown[]): readonly FieldError[] {
  const field = 'spec.podCIDRs';
  const fieldOf = (index: number): string => `${field}[${index}]`;
  const families = familiesOf(cidrs);
  const isDual = families !== undefined && cidrs.length <= 2 && new Set(families).size === 2;
  return [
    ...cidrs.flatMap((cidr, index) => looseCidrErrors(fieldOf(index), cidr)),
    ...when(cidrs.length > 1 && !isDual, () =>
      invalidField(field, cidrs, 'may specify no more than one CIDR for each IP family'),
    ),
    ...repeatedErrors(cidrs, fieldOf),
  ];
}

type Reference = (reference: JsonObject, path: string) => readonly FieldError[];

/** Where a kubelet once had its configuration from; nobody reads it any more. */
function sourceErrors(source: JsonObject, path: string, more: Reference): readonly FieldError[] {
  const { configMap } = source;
  if (!isObject(configMap)) {
    return [invalidField(path, source, 'exactly one reference subfield must be non-nil')];
  }
  const place = `${path}.configMap`;
  const named = (name: string, format: Format): readonly FieldError[] => {
    const text = stringOf(configMap[name]);
    return text === ''
      ? [requiredField(`${place}.${name}`, `${name} must be set`)]
      : formatErrors(`${place}.${name}`, text, format);
  };
  return [
    ...more(configMap, place),
    ...named('namespace', dnsLabel),
    ...named('name', dnsSubdomain),
    ...named('kubeletConfigKey', configKey),
  ];
}

const unsetErrors: Reference = (reference, path) =>
  ['uid', 'resourceVersion'].flatMap((name) =>
    when(stringOf(reference[name]) !== '', () =>
      forbiddenField(`${path}.${name}`, `${name} must not be set in spec`),
    ),
  );

const setErrors: Reference = (reference, path) =>
  ['uid', 'resourceVersion'].flatMap((name) =>
    when(stringOf(reference[name]) === '', () =>
      requiredField(`${path}.${name}`, `${name} must be set in status`),
    ),
  );
