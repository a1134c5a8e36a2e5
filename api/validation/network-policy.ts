import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { cidrContains, firstOf, parseLegacyCidr } from '#base/ip.ts';
import { formatErrors, isPortNumber, portName, portNumberText } from './format.ts';
import { labelSelectorErrors } from './label-selector.ts';
import { looseCidrErrors } from './parts/cidr.ts';

const policyTypes = ['Ingress', 'Egress'];

/** Complaints about a NetworkPolicy. */
export function validateNetworkPolicy(policy: JsonObject): readonly FieldError[] {
  const rules = (direction: string, peers: string): readonly FieldError[] =>
    objectsOf(at(policy, ['spec', direction])).flatMap((rule, index) => {
      const path = `spec.${direction}[${index}]`;
      return [
        ...objectsOf(rule['ports']).flatMap((port, place) => portErrors(port, `${path}.ports[${place}]`)),
        ...objectsOf(rule[peers]).flatMap((peer, place) => peerErrors(peer, `${path}.${peers}[${place}]`)),
      ];
    });
  return [
    ...labelSelectorErrors(at(policy, 'spec.podSelector'), 'spec.podSelector'),
    ...rules('ingress', 'from'),
    ...rules('egress', 'to'),
    ...typeErrors(listOf(at(policy, 'spec.policyTypes'))),
  ];
}

function typeErrors(types: readonly unknown[]): readonly FieldError[] {
  const field = 'spec.policyTypes';
  if (types.length > policyTypes.length)
    return [invalidField(field, types, 'may not specify more than two policyTypes')];
  return types.flatMap((type, index) =>
    policyTypes.includes(stringOf(type)) ? [] : [notSupportedField(`${field}[${index}]`, type, policyTypes)],
  );
}

const protocols = ['TCP', 'UDP', 'SCTP'];

function portErrors({ protocol, port, endPort }: JsonObject, path: string): readonly FieldError[] {
  const isKnown = protocol === undefined || protocols.includes(stringOf(protocol));
  return [
    ...(isKnown ? [] : [notSupportedField(`${path}.protocol`, protocol, protocols)]),
    ...(typeof port === 'number' && !isPortNumber(port)
      ? [invalidField(`${path}.port`, port, portNumberText)]
      : []),
    ...(endPort === undefined ? [] : endPortErrors(port, endPort, `${path}.endPort`)),
    ...(typeof port === 'string' ? formatErrors(`${path}.port`, port, portName) : []),
  ];
}

function endPortErrors(port: unknown, endPort: unknown, field: string): readonly FieldError[] {
  if (port === undefined)
    return [invalidField(field, endPort, 'may not be specified when `port` is not specified')];
  if (typeof port !== 'number')
    return [invalidField(field, endPort, 'may not be specified when `port` is non-numeric')];
  return [
    // The value shown is that of `port`, as kube-apiserver shows it.
    ...(Number(endPort) < port ? [invalidField(field, port, 'must be greater than or equal to `port`')] : []),
    ...(isPortNumber(endPort) ? [] : [invalidField(field, endPort, portNumberText)]),
  ];
}

function peerErrors(peer: JsonObject, path: string): readonly FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const isOther = podSelector !== undefined || namespaceSelector !== undefined;
  return [
    ...labelSelectorErrors(podSelector, `${path}.podSelector`),
    ...labelSelectorErrors(namespaceSelector, `${path}.namespaceSelector`),
    ...(ipBlock === undefined ? [] : blockErrors(ipBlock, `${path}.ipBlock`)),
    ...(isOther || ipBlock !== undefined ? [] : [requiredField(path, 'must specify a peer')]),
    ...(isOther && ipBlock !== undefined
      ? [forbiddenField(path, 'may not specify both ipBlock and another peer')]
      : []),
  ];
}

function blockErrors(block: unknown, path: string): readonly FieldError[] {
  const text = stringOf(at(block, 'cidr'));
  if (text === '') return [requiredField(`${path}.cidr`)];
  const errors = looseCidrErrors(`${path}.cidr`, text);
  const cidr = parseLegacyCidr(text);
  // Of a block that nobody can read nothing more is said.
  if (cidr === undefined) return errors;
  const exceptErrors = listOf(at(block, 'except')).flatMap((value, index) => {
    const field = `${path}.except[${index}]`;
    const except = parseLegacyCidr(stringOf(value));
    const isWithin =
      except === undefined || (cidrContains(cidr, firstOf(except)) && except.prefix > cidr.prefix);
    return [
      ...looseCidrErrors(field, value),
      ...(isWithin ? [] : [invalidField(field, value, 'must be a strict subset of `cidr`')]),
    ];
  });
  return [...errors, ...exceptErrors];
}
