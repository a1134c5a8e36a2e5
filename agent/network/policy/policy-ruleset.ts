import { createElementClaims, type SetDiff } from '#agent/proxy/element-claims.ts';
import { familyFacts } from '#agent/proxy/table-layout.ts';
import { kernelRuleCount } from '#native/nft/loads.ts';
import type { NftCounter, NftOp, NftRule, NftSet, NftTable } from '#native/nft/nft.ts';
import type { Compiled } from './compile.ts';
import { createPeerBook, type PeerBook } from './peer-book.ts';
import { policyTable, renderLayout } from './policy-layout.ts';

/** The table of one family as it should be. What is taken is what must be committed, or the whole table follows. */
export interface PolicyRuleset {
  /** Pods of the cluster, by which sets of peers are filled. */
  readonly peers: Pick<PeerBook, 'setPod' | 'refresh'>;
  /** Replaces what policies come to. */
  setRules(compiled: Compiled): void;
  /** What brings the kernel from the last take to now, for one transaction. */
  takeChanges(): Changes;
  /** The whole table, counters as they stand; also takes the changes. */
  takeTable(counters: ReadonlyMap<string, NftCounter>): NftTable;
  /** How many rules the kernel has once all that was taken is committed. */
  ruleCount(): number;
}

export interface Changes {
  readonly ops: readonly NftOp[];
  /** Whether something may be forbidden that was not before. */
  readonly forbids: boolean;
}

type Taken = Pick<Compiled, 'chains' | 'counters' | 'sets' | 'hasTiers'>;

export function createPolicyRuleset(
  family: 'ip' | 'ip6',
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined,
): PolicyRuleset {
  const facts = familyFacts[family];
  const table = policyTable(family);
  const elements = createElementClaims();
  const peers = createPeerBook({
    facts,
    namespaceLabels,
    claim: (owner, { set, element }) => elements.claim(owner, set, element),
    release: (owner, { set, element }) => elements.release(owner, set, element),
  });
  const none: Compiled = {
    chains: new Map(),
    counters: new Set(),
    sets: new Map(),
    peers: new Map(),
    elements: [],
    hasTiers: false,
  };
  let current = none;
  let taken: Taken = none;
  const layoutOf = ({ hasTiers }: Taken): ReturnType<typeof renderLayout> => renderLayout(facts, hasTiers);
  const setsOf = (): ReadonlySet<string> =>
    new Set([...layoutOf(current).sets.map(({ name }) => name), ...current.sets.keys()]);

  return {
    peers,
    setRules(compiled) {
      for (const { set, element } of current.elements) elements.release(rulesOwner, set, element);
      for (const { set, element } of compiled.elements) elements.claim(rulesOwner, set, element);
      peers.setSets(compiled.peers);
      current = compiled;
    },
    takeChanges() {
      const there = setsOf();
      const diffs = elements.takeDiff().filter(({ set }) => there.has(set.name));
      const { ops, hasChangedChains } = planChanges(table, { taken, current, diffs });
      taken = current;
      return { ops, forbids: hasChangedChains || diffs.some(mayForbid) };
    },
    takeTable(counters) {
      taken = current;
      const [there, layout] = [setsOf(), layoutOf(current)];
      const all = Object.entries(elements.takeAll()).filter(([name]) => there.has(name));
      return {
        ...table,
        sets: [...layout.sets, ...current.sets.values()],
        chains: [...layout.chains, ...[...current.chains].map(([name, rules]) => ({ name, rules }))],
        elements: Object.fromEntries(all),
        counters: [...current.counters].map((name) => counters.get(name) ?? noCount(name)),
      };
    },
    ruleCount() {
      const lists = [...layoutOf(taken).chains.map(({ rules }) => rules), ...taken.chains.values()];
      return lists.flat().reduce((sum, rule) => sum + kernelRuleCount(rule), 0);
    },
  };
}

/** As whom policies claim elements; pods' keys have a slash. */
const rulesOwner = 'rules';

const noCount = (name: string): NftCounter => ({ name, packets: 0, bytes: 0 });

/** A set that loses an element allows less; where a pod comes to be isolated, or by others, is more that it says. */
function mayForbid({ set, removed, added }: SetDiff): boolean {
  return removed.length > 0 || (set.dataTypes !== undefined && added.length > 0);
}

/**
 * One transaction. The kernel looks at each op as it comes: what is named is made before, and what goes is named by nothing any more.
 * Removals of elements come first, as a key may get other data.
 */
function planChanges(
  table: NftTable | ReturnType<typeof policyTable>,
  given: { readonly taken: Taken; readonly current: Taken; readonly diffs: readonly SetDiff[] },
): { readonly ops: readonly NftOp[]; readonly hasChangedChains: boolean } {
  const { taken, current, diffs } = given;
  const chains = changedChains(taken.chains, current.chains);
  const added = <T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): readonly T[] =>
    [...after].flatMap(([name, value]) => (before.has(name) ? [] : [value]));
  const isNew = (name: string): boolean => !taken.chains.has(name);
  const rulesOf = (name: string): readonly NftOp[] =>
    (current.chains.get(name) ?? []).map((rule): NftOp => ({ op: 'addRule', table, chain: name, rule }));
  const gone = chains.filter((name) => !current.chains.has(name));
  const ops: readonly NftOp[] = [
    ...added<NftSet>(taken.sets, current.sets).map((set): NftOp => ({ op: 'addSet', table, set })),
    ...[...current.counters.difference(taken.counters)].map((name): NftOp => ({
      op: 'addCounter',
      table,
      counter: noCount(name),
    })),
    ...chains.filter(isNew).map((name): NftOp => ({ op: 'addChain', table, chain: { name } })),
    ...chains.filter((name) => !isNew(name)).map((name): NftOp => ({ op: 'flushChain', table, name })),
    ...diffs.flatMap(({ set, removed }): readonly NftOp[] =>
      removed.length === 0 ? [] : [{ op: 'removeElements', table, set, elements: removed }],
    ),
    ...diffs.flatMap(({ set, added: more }): readonly NftOp[] =>
      more.length === 0 ? [] : [{ op: 'addElements', table, set, elements: more }],
    ),
    ...chains.flatMap(rulesOf),
    ...gone.map((name): NftOp => ({ op: 'removeChain', table, name })),
    ...[...taken.counters.difference(current.counters)].map((name): NftOp => ({
      op: 'removeCounter',
      table,
      name,
    })),
    ...added<NftSet>(current.sets, taken.sets).map(({ name }): NftOp => ({ op: 'removeSet', table, name })),
  ];
  return { ops, hasChangedChains: chains.some((name) => !isNew(name)) };
}

/** Names of chains that come, go, or have other rules. */
function changedChains(
  before: ReadonlyMap<string, readonly NftRule[]>,
  after: ReadonlyMap<string, readonly NftRule[]>,
): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => textOf(before.get(name)) !== textOf(after.get(name)));
}

const texts = new WeakMap<readonly NftRule[], string>();

function textOf(rules: readonly NftRule[] | undefined): string | undefined {
  if (rules === undefined) return undefined;
  const text = texts.get(rules) ?? JSON.stringify(rules);
  texts.set(rules, text);
  return text;
}
