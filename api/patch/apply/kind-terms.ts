import { decodeObject } from '#api/wire/decode.ts';
import { formatGroupVersion, parseGroupVersion, storedKind, type Kind } from '#api/schema/kinds.ts';
import { resetRuleOf } from '#api/kinds/reset.ts';
import type { ResetRule } from '#api/kinds/rules.ts';
import type { TypeRef } from '#api/schema/type-source.ts';
import { objectOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { atomOf } from './atom.ts';
import {
  childrenOf,
  isMember,
  makeNode,
  makeSet,
  setOfPaths,
  withoutBelow,
  type FieldSet,
} from './field-set.ts';
import type { KindTerms } from './manage.ts';
import { fieldElement } from './path-element.ts';
import type { Form } from './updater.ts';

/** Finds another version of a kind, by group, version and resource. */
export type FindKind = (group: string, version: string, resource: string) => Kind | undefined;

const known = new WeakMap<Kind, Map<string, Omit<KindTerms, 'formOf'>>>();

/** An object of a kind that a webhook converts, in another version; undefined where nobody does. */
export type FindConverted = (from: Kind, object: JsonObject, to: Kind) => JsonObject | undefined;

/**
 * By what owners of a kind's objects are reckoned, in a write of the part ('' for the object itself). Without `findConverted`, and where that
 * finds nothing, what has the same name in two versions of a kind that a webhook converts is taken for the same.
 */
export function termsOf(
  kind: Kind,
  subresource: string,
  find: FindKind,
  findConverted?: FindConverted,
): KindTerms {
  let ofKind = known.get(kind);
  if (ofKind === undefined) known.set(kind, (ofKind = new Map()));
  let terms = ofKind.get(subresource);
  if (terms === undefined) ofKind.set(subresource, (terms = makeTerms(kind, subresource)));
  const own = { atom: atomOf(kind), of: same, back: same };
  const { apiVersion } = terms;
  return {
    ...terms,
    formOf: (version) => (version === apiVersion ? own : otherForm(kind, version, { find, findConverted })),
  };
}

function makeTerms(kind: Kind, subresource: string): Omit<KindTerms, 'formOf'> {
  return {
    apiVersion: formatGroupVersion(kind),
    empty: emptyObject(kind),
    withoutReset: resetOf(kind, subresource),
    resetMembers: resetMembersOf(resetRuleOf(kind, subresource)),
  };
}

/** As Go's encoder shows an object that nothing was said of. */
function emptyObject(kind: Kind): JsonObject {
  const typed = { apiVersion: formatGroupVersion(kind), kind: kind.kind };
  if (kind.typeName === '') return typed;
  return { ...withRequiredStructs(kind, decodeObject(kind, {}).object), ...typed };
}

/** Structs that are required are no pointers in Go, and always there; the facts of some groups do not say so otherwise. */
function withRequiredStructs({ schema, typeName }: TypeRef, object: JsonObject): JsonObject {
  const type = schema.find(typeName);
  if (schema.fillsDefaults || type?.fields === undefined) return object;
  let filled = object;
  for (const name of type.required) {
    const field = type.fields.get(name);
    const isStruct = field !== undefined && schema.find(field.type)?.fields !== undefined;
    if (isStruct)
      filled = {
        ...filled,
        [name]: withRequiredStructs({ schema, typeName: field.type }, objectOf(filled[name])),
      };
  }
  return filled;
}

function same(object: JsonObject): JsonObject {
  return object;
}

/**
 * What the object looks like in another version; undefined for one that is not served, or shows something else.
 */
function otherForm(
  kind: Kind,
  apiVersion: string,
  { find, findConverted }: { readonly find: FindKind; readonly findConverted: FindConverted | undefined },
): Form | undefined {
  const { group, version } = parseGroupVersion(apiVersion);
  const other = find(group, version, kind.resource);
  const isSame =
    other?.custom === undefined
      ? other !== undefined && storedKind(other) === storedKind(kind)
      : other.custom.definition === kind.custom?.definition;
  if (other === undefined || !isSame) return undefined;
  return {
    atom: atomOf(other),
    of: conversion(kind, other, findConverted),
    back: conversion(other, kind, findConverted),
  };
}

function conversion(
  from: Kind,
  to: Kind,
  findConverted: FindConverted | undefined,
): (object: JsonObject) => JsonObject {
  const typed = { apiVersion: formatGroupVersion(to), kind: to.kind };
  const isByWebhook = from.custom?.conversion.kind === 'webhook';
  return (object) => {
    const converted = isByWebhook ? findConverted?.(from, object, to) : undefined;
    if (converted !== undefined) return { ...converted, ...typed };
    const stored = from.storedAs?.toStored(object) ?? object;
    return { ...(to.storedAs?.fromStored(stored) ?? stored), ...typed };
  };
}

/** Takes from a set what a write of the part leaves as it was, whatever it says. */
function resetOf(kind: Kind, subresource: string): (set: FieldSet) => FieldSet {
  const rule = resetRuleOf(kind, subresource);
  if ('only' in rule) {
    const kept = rule.only.map((path) => path.split('.'));
    return (set) => makeSet(keptChildren(set, kept));
  }
  const fields = setOfPaths(rule.fields.map((path) => path.split('.').map(fieldElement)));
  return (set) => withoutBelow(set, fields);
}

function resetMembersOf(rule: ResetRule): readonly string[] | undefined {
  return 'fields' in rule && !rule.fields.some((path) => path.includes('.')) ? rule.fields : undefined;
}

/** What is at one of the paths, or below; `*` is any element. */
function keptChildren(
  node: FieldSet,
  paths: readonly (readonly string[])[],
): readonly (readonly [string, FieldSet])[] {
  const children: (readonly [string, FieldSet])[] = [];
  for (const [element, child] of childrenOf(node)) {
    const matching = paths
      .filter(([first = '']) => first === '*' || fieldElement(first) === element)
      .map(([, ...rest]) => rest);
    if (matching.length === 0) continue;
    const isWhole = matching.some((rest) => rest.length === 0);
    const kept = isWhole ? child : makeNode(isMember(child), keptChildren(child, matching));
    if (kept !== undefined) children.push([element, kept]);
  }
  return children;
}
