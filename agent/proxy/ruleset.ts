import type { NftOp, NftRule, NftSet, NftTable } from '#native/nft/nft.ts';
import { createChainSet } from './chain-set.ts';
import type { Contribution } from './contribution.ts';
import { createElementClaims } from './element-claims.ts';
import {
  familyFacts,
  renderLayout,
  slotMap,
  slotRule,
  tableRef,
  type Place,
  type TableOptions,
} from './table-layout.ts';

/** The table as it should be, kept per Service: replacing one Service's contribution costs what that Service has. */
export interface Ruleset {
  /** Replaces what a Service contributes (undefined: nothing any more). */
  set(key: string, contribution: Contribution | undefined): void;
  /** What brings the kernel from the last take to now, for one transaction; nothing if nothing changed. */
  takeChanges(): readonly NftOp[];
  /** The whole table; also takes the changes. */
  takeTable(): NftTable;
}

interface SlotRule {
  readonly place: Place;
  readonly rule: NftRule;
  readonly set: NftSet;
}

export function createRuleset(options: TableOptions): Ruleset {
  const facts = familyFacts[options.family];
  const table = tableRef(options.family);
  const layout = renderLayout(options);
  const contributions = new Map<string, Contribution>();
  const elements = createElementClaims();
  const chains = createChainSet(table);
  // Never removed: an empty map costs a new connection one lookup, and the same number of backends will come again.
  const slotRules = new Map<string, SlotRule>();
  const newSlotRules = new Set<SlotRule>();

  const ensureSlots = (place: Place, slots: number): void => {
    const set = slotMap(place, slots, facts);
    if (slotRules.has(set.name)) return;
    const rule = { place, rule: slotRule(place, slots, facts), set };
    slotRules.set(set.name, rule);
    newSlotRules.add(rule);
  };

  return {
    set(owner, contribution) {
      const old = contributions.get(owner);
      for (const { set, element } of old?.elements ?? []) elements.release(owner, set, element);
      for (const { set, element } of contribution?.elements ?? []) elements.claim(owner, set, element);
      for (const { place, slots } of contribution?.slots ?? []) ensureSlots(place, slots);
      chains.replace(old?.chains ?? [], contribution?.chains ?? []);
      if (contribution === undefined) contributions.delete(owner);
      else contributions.set(owner, contribution);
    },

    takeChanges() {
      const slots = [...newSlotRules];
      newSlotRules.clear();
      const { before, after } = chains.takeChanges();
      const diffs = elements.takeDiff();
      return [
        ...slots.map(({ set }): NftOp => ({ op: 'addSet', table, set })),
        ...before,
        // Removals first: a key may move from one Service to another within one transaction.
        ...diffs
          .filter(({ removed }) => removed.length > 0)
          .map(({ set, removed }): NftOp => ({ op: 'removeElements', table, set, elements: removed })),
        ...diffs
          .filter(({ added }) => added.length > 0)
          .map(({ set, added }): NftOp => ({ op: 'addElements', table, set, elements: added })),
        ...slots.map(({ place, rule }): NftOp => ({ op: 'addRule', table, chain: place, rule })),
        ...after,
      ];
    },

    takeTable() {
      newSlotRules.clear();
      const slots = [...slotRules.values()];
      const affinity = chains.takeAll();
      const rulesOf = (chain: string): readonly NftRule[] =>
        slots.filter(({ place }) => place === chain).map(({ rule }) => rule);
      const affinitySets = new Map(affinity.flatMap((chain) => chain.sets).map((set) => [set.name, set]));
      return {
        ...layout,
        sets: [...layout.sets, ...slots.map(({ set }) => set), ...affinitySets.values()],
        chains: [
          ...layout.chains.map((chain) => ({ ...chain, rules: [...chain.rules, ...rulesOf(chain.name)] })),
          ...affinity.map(({ name, rules }) => ({ name, rules })),
        ],
        elements: elements.takeAll(),
      };
    },
  };
}
