import type { NftOp, NftSet, TableRef } from '#native/nft/nft.ts';
import type { AffinityChain } from './contribution.ts';

/** The chains of frontends with session affinity, with the sets that they use. They are few. */
export interface ChainSet {
  replace(old: readonly AffinityChain[], current: readonly AffinityChain[]): void;
  /** What differs from the last take: what must be there before elements lead to it, and what comes after. */
  takeChanges(): { readonly before: readonly NftOp[]; readonly after: readonly NftOp[] };
  /** Rules of the chains as they were taken last; none of them is two for the kernel. */
  ruleCount(): number;
  /** All of them; also takes the changes. */
  takeAll(): readonly AffinityChain[];
}

interface ChainState {
  readonly chain: AffinityChain;
  readonly text: string;
}

type Chains = Map<string, ChainState>;

export function createChainSet(table: TableRef): ChainSet {
  const chains: Chains = new Map();
  const taken: Chains = new Map();
  const touched = new Set<string>();

  const settle = (): void => {
    for (const name of touched) {
      const state = chains.get(name);
      if (state === undefined) taken.delete(name);
      else taken.set(name, state);
    }
    touched.clear();
  };
  return {
    replace(old, current) {
      for (const { name } of old) {
        chains.delete(name);
        touched.add(name);
      }
      for (const chain of current) {
        chains.set(chain.name, { chain, text: JSON.stringify(chain) });
        touched.add(chain.name);
      }
    },
    takeChanges() {
      const changed = [...touched].filter((name) => taken.get(name)?.text !== chains.get(name)?.text);
      const changes =
        changed.length === 0 ? { before: [], after: [] } : planChains(table, changed, { taken, chains });
      settle();
      return changes;
    },
    ruleCount() {
      return [...taken.values()].reduce((sum, { chain }) => sum + chain.rules.length, 0);
    },
    takeAll() {
      settle();
      return [...chains.values()].map((state) => state.chain);
    },
  };
}

function planChains(
  table: TableRef,
  changed: readonly string[],
  { taken, chains }: { readonly taken: Chains; readonly chains: Chains },
): { readonly before: readonly NftOp[]; readonly after: readonly NftOp[] } {
  // All sets are looked at when one chain changes, since two chains of a Service may share one.
  const [oldSets, newSets] = [setsOf(taken), setsOf(chains)];
  const before: NftOp[] = [];
  const after: NftOp[] = [];
  for (const [name, set] of newSets) if (!oldSets.has(name)) before.push({ op: 'addSet', table, set });
  for (const name of changed) {
    const chain = chains.get(name)?.chain;
    const rules = (chain?.rules ?? []).map((rule): NftOp => ({ op: 'addRule', table, chain: name, rule }));
    if (!taken.has(name)) {
      before.push({ op: 'addChain', table, chain: { name } }, ...rules);
      continue;
    }
    after.push({ op: 'flushChain', table, name }, ...rules);
    if (chain === undefined) after.push({ op: 'removeChain', table, name });
  }
  for (const name of oldSets.keys()) if (!newSets.has(name)) after.push({ op: 'removeSet', table, name });
  return { before, after };
}

function setsOf(chains: Chains): ReadonlyMap<string, NftSet> {
  return new Map([...chains.values()].flatMap(({ chain }) => chain.sets).map((set) => [set.name, set]));
}
