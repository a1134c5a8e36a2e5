import type { JsonObject } from '#api/meta/object.ts';
import { domainPrefixedPathErrors } from '#api/validation/format.ts';
import { objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { expressionProblem, readsClaim, type IssuerExpressions } from './expressions.ts';

/*
 * What an AuthenticationConfiguration says of the claims of an issuer's tokens: which become what of a user, and what they must be.
 */

/** Rules, or members of extra, of one issuer. */
const entriesMax = 64;

/** What is wrong with how claims are mapped and checked, in upstream's words (apiserver/validation). Pure. */
export function expressionProblems(jwt: JsonObject, path: string): readonly string[] {
  const mappings = objectOf(jwt['claimMappings']);
  const at = `${path}.claimMappings`;
  const lists = { claimValidationRules: jwt, userValidationRules: jwt, extra: mappings };
  const tooMany = Object.entries(lists).flatMap(([name, holder]) =>
    objectsOf(holder[name]).length > entriesMax ? [`${path}: more than ${entriesMax} of ${name}`] : [],
  );
  if (tooMany.length > 0) return tooMany;
  return [
    ...claimRuleProblems(objectsOf(jwt['claimValidationRules']), `${path}.claimValidationRules`),
    ...mappingProblems(objectOf(mappings['username']), `${at}.username`, { isRequired: true }),
    ...mappingProblems(objectOf(mappings['groups']), `${at}.groups`, { isRequired: false }),
    ...uidProblems(objectOf(mappings['uid']), `${at}.uid`),
    ...extraProblems(objectsOf(mappings['extra']), `${at}.extra`),
    ...emailProblems(jwt, `${at}.username.expression`),
    ...userRuleProblems(objectsOf(jwt['userValidationRules']), `${path}.userValidationRules`),
  ];
}

const both = "claim and expression can't both be set";

function claimProblems(expression: string, path: string, isRule = false): readonly string[] {
  const problem = expressionProblem(expression, 'claims', { isRule });
  return problem === undefined ? [] : [`${path}: ${problem}`];
}

function claimRuleProblems(rules: readonly JsonObject[], path: string): readonly string[] {
  const [claims, expressions] = [textsOf(rules, 'claim'), textsOf(rules, 'expression')];
  return rules.flatMap((rule, index) => {
    const at = `${path}[${index}]`;
    const [claim = '', expression = ''] = [claims[index], expressions[index]];
    if (claim !== '' && expression !== '') return [`${at}: ${both}`];
    if (claim === '' && expression === '') return [`${at}: claim or expression is required`];
    if (claim !== '') {
      return [
        ...(stringOf(rule['message']) === ''
          ? []
          : [`${at}.message: may not be specified when claim is set`]),
        ...duplicateProblems(claims, index, `${at}.claim`),
      ];
    }
    return [
      ...(stringOf(rule['requiredValue']) === ''
        ? []
        : [`${at}.requiredValue: may not be specified when expression is set`]),
      ...duplicateProblems(expressions, index, `${at}.expression`),
      ...claimProblems(expression, `${at}.expression`, true),
    ];
  });
}

function textsOf(objects: readonly JsonObject[], field: string): readonly string[] {
  return objects.map((object) => stringOf(object[field]));
}

function duplicateProblems(texts: readonly string[], index: number, path: string): readonly string[] {
  const text = texts[index] ?? '';
  return texts.indexOf(text) === index ? [] : [`${path}: Duplicate value: ${JSON.stringify(text)}`];
}

function mappingProblems(
  mapping: JsonObject,
  path: string,
  { isRequired }: { readonly isRequired: boolean },
): readonly string[] {
  const { prefix } = mapping;
  const [claim, expression] = [stringOf(mapping['claim']), stringOf(mapping['expression'])];
  if (expression !== '') {
    if (claim !== '') return [`${path}: ${both}`];
    return [
      ...(typeof prefix === 'string' ? [`${path}.prefix: may not be specified when expression is set`] : []),
      ...claimProblems(expression, `${path}.expression`),
    ];
  }
  if (claim === '') {
    if (isRequired) return [`${path}: claim or expression is required`];
    return stringOf(prefix) === '' ? [] : [`${path}.prefix: nothing to put it before: give claim too`];
  }
  return typeof prefix === 'string'
    ? []
    : [
        `${path}.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing`,
      ];
}

function uidProblems(uid: JsonObject, path: string): readonly string[] {
  const expression = stringOf(uid['expression']);
  if (expression === '') return [];
  return stringOf(uid['claim']) === ''
    ? claimProblems(expression, `${path}.expression`)
    : [`${path}: ${both}`];
}

/** Domains whose keys are Kubernetes' own. */
const reserved = /^(?:.*\.)?(?:kubernetes|k8s)\.io\//;

function extraProblems(extra: readonly JsonObject[], path: string): readonly string[] {
  const keys = textsOf(extra, 'key');
  return keys.flatMap((key, index) => {
    const at = `${path}[${index}]`;
    const expression = stringOf(extra[index]?.['valueExpression']);
    const duplicate = duplicateProblems(keys, index, `${at}.key`);
    return [
      ...domainPrefixedPathErrors(`${at}.key`, key).map(
        ({ detail }) => `${at}.key: ${detail || 'Required value'}`,
      ),
      ...(key === key.toLowerCase() ? [] : [`${at}.key: must be lowercase`]),
      ...(reserved.test(key)
        ? [`${at}.key: k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use`]
        : []),
      ...duplicate,
      ...(duplicate.length > 0
        ? []
        : expression === ''
          ? [`${at}.valueExpression: Required value`]
          : claimProblems(expression, `${at}.valueExpression`)),
    ];
  });
}

/** Whoever is named by an address is to have it verified: nothing else looks at `email_verified` then. */
function emailProblems(jwt: JsonObject, path: string): readonly string[] {
  const mappings = objectOf(jwt['claimMappings']);
  const username = stringOf(objectOf(mappings['username'])['expression']);
  const all = [
    username,
    ...textsOf(objectsOf(mappings['extra']), 'valueExpression'),
    ...textsOf(objectsOf(jwt['claimValidationRules']), 'expression'),
  ];
  const isVerified = all.some((expression) => readsClaim(expression, 'email_verified'));
  if (isVerified || !readsClaim(username, 'email')) return [];
  return [
    `${path}: claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression`,
  ];
}

function userRuleProblems(rules: readonly JsonObject[], path: string): readonly string[] {
  const expressions = textsOf(rules, 'expression');
  return expressions.flatMap((expression, index) => {
    const at = `${path}[${index}].expression`;
    if (expression === '') return [`${at}: Required value`];
    const problem = expressionProblem(expression, 'user', { isRule: true });
    return [
      ...duplicateProblems(expressions, index, at),
      ...(problem === undefined ? [] : [`${at}: ${problem}`]),
    ];
  });
}

/** Of one that has no problem; undefined where nothing is said by expressions. */
export function expressionsOf(jwt: JsonObject): IssuerExpressions | undefined {
  const mappings = objectOf(jwt['claimMappings']);
  const mapped = Object.fromEntries(
    ['username', 'groups', 'uid'].flatMap((name) => {
      const expression = stringOf(objectOf(mappings[name])['expression']);
      return expression === '' ? [] : [[name, expression]];
    }),
  );
  const rulesOf = (rules: readonly JsonObject[]): IssuerExpressions['claimRules'] =>
    rules
      .map(({ expression, message }) => ({ expression: stringOf(expression), message: stringOf(message) }))
      .filter(({ expression }) => expression !== '');
  const extra = objectsOf(mappings['extra']).map(({ key, valueExpression }) => ({
    key: stringOf(key),
    expression: stringOf(valueExpression),
  }));
  const claimRules = rulesOf(objectsOf(jwt['claimValidationRules']));
  const userRules = rulesOf(objectsOf(jwt['userValidationRules']));
  const isNone = [Object.keys(mapped), extra, claimRules, userRules].every(({ length }) => length === 0);
  return isNone ? undefined : { ...mapped, extra, claimRules, userRules };
}
