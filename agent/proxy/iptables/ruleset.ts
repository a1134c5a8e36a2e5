import { PodwrightError } from '#base/errors.ts';
import type { TableOptions } from '#agent/proxy/table-layout.ts';
import { targetOf } from '#native/xtables/parse.ts';
import { renderRestore, renderRule, type TableChanges } from '#native/xtables/render.ts';
import type { SavedTable, SavedTables, XtChain, XtTableName } from '#native/xtables/xtables.ts';
import { isProxyChain, markerChain } from './chain-names.ts';
import type { IptablesContribution } from './contribution.ts';
import { renderIptablesLayout, type IptablesLayout } from './layout.ts';

/** The tables of a family as they should be. What is taken must be carried out, or the whole follows. */
export interface IptablesRuleset {
  /** Replaces what a Service contributes (undefined: nothing any more). */
  set(key: string, contribution: IptablesContribution | undefined): void;
  /** Text for iptables-restore: the chains that are other ones than at the last take. Empty: none is. */
  takeChanges(): string;
  /**
   * The same of all chains, whatever is there; also takes the changes.
   * @throws E_BUSY when another Service proxy has its chains there
   */
  takeWhole(saved: SavedTables): string;
  /** Has what is there without any Service by other networks, from the next take on. */
  relayout(options: TableOptions): void;
  /** Whether all that was taken is there. */
  isIn(saved: SavedTables): boolean;
  /** How much of it is, by table. */
  countIn(saved: SavedTables): readonly RuleCounts[];
  /** How many rules its chains had at the last take, by table. */
  ruleCounts(): ReadonlyMap<string, number>;
}

export interface RuleCounts {
  readonly name: XtTableName;
  /** Rules of our chains, and those that lead to them. */
  readonly rulesWanted: number;
  /** A rule too many counts as one that is missing. */
  readonly rulesFound: number;
}

/** `nat KUBE-SERVICES` */
type ChainId = `${XtTableName} ${string}`;

const idOf = ({ table, name }: Pick<XtChain, 'table' | 'name'>): ChainId => `${table} ${name}`;

/** Each Service's rules in a chain; a chain of one Service has one entry. */
type Parts = Map<string, readonly string[]>;

export function createIptablesRuleset(options: TableOptions): IptablesRuleset {
  const layout = renderIptablesLayout(options);
  let base = baseOf(layout);
  const parts = new Map<ChainId, Parts>();
  const idsOf = new Map<string, readonly ChainId[]>();
  const touched = new Set<ChainId>();
  const taken = new Map<ChainId, readonly string[]>();

  /** In order of the Services' names: of two with the same external address the first has it, on every node. */
  const rulesOf = (id: ChainId): readonly string[] | undefined => {
    const [own, fixed] = [parts.get(id), base.get(id)];
    if (own === undefined) return fixed;
    const keys = [...own.keys()].toSorted();
    return [...keys.flatMap((key) => own.get(key) ?? []), ...(fixed ?? [])];
  };
  const settle = (ids: Iterable<ChainId>): void => {
    for (const id of ids) {
      const rules = rulesOf(id);
      if (rules === undefined) taken.delete(id);
      else taken.set(id, rules);
    }
    touched.clear();
  };
  return {
    set(key, contribution) {
      const chains = [...(contribution?.chains ?? []), ...(contribution?.shared ?? [])];
      for (const id of idsOf.get(key) ?? []) {
        touched.add(id);
        const own = parts.get(id);
        own?.delete(key);
        if (own?.size === 0) parts.delete(id);
      }
      for (const chain of chains) {
        const id = idOf(chain);
        touched.add(id);
        const own: Parts = parts.get(id) ?? new Map();
        parts.set(id, own.set(key, chain.rules.map(renderRule)));
      }
      if (chains.length === 0) idsOf.delete(key);
      else idsOf.set(key, chains.map(idOf));
    },
    takeChanges() {
      const ids = [...touched];
      const changed = ids.filter((id) => !isSame(taken.get(id), rulesOf(id)));
      const chains = changed.map((id) => ({ id, rules: rulesOf(id) }));
      settle(ids);
      return renderRestore(layout.tables.map((table) => changesOf(table, chains)));
    },
    takeWhole(saved) {
      for (const [name, table] of saved) requireOurs(name, table);
      const ids = new Set([...base.keys(), ...parts.keys()]);
      taken.clear();
      settle(ids);
      return renderRestore(layout.tables.map((table) => wholeOf(table, { layout, saved, taken })));
    },
    // Networks are named in rules of chains alone: which chains there are, and what leads to them, stays.
    relayout(changed) {
      base = baseOf(renderIptablesLayout(changed));
      for (const id of base.keys()) touched.add(id);
    },
    isIn: (saved) =>
      layout.tables.every((table) => {
        const { rulesWanted, rulesFound } = countRules(table, { layout, saved, taken });
        return rulesFound === rulesWanted;
      }),
    countIn: (saved) => layout.tables.map((table) => countRules(table, { layout, saved, taken })),
    ruleCounts: () => countTaken(layout.tables, taken),
  };
}

function countTaken(
  tables: readonly XtTableName[],
  taken: ReadonlyMap<ChainId, readonly string[]>,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(tables.map((table) => [table, 0]));
  for (const [id, rules] of taken) {
    const [table = ''] = id.split(' ');
    counts.set(table, (counts.get(table) ?? 0) + rules.length);
  }
  return counts;
}

function baseOf({ chains }: IptablesLayout): ReadonlyMap<ChainId, readonly string[]> {
  return new Map(chains.map((chain) => [idOf(chain), chain.rules.map(renderRule)]));
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.join('\n') === b.join('\n'));
}

interface Changed {
  readonly id: ChainId;
  /** undefined: it is there no more. */
  readonly rules: readonly string[] | undefined;
}

function changesOf(table: XtTableName, changed: readonly Changed[]): TableChanges {
  const own = changed.filter(({ id }) => id.startsWith(`${table} `));
  const nameOf = ({ id }: Changed): string => id.slice(table.length + 1);
  return {
    table,
    chains: new Map(own.flatMap((each) => (each.rules === undefined ? [] : [[nameOf(each), each.rules]]))),
    removed: own.filter(({ rules }) => rules === undefined).map(nameOf),
    inserted: [],
    deleted: [],
  };
}

interface Whole {
  readonly layout: IptablesLayout;
  readonly saved: SavedTables;
  readonly taken: ReadonlyMap<ChainId, readonly string[]>;
}

function wholeOf(table: XtTableName, { layout, saved, taken }: Whole): TableChanges {
  const there = saved.get(table);
  const chains = new Map(
    [...taken].flatMap(([id, rules]) =>
      id.startsWith(`${table} `) ? [[id.slice(table.length + 1), rules] as const] : [],
    ),
  );
  const jumps = layout.jumps.filter((jump) => jump.table === table);
  return {
    table,
    chains,
    removed: [...(there?.keys() ?? [])].filter((name) => isProxyChain(table, name) && !chains.has(name)),
    // Ours anew, so that their order is known: what is deleted and inserted changes at once.
    deleted: ownJumps(there),
    inserted: jumps.map(({ builtin, rule }) => ({ chain: builtin, rule: renderRule(rule) })),
  };
}

/** Rules of other chains that lead to ours, once each though they be there twice: deleting one deletes one. */
function ownJumps(table: SavedTable | undefined): TableChanges['deleted'] {
  return [...(table ?? [])].flatMap(([chain, rules]) =>
    isBuiltin(chain) ? rules.filter(leadsToOurs).map((rule) => ({ chain, rule })) : [],
  );
}

const isBuiltin = (chain: string): boolean =>
  ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].includes(chain);

function leadsToOurs(rule: string): boolean {
  const target = targetOf(rule) ?? '';
  return ['raw', 'nat', 'filter'].some((table) => isProxyChain(table, target));
}

/** @throws E_BUSY: chains of a Service proxy, and not the one by which ours are known */
function requireOurs(name: string, table: SavedTable): void {
  if (table.has(markerChain)) return;
  const strange = [...table.keys()].find((chain) => isProxyChain(name, chain));
  if (strange === undefined) return;
  throw new PodwrightError(
    'E_BUSY',
    `write Service rules: chain ${strange} of table ${name} is another Service proxy's; stop that and remove its rules (kube-proxy --cleanup), or take --proxy-mode nftables`,
  );
}

function countRules(name: XtTableName, { layout, saved, taken }: Whole): RuleCounts {
  const table = saved.get(name);
  const jumps = layout.jumps.filter((jump) => jump.table === name);
  const present = jumps.filter(({ builtin, chain }) =>
    table?.get(builtin)?.some((rule) => targetOf(rule) === chain),
  );
  let [rulesWanted, rulesFound] = [jumps.length, present.length];
  for (const [id, rules] of taken) {
    if (!id.startsWith(`${name} `)) continue;
    // A chain that is gone is missed though it had no rules.
    const found = table?.get(id.slice(name.length + 1))?.length;
    const lost = found === undefined ? rules.length + 1 : Math.abs(rules.length - found);
    rulesWanted += rules.length + 1;
    rulesFound += rules.length + 1 - Math.min(lost, rules.length + 1);
  }
  return { name, rulesWanted, rulesFound };
}

/** Text that takes away all that is proven ours: chains of a table that has the marker, what leads to them, and the marker. Pure. */
export function planIptablesRemoval(saved: SavedTables): string {
  return renderRestore(
    [...saved]
      .filter(([, chains]) => chains.has(markerChain))
      .map(([table, chains]) => ({
        table,
        chains: new Map(),
        removed: [...chains.keys()].filter((name) => isProxyChain(table, name) || name === markerChain),
        inserted: [],
        deleted: ownJumps(chains),
      })),
  );
}
