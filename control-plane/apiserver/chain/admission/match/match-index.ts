import type { NamedRuleWithOperations } from '#api/generated/objects.ts';
import type { KindCatalogue } from '#api/schema/kind-catalogue.ts';
import { findSubresource, storedKind, type Kind } from '#api/schema/kinds.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import type { Verb } from '#control-plane/apiserver/chain/route.ts';
import type { MatchConstraints } from './match-constraints.ts';
import { matchesRule, type RuleQuestion } from './request-rule.ts';

/** One that may have a say: a webhook, a policy, a binding. */
export interface Matchable<T> {
  readonly item: T;
  readonly constraints: MatchConstraints;
}

/** One whose rules are about a request, and as which kind it is to see the objects: that of the request, or an equivalent one. */
export interface Matched<T> extends Matchable<T> {
  readonly as: Kind;
}

/** What is asked of an index. */
export interface MatchQuestion extends RuleQuestion {
  readonly verb: Verb;
  readonly kind: Kind;
  readonly name: string;
}

/** Configurations of admission themselves are beyond the reach of those in the API, so that a bad one can be mended (IsExemptAdmissionConfigurationResource). */
const exemptGroup = 'admissionregistration.k8s.io';

/** One rule that is about a kind of request; of the names that it lists, where it lists any. */
interface Alternative {
  readonly as: Kind;
  readonly names: ReadonlySet<string> | undefined;
}

interface Row<T> extends Matchable<T> {
  /** In the order of the rules, up to the first that is about all names. */
  readonly alternatives: readonly Alternative[];
  readonly excludedNames: ReadonlySet<string>;
}

/** What is asked of the rules of one kind of request. */
interface Rows<T> {
  readonly rows: readonly Row<T>[];
  /** The answer, where no name matters. */
  readonly always: readonly Matched<T>[] | undefined;
}

/**
 * Who has a say in what, by kind, subresource and operation: worked out when it is first asked, and kept while the same kinds are served. So
 * a request that nobody has a say in costs two look-ups. An index is a value: other configurations are another one.
 */
export class MatchIndex<T> {
  readonly #items: readonly Matchable<T>[];
  #versions: readonly ServedVersion[] | undefined;
  #rows = new WeakMap<Kind, Map<string, Rows<T>>>();

  /** @param items in the order in which they are to be asked */
  constructor(items: readonly Matchable<T>[]) {
    this.#items = items;
  }

  /** Those whose rules are about the request, in order. Selectors and conditions are the caller's to ask. */
  find(kinds: KindCatalogue, question: MatchQuestion): readonly Matched<T>[] {
    if (this.#items.length === 0) return [];
    const { rows, always } = this.#rowsOf(kinds, question);
    if (always !== undefined) return always;
    const name = question.verb === 'deletecollection' ? '' : question.name; // Of a collection nobody names them.
    return rows.flatMap(({ item, constraints, alternatives, excludedNames }) => {
      if (excludedNames.has(name)) return [];
      const found = alternatives.find(({ names }) => names === undefined || names.has(name));
      return found === undefined ? [] : [{ item, constraints, as: found.as }];
    });
  }

  #rowsOf(kinds: KindCatalogue, { kind, subresource, operation }: MatchQuestion): Rows<T> {
    if (this.#versions !== kinds.versions) {
      this.#versions = kinds.versions;
      this.#rows = new WeakMap();
    }
    let ofKind = this.#rows.get(kind);
    if (ofKind === undefined) this.#rows.set(kind, (ofKind = new Map()));
    const key = `${operation} ${subresource}`;
    let rows = ofKind.get(key);
    if (rows === undefined) {
      rows = makeRows(this.#items, kinds, { kind, subresource, operation });
      ofKind.set(key, rows);
    }
    return rows;
  }
}

function makeRows<T>(
  items: readonly Matchable<T>[],
  kinds: KindCatalogue,
  question: RuleQuestion & { readonly kind: Kind },
): Rows<T> {
  const isExempt = question.kind.group === exemptGroup;
  const asked = isExempt ? items.filter(({ constraints }) => constraints.isStatic) : items;
  if (asked.length === 0) return { rows: [], always: [] };
  const equivalents = equivalentKinds(kinds, question);
  const rows = asked.flatMap((item) => rowOf(item, question, equivalents));
  const isAlways = rows.every(
    ({ alternatives: [first], excludedNames }) => first?.names === undefined && excludedNames.size === 0,
  );
  const always = rows.flatMap(({ item, constraints, alternatives: [first] }) =>
    first === undefined ? [] : [{ item, constraints, as: first.as }],
  );
  return { rows, always: isAlways ? always : undefined };
}

function rowOf<T>(
  { item, constraints }: Matchable<T>,
  question: RuleQuestion & { readonly kind: Kind },
  equivalents: readonly Kind[],
): readonly Row<T>[] {
  const { rules, matchesAll, excluded, matchesEquivalents } = constraints;
  const others = matchesEquivalents ? equivalents : [];
  const exclusions = alternativesOf(excluded, question, others);
  if (exclusions.some(({ names }) => names === undefined)) return [];
  const alternatives = matchesAll
    ? [{ as: question.kind, names: undefined }]
    : alternativesOf(rules, question, others);
  if (alternatives.length === 0) return [];
  const excludedNames = new Set(exclusions.flatMap(({ names = [] }) => [...names]));
  return [{ item, constraints, alternatives, excludedNames }];
}

/** A rule about the request as it is goes before one about the same objects under another name. */
function alternativesOf(
  rules: readonly NamedRuleWithOperations[],
  question: RuleQuestion & { readonly kind: Kind },
  others: readonly Kind[],
): readonly Alternative[] {
  const found: Alternative[] = [];
  const own = rules.map((rule) => ({ rule, as: question.kind }));
  const equivalent = rules.flatMap((rule) => others.map((as) => ({ rule, as })));
  for (const { rule, as } of [...own, ...equivalent]) {
    if (!matchesRule(rule, { ...question, kind: as })) continue;
    const { resourceNames = [] } = rule;
    const names = resourceNames.length === 0 ? undefined : new Set(resourceNames);
    found.push({ as, names });
    if (names === undefined) break;
  }
  return found;
}

/** The other kinds that show the same stored objects, and have the subresource; those of one group first, as they are served. */
export function equivalentKinds(
  kinds: KindCatalogue,
  { kind, subresource }: { readonly kind: Kind; readonly subresource: string },
): readonly Kind[] {
  const stored = storedKind(kind);
  return kinds.versions
    .flatMap((served) => served.kinds)
    .filter(
      (other) =>
        other !== kind &&
        isSameStored(storedKind(other), stored) &&
        (subresource === '' || findSubresource(other, subresource) !== undefined),
    );
}

function isSameStored(a: Kind, b: Kind): boolean {
  return a.group === b.group && a.resource === b.resource;
}
