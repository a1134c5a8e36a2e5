/** One table of the fake: existence rules as the kernel's nf_tables_api.c has them. */
import { unreachable } from '#base/unreachable.ts';
import { kernelError } from '#native/sys/errno.ts';
import type {
  NftChain,
  NftCounter,
  NftElement,
  NftExpr,
  NftRule,
  NftSet,
  NftTable,
  TableRef,
} from './nft.ts';
import { keyValueTypes } from './set-layout.ts';
import { valueRange } from './values.ts';

interface FakeSet {
  readonly set: NftSet;
  readonly elements: ReadonlyMap<string, NftElement>; // by canonical key
}

interface FakeChain {
  readonly chain: NftChain;
  readonly rules: readonly NftRule[];
}

const refuse = (errno: string, what: string): Error => kernelError(what, errno);

export class FakeTable {
  readonly ref: TableRef;
  readonly #sets: Map<string, FakeSet>;
  readonly #chains: Map<string, FakeChain>;
  readonly #counters: Map<string, NftCounter>;

  constructor(ref: TableRef, from?: FakeTable) {
    this.ref = { family: ref.family, name: ref.name };
    this.#sets = new Map(from?.copySets());
    this.#chains = new Map(from?.copyChains());
    this.#counters = new Map(from?.copyCounters());
  }

  /** What it holds is never changed in place: entries can be shared between a table and its copy. */
  copySets(): ReadonlyMap<string, FakeSet> {
    return this.#sets;
  }

  copyChains(): ReadonlyMap<string, FakeChain> {
    return this.#chains;
  }

  copyCounters(): ReadonlyMap<string, NftCounter> {
    return this.#counters;
  }

  get value(): NftTable {
    const elements = [...this.#sets].map(([name, { elements }]) => [name, [...elements.values()]] as const);
    return {
      ...this.ref,
      sets: [...this.#sets.values()].map(({ set }) => set),
      chains: [...this.#chains.values()].map(({ chain, rules }) => ({ ...chain, rules })),
      elements: Object.fromEntries(elements.filter(([, list]) => list.length > 0)),
      ...(this.#counters.size > 0 && { counters: [...this.#counters.values()] }),
    };
  }

  addWhole(table: NftTable): void {
    for (const counter of table.counters ?? []) this.addCounter(counter);
    for (const chain of table.chains) this.addChain(chain);
    for (const set of table.sets) this.addSet(set);
    for (const [name, elements] of Object.entries(table.elements)) this.addElements(name, elements);
    for (const chain of table.chains) for (const rule of chain.rules) this.addRule(chain.name, rule);
  }

  addSet(set: NftSet): void {
    if (this.#sets.has(set.name)) throw refuse('EEXIST', `add set ${set.name}`);
    this.#sets.set(set.name, { set, elements: new Map() });
  }

  removeSet(name: string): void {
    this.#set(name);
    const uses = (expr: NftExpr): boolean => setOf(expr) === name;
    if (this.#rules().some((rule) => rule.exprs.some(uses))) throw refuse('EBUSY', `remove set ${name}`);
    this.#sets.delete(name);
  }

  addCounter(counter: NftCounter): void {
    if (this.#counters.has(counter.name)) throw refuse('EEXIST', `add counter ${counter.name}`);
    this.#counters.set(counter.name, counter);
  }

  removeCounter(name: string): void {
    if (!this.#counters.has(name)) throw refuse('ENOENT', `find counter ${name}`);
    const isUsed = this.#rules().some((rule) => rule.exprs.some((expr) => counterOf(expr) === name));
    if (isUsed) throw refuse('EBUSY', `remove counter ${name}`);
    this.#counters.delete(name);
  }

  addChain({ name, hook }: NftChain): void {
    if (this.#chains.has(name)) throw refuse('EEXIST', `add chain ${name}`);
    this.#chains.set(name, { chain: { name, ...(hook !== undefined && { hook }) }, rules: [] });
  }

  flushChain(name: string): void {
    this.#chains.set(name, { ...this.#chain(name), rules: [] });
  }

  removeChain(name: string): void {
    this.#chain(name);
    const jumpsHere = (rule: NftRule): boolean => rule.exprs.some((expr) => jumpOf(expr) === name);
    const inRules = [...this.#chains.values()].some(
      (chain) => chain.chain.name !== name && chain.rules.some(jumpsHere),
    );
    const inElements = [...this.#sets.values()].some(({ elements }) =>
      [...elements.values()].some((element) => chainOf(element) === name),
    );
    if (inRules || inElements) throw refuse('EBUSY', `remove chain ${name}`);
    this.#chains.delete(name);
  }

  addRule(chainName: string, rule: NftRule): void {
    const chain = this.#chain(chainName);
    for (const expr of rule.exprs) this.#checkExpression(expr);
    this.#chains.set(chainName, { ...chain, rules: [...chain.rules, rule] });
  }

  addElements(name: string, added: readonly NftElement[]): void {
    const { set, elements } = this.#set(name);
    const changed = new Map(elements);
    for (const element of added) {
      const target = chainOf(element);
      if (target !== undefined) this.#jumpTarget(target);
      const key = canonicalKey(set, element);
      const present = changed.get(key);
      const differs = present !== undefined && JSON.stringify(present.data) !== JSON.stringify(element.data);
      if (differs || (set.interval === true && overlapsOther(changed, key))) {
        throw refuse('EEXIST', `add element to ${name}`);
      }
      if (present === undefined) changed.set(key, element);
    }
    this.#sets.set(name, { set, elements: changed });
  }

  removeElements(name: string, removed: readonly NftElement[]): void {
    const { set, elements } = this.#set(name);
    const changed = new Map(elements);
    for (const element of removed) {
      if (!changed.delete(canonicalKey(set, element))) throw refuse('ENOENT', `remove element of ${name}`);
    }
    this.#sets.set(name, { set, elements: changed });
  }

  #checkExpression(expr: NftExpr): void {
    const name = setOf(expr);
    const set = name === undefined ? undefined : this.#set(name).set;
    const target = jumpOf(expr);
    if (target !== undefined) this.#jumpTarget(target);
    const counter = counterOf(expr);
    if (counter !== undefined && !this.#counters.has(counter))
      throw refuse('ENOENT', `find counter ${counter}`);
    switch (expr.expr) {
      case 'lookup':
        if (set?.dataTypes !== undefined) throw refuse('EINVAL', `look up in map ${name} as in a set`);
        return;
      case 'vmap':
      case 'dnat map':
        if (set?.dataTypes === undefined) throw refuse('EINVAL', `look up in set ${name} as in a map`);
        return;
      case 'update': // Which sets take updates depends on the backend that the kernel chose: most do.
      case 'match':
      case 'dnat':
      case 'snat':
      case 'masquerade':
      case 'redirect':
      case 'mark set':
      case 'counter':
      case 'notrack':
      case 'reject':
      case 'verdict':
        return;
      default:
        unreachable(expr);
    }
  }

  /** Only a chain without a hook can be jumped to. */
  #jumpTarget(name: string): void {
    if (this.#chain(name).chain.hook !== undefined) throw refuse('EOPNOTSUPP', `jump to base chain ${name}`);
  }

  #rules(): readonly NftRule[] {
    return [...this.#chains.values()].flatMap(({ rules }) => rules);
  }

  #set(name: string): FakeSet {
    const found = this.#sets.get(name);
    if (found === undefined) throw refuse('ENOENT', `find set ${name}`);
    return found;
  }

  #chain(name: string): FakeChain {
    const found = this.#chains.get(name);
    if (found === undefined) throw refuse('ENOENT', `find chain ${name}`);
    return found;
  }
}

function setOf(expr: NftExpr): string | undefined {
  if (expr.expr === 'lookup' || expr.expr === 'update') return expr.set;
  return expr.expr === 'vmap' || expr.expr === 'dnat map' ? expr.map : undefined;
}

function jumpOf(expr: NftExpr): string | undefined {
  return expr.expr === 'verdict' && 'chain' in expr.verdict ? expr.verdict.chain : undefined;
}

function counterOf(expr: NftExpr): string | undefined {
  return expr.expr === 'counter' ? expr.name : undefined;
}

function chainOf(element: NftElement): string | undefined {
  const { data } = element;
  return data !== undefined && 'chain' in data ? data.chain : undefined;
}

/** First and last value of each part in hex, so that 0x50 and 80, `tcp` and 6 are one key. */
function canonicalKey(set: NftSet, element: NftElement): string {
  return keyValueTypes(set)
    .map((type, index) => valueRange(type, element.key[index] ?? '').map((bytes) => bytes.toString('hex')))
    .map(([first, last]) => `${first}-${last}`)
    .join(' ');
}

/** Whether another element of the set has a value in common, in every part of the key. */
function overlapsOther(elements: ReadonlyMap<string, NftElement>, key: string): boolean {
  const bounds = (text: string): readonly string[][] => text.split(' ').map((part) => part.split('-'));
  const wanted = bounds(key);
  return [...elements.keys()].some(
    (other) =>
      other !== key &&
      bounds(other).every(([first = '', last = ''], index) => {
        const [from = '', to = ''] = wanted[index] ?? [];
        return first <= to && from <= last;
      }),
  );
}
