import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ipErrors } from '#api/validation/address.ts';
import { dnsSubdomain, dnsSubdomainWithUnderscore, formatErrors } from '#api/validation/format.ts';

/** What resolvers of C libraries take (validation.MaxDNSNameservers and its neighbours). */
const nameserversMax = 3;
const searchesMax = 32;
const searchCharsMax = 2048;

/** Complaints about names of a pod's own for addresses (ValidateHostAliases). */
export function aliasErrors(spec: JsonObject, path: string): readonly FieldError[] {
  return objectsOf(spec['hostAliases']).flatMap((alias, index) => [
    ...ipErrors(`${path}.hostAliases[${index}].ip`, alias['ip']),
    ...listOf(alias['hostnames']).flatMap((name, place) =>
      formatErrors(`${path}.hostAliases[${index}].hostnames[${place}]`, stringOf(name), dnsSubdomain),
    ),
  ]);
}

/**
 * Complaints about what becomes lines of /etc/resolv.conf (validatePodDNSConfig). That options are words is more than kube-apiserver
 * asks for: with a line break, one is a line of its own.
 */
export function dnsErrors(spec: JsonObject, field: string): readonly FieldError[] {
  const config = objectOf(spec['dnsConfig']);
  const nameservers = listOf(config['nameservers']);
  if (spec['dnsPolicy'] === 'None') {
    if (spec['dnsConfig'] === undefined) {
      return [requiredField(field, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    }
    if (nameservers.length === 0) {
      return [
        requiredField(
          `${field}.nameservers`,
          'must provide at least one DNS nameserver when `dnsPolicy` is None',
        ),
      ];
    }
  }
  const tooMany =
    nameservers.length > nameserversMax
      ? [
          invalidField(
            `${field}.nameservers`,
            nameservers,
            `must not have more than ${nameserversMax} nameservers`,
          ),
        ]
      : [];
  return [
    ...tooMany,
    ...nameservers.flatMap((address, index) => ipErrors(`${field}.nameservers[${index}]`, address)),
    ...searchErrors(listOf(config['searches']).map(stringOf), `${field}.searches`),
    ...optionErrors(objectsOf(config['options']), `${field}.options`),
  ];
}

function searchErrors(searches: readonly string[], field: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (searches.length > searchesMax) {
    errors.push(invalidField(field, searches, `must not have more than ${searchesMax} search paths`));
  }
  if (searches.join(' ').length > searchCharsMax) {
    const detail = `must not have more than ${searchCharsMax} characters (including spaces) in the search list`;
    errors.push(invalidField(field, searches, detail));
  }
  searches.forEach((search, index) => {
    if (search === '.') return;
    errors.push(...formatErrors(`${field}[${index}]`, search.replace(/\.$/, ''), dnsSubdomainWithUnderscore));
  });
  return errors;
}

function optionErrors(options: readonly JsonObject[], field: string): readonly FieldError[] {
  return options.flatMap((option, index) => {
    const place = `${field}[${index}]`;
    const name = stringOf(option['name']);
    if (name === '') return [requiredField(place, 'must not be empty')];
    return ['name', 'value'].flatMap((part) => {
      const text = stringOf(option[part]);
      return /[\s\0]/.test(text)
        ? [invalidField(`${place}.${part}`, text, 'must not contain whitespace')]
        : [];
    });
  });
}
