import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import { renderNetns } from '#native/netlink/render.ts';
import { kernelError } from '#native/sys/errno.ts';
import { encodeBatch } from './encode.ts';
import { FakeTable } from './fake-table.ts';
import type { ConntrackMatch, Flow, Nft, NftOp, NftTable, TableRef } from './nft.ts';
import { kernelRuleCount } from './loads.ts';
import { renderNftOp } from './render.ts';

export interface FakeNft extends Nft {
  /** What a table holds; undefined when it is not there. */
  table(netns: NetnsRef, table: TableRef): NftTable | undefined;
  /** The transactions that went through, oldest first. */
  readonly commits: readonly { readonly netns: string; readonly ops: readonly NftOp[] }[];
  /** What flushConntrack was asked for. */
  readonly flushes: readonly ConntrackMatch[];
  /** What the kernel tracks; removeFlows takes from it. */
  readonly tracked: Set<Flow>;
  /** Lets the next commit fail at the op of that index. */
  failOnce(errno: string, index?: number): void;
  /** Somebody else removes a table. */
  dropTable(netns: NetnsRef, table: TableRef): void;
}

type Tables = ReadonlyMap<string, FakeTable>;

const keyOf = (table: TableRef): string => `${table.family} ${table.name}`;

/** Tables in memory, per namespace; every namespace exists. All or nothing, like the kernel. */
export function createFakeNft(): FakeNft {
  const namespaces = new Map<string, Tables>();
  const commits: { readonly netns: string; readonly ops: readonly NftOp[] }[] = [];
  const flushes: ConntrackMatch[] = [];
  const tracked = new Set<Flow>();
  let failure: { readonly errno: string; readonly index: number } | undefined;
  const generations = new Map<string, number>();
  const replace = (netns: NetnsRef, tables: Tables): void => {
    const key = renderNetns(netns);
    namespaces.set(key, tables);
    generations.set(key, (generations.get(key) ?? 0) + 1);
  };
  const tablesOf = (netns: NetnsRef): Tables => namespaces.get(renderNetns(netns)) ?? new Map();
  return {
    commit: async (netns, ops) => {
      encodeBatch(ops); // What cannot be encoded is refused as by the real one.
      const { errno, index: failing } = failure ?? {};
      failure = undefined;
      const tables = new Map(tablesOf(netns));
      ops.forEach((op, index) => {
        try {
          if (errno !== undefined && index === failing) throw kernelError(renderNftOp(op), errno);
          applyOp(tables, op);
        } catch (error) {
          throw opError(error, op, index);
        }
      });
      replace(netns, tables);
      commits.push({ netns: renderNetns(netns), ops });
    },
    hasTable: async (netns, table) => tablesOf(netns).has(keyOf(table)),
    ruleCount: async (netns, table) =>
      (tablesOf(netns).get(keyOf(table))?.value.chains ?? [])
        .flatMap(({ rules }) => rules)
        .reduce((sum, rule) => sum + kernelRuleCount(rule), 0),
    generation: async (netns) => generations.get(renderNetns(netns)) ?? 0,
    counters: async (netns, table) => tablesOf(netns).get(keyOf(table))?.value.counters ?? [],
    flows: async (_netns, addresses) =>
      [...tracked].filter(({ source, target }) => addresses.includes(source) || addresses.includes(target)),
    removeFlows: async (_netns, flows) => flows.filter((flow) => tracked.delete(flow)).length,
    flushConntrack: async (_netns, matches) => {
      flushes.push(...matches);
      return 0;
    },
    table: (netns, table) => tablesOf(netns).get(keyOf(table))?.value,
    commits,
    flushes,
    tracked,
    failOnce: (errno, index = 0) => {
      failure = { errno, index };
    },
    dropTable: (netns, table) => {
      const left = [...tablesOf(netns)].filter(([key]) => key !== keyOf(table));
      replace(netns, new Map(left));
    },
  };
}

function opError(error: unknown, op: NftOp, index: number): unknown {
  if (!isPodwrightError(error)) return error;
  const [attempt] = renderNftOp(op).split('\n', 1);
  return new PodwrightError(error.code, `${attempt}: ${errnoOf(error)}`, {
    detail: { index, errno: errnoOf(error) },
  });
}

/** Changes the map and puts changed copies of tables into it; the tables that others see stay as they are. */
function applyOp(tables: Map<string, FakeTable>, op: NftOp): void {
  const key = keyOf(op.table);
  const change = (work: (table: FakeTable) => void): void => {
    const present = tables.get(key);
    if (present === undefined) throw kernelError(`find table ${key}`, 'ENOENT');
    const copy = new FakeTable(op.table, present);
    work(copy);
    tables.set(key, copy);
  };
  switch (op.op) {
    case 'replaceTable': {
      const table = new FakeTable(op.table);
      table.addWhole(op.table);
      tables.set(key, table);
      return;
    }
    case 'ensureTable':
      if (!tables.has(key)) tables.set(key, new FakeTable(op.table));
      return;
    case 'removeTable':
      tables.delete(key);
      return;
    case 'addSet':
      return change((table) => table.addSet(op.set));
    case 'removeSet':
      return change((table) => table.removeSet(op.name));
    case 'addCounter':
      return change((table) => table.addCounter(op.counter));
    case 'removeCounter':
      return change((table) => table.removeCounter(op.name));
    case 'addChain':
      return change((table) => table.addChain(op.chain));
    case 'flushChain':
      return change((table) => table.flushChain(op.name));
    case 'removeChain':
      return change((table) => table.removeChain(op.name));
    case 'addRule':
      return change((table) => table.addRule(op.chain, op.rule));
    case 'addElements':
      return op.elements.length === 0
        ? undefined
        : change((table) => table.addElements(op.set.name, op.elements));
    case 'removeElements':
      return op.elements.length === 0
        ? undefined
        : change((table) => table.removeElements(op.set.name, op.elements));
    default:
      return unreachable(op);
  }
}
