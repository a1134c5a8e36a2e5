import { kernelRuleCount } from '#native/nft/loads.ts';
import type { NftOp, NftRule, NftTable, TableRef } from '#native/nft/nft.ts';
import { createChainSet } from './chain-set.ts';
import type { Contribution, SharedSet } from './contribution.ts';
import { createElementClaims, type SetDiff } from './element-claims.ts';
import { renderLayout, tableRef, type TableOptions } from './table-layout.ts';

/** The table as it should be, kept per Service: replacing one Service's contribution costs what that Service has. */
export interface Ruleset {
  /** Replaces what a Service contributes (undefined: nothing any more). */
  set(key: string, contribution: Contribution | undefined): void;
  /** What brings the kernel from the last take to now, for one transaction; nothing if nothing changed. */
  takeChanges(): readonly NftOp[];
  /** How many rules the kernel has once all that was taken is committed. */
  ruleCount(): number;
  /** Has what is there without any Service by other networks: the whole table follows. */
  relayout(options: TableOptions): void;
  /** The whole table; also takes the changes. */
  takeTable(): NftTable;
}

export function createRuleset(options: TableOptions): Ruleset {
  const table = tableRef(options.family);
  let layout = renderLayout(options);
  const contributions = new Map<string, Contribution>();
  const elements = createElementClaims();
  const chains = createChainSet(table);
  // Never removed: an empty set costs a new connection one lookup, and the same number of backends will come again.
  const shared = new Map<string, SharedSet>();
  const newShared = new Set<SharedSet>();

  const ensureShared = (item: SharedSet): void => {
    if (shared.has(item.set.name)) return;
    shared.set(item.set.name, item);
    newShared.add(item);
  };

  return {
    set(owner, contribution) {
      const old = contributions.get(owner);
      for (const { set, element } of old?.elements ?? []) elements.release(owner, set, element);
      for (const { set, element } of contribution?.elements ?? []) elements.claim(owner, set, element);
      for (const item of contribution?.shared ?? []) ensureShared(item);
      chains.replace(old?.chains ?? [], contribution?.chains ?? []);
      if (contribution === undefined) contributions.delete(owner);
      else contributions.set(owner, contribution);
    },

    takeChanges() {
      const added = [...newShared];
      newShared.clear();
      const { before, after } = chains.takeChanges();
      return [
        ...added.map(({ set }): NftOp => ({ op: 'addSet', table, set })),
        ...added
          .filter(hasOwnChain)
          .map(({ chain: name }): NftOp => ({ op: 'addChain', table, chain: { name } })),
        ...before,
        ...elementOps(table, elements.takeDiff()),
        ...added.map(({ chain, rule }): NftOp => ({ op: 'addRule', table, chain, rule })),
        ...after,
      ];
    },

    ruleCount() {
      return countRules(layout.chains) + shared.size - newShared.size + chains.ruleCount();
    },

    relayout(changed) {
      layout = renderLayout(changed);
    },

    takeTable() {
      newShared.clear();
      const all = [...shared.values()];
      const affinity = chains.takeAll();
      const affinitySets = new Map(affinity.flatMap((chain) => chain.sets).map((set) => [set.name, set]));
      return {
        ...layout,
        sets: [...layout.sets, ...all.map(({ set }) => set), ...affinitySets.values()],
        chains: [...withShared(layout.chains, all), ...affinity.map(({ name, rules }) => ({ name, rules }))],
        elements: elements.takeAll(),
      };
    },
  };
}

const hasOwnChain = ({ isChainOwn }: SharedSet): boolean => isChainOwn === true;

/** The chains with the rules of shared sets at their ends, and those that are only for one. */
function withShared(chains: NftTable['chains'], shared: readonly SharedSet[]): NftTable['chains'] {
  const rulesOf = (name: string): readonly NftRule[] =>
    shared.filter(({ chain }) => chain === name).map(({ rule }) => rule);
  return [
    ...chains.map((chain) => ({ ...chain, rules: [...chain.rules, ...rulesOf(chain.name)] })),
    ...shared.filter(hasOwnChain).map(({ chain, rule }) => ({ name: chain, rules: [rule] })),
  ];
}

/** Removals first: a key may move from one Service to another within one transaction. */
function elementOps(table: TableRef, diffs: readonly SetDiff[]): readonly NftOp[] {
  return [
    ...diffs
      .filter(({ removed }) => removed.length > 0)
      .map(({ set, removed }): NftOp => ({ op: 'removeElements', table, set, elements: removed })),
    ...diffs
      .filter(({ added }) => added.length > 0)
      .map(({ set, added }): NftOp => ({ op: 'addElements', table, set, elements: added })),
  ];
}

function countRules(chains: NftTable['chains']): number {
  return chains.flatMap(({ rules }) => rules).reduce((sum, rule) => sum + kernelRuleCount(rule), 0);
}
