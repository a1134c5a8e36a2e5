import { PodwrightError } from '#base/errors.ts';
import type { IpFamily } from '#base/ip.ts';
import { targetOf } from './parse.ts';
import type { SavedTables, Xtables } from './xtables.ts';

export interface FakeXtables extends Xtables {
  /** Texts that were carried out, oldest first. */
  readonly restored: readonly string[];
  /** Lets the next restore fail, as a rule does that the kernel refuses. */
  failOnce(): void;
  /** Somebody else empties and removes all chains of a table (`iptables -F; iptables -X`). */
  flush(family: IpFamily, table: string): void;
}

const builtins: Readonly<Record<string, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

type Table = Map<string, string[]>;

/** Tables in memory; each table of a text at once, like the program. Rules are told as they were given. */
export function createFakeXtables(): FakeXtables {
  const families: Readonly<Record<IpFamily, Map<string, Table>>> = { 4: new Map(), 6: new Map() };
  const restored: string[] = [];
  let fails = false;
  return {
    restored,
    hasTables: async (family) => families[family].size > 0,
    save: async (family): Promise<SavedTables> => structuredClone(families[family]),
    restore: async (family, text) => {
      if (text === '') return;
      if (fails) {
        fails = false;
        throw refused('invalid argument');
      }
      const tables = families[family];
      let name = '';
      let table: Table = new Map();
      for (const line of text.split('\n').filter((each) => each !== '')) {
        if (line.startsWith('*')) {
          name = line.slice(1);
          table = structuredClone(tables.get(name)) ?? emptyTable(name);
        } else if (line === 'COMMIT') {
          tables.set(name, table);
        } else {
          apply(table, line);
        }
      }
      restored.push(text);
    },
    failOnce: () => {
      fails = true;
    },
    flush: (family, name) => void families[family].set(name, emptyTable(name)),
  };
}

function emptyTable(name: string): Table {
  return new Map((builtins[name] ?? []).map((chain) => [chain, []]));
}

function refused(why: string): PodwrightError {
  return new PodwrightError('E_KERNEL', `run iptables-restore: ${why}`);
}

function apply(table: Table, line: string): void {
  if (line.startsWith(':')) {
    table.set(line.slice(1).split(' ')[0] ?? '', []);
    return;
  }
  const [, verb, chain = '', rule = ''] = /^-([AIDXF]) (\S+) ?(.*)$/.exec(line) ?? [];
  const rules = table.get(chain);
  if (rules === undefined) throw refused(`${line}: no such chain`);
  const target = targetOf(rule) ?? '';
  if (/^KUBE-|^PODWRIGHT-/.test(target) && !table.has(target)) throw refused(`${line}: no chain ${target}`);
  if (verb === 'A') rules.push(rule);
  else if (verb === 'I') rules.unshift(rule);
  else if (verb === 'F') rules.length = 0;
  else if (verb === 'D') removeRule(rules, line, rule);
  else removeChain(table, chain);
}

function removeRule(rules: string[], line: string, rule: string): void {
  const at = rules.indexOf(rule);
  if (at < 0) throw refused(`${line}: no such rule`);
  rules.splice(at, 1);
}

function removeChain(table: Table, chain: string): void {
  const isUsed = [...table.values()].some((rules) => rules.some((rule) => targetOf(rule) === chain));
  if (isUsed || (table.get(chain)?.length ?? 0) > 0) throw refused(`-X ${chain}: in use`);
  table.delete(chain);
}
