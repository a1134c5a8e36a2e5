import type { NftElement, NftSet } from '#native/nft/nft.ts';

/**
 * Elements of sets, each wanted by any number of owners: a pod behind two Services, an external address claimed twice. The
 * first has it; when it lets go, the next one gets it.
 */
export interface ElementClaims {
  claim(owner: string, set: NftSet, element: NftElement): void;
  /** Takes back one claim; the same owner may have others on the element. */
  release(owner: string, set: NftSet, element: NftElement): void;
  /** What differs from the last take. Costs what was touched since. */
  takeDiff(): readonly SetDiff[];
  /** Everything, by set; also takes the differences. */
  takeAll(): Readonly<Record<string, readonly NftElement[]>>;
}

export interface SetDiff {
  readonly set: NftSet;
  readonly removed: readonly NftElement[];
  readonly added: readonly NftElement[];
}

interface Claim {
  readonly owner: string;
  readonly element: NftElement;
}

interface SetState {
  readonly set: NftSet;
  readonly claims: Map<string, Claim[]>;
  /** What was there at the last take, of the keys touched since. */
  readonly touched: Map<string, NftElement | undefined>;
}

export function createElementClaims(): ElementClaims {
  const sets = new Map<string, SetState>();

  /** Notes what was there, and returns the claims as they are. */
  const touch = (
    set: NftSet,
    element: NftElement,
  ): { readonly state: SetState; readonly key: string; readonly claims: Claim[] } => {
    const state = sets.get(set.name) ?? { set, claims: new Map(), touched: new Map() };
    sets.set(set.name, state);
    const key = element.key.join(' . ');
    const claims = state.claims.get(key) ?? [];
    if (!state.touched.has(key)) state.touched.set(key, claims[0]?.element);
    return { state, key, claims };
  };

  return {
    claim(owner, set, element) {
      const { state, key, claims } = touch(set, element);
      claims.push({ owner, element });
      state.claims.set(key, claims);
    },
    release(owner, set, element) {
      const { state, key, claims } = touch(set, element);
      const at = claims.findIndex((item) => item.owner === owner);
      if (at >= 0) claims.splice(at, 1);
      if (claims.length === 0) state.claims.delete(key);
    },
    takeDiff() {
      const states = [...sets.values()].filter((state) => state.touched.size > 0);
      const diffs = states.map(diffSet);
      for (const state of states) state.touched.clear();
      return diffs;
    },
    takeAll() {
      for (const state of sets.values()) state.touched.clear();
      const entries = [...sets.values()].map(({ set, claims }): readonly [string, readonly NftElement[]] => [
        set.name,
        [...claims.values()].flatMap(([first]) => (first === undefined ? [] : [first.element])),
      ]);
      return Object.fromEntries(entries);
    },
  };
}

function diffSet(state: SetState): SetDiff {
  const removed: NftElement[] = [];
  const added: NftElement[] = [];
  for (const [key, old] of state.touched) {
    const current = state.claims.get(key)?.[0]?.element;
    if (hasSameData(old, current)) continue;
    if (old !== undefined) removed.push(old);
    if (current !== undefined) added.push(current);
  }
  return { set: state.set, removed, added };
}

function hasSameData(a: NftElement | undefined, b: NftElement | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || JSON.stringify(a.data) === JSON.stringify(b.data);
}
