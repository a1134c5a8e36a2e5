import type { SavedTables } from './xtables.ts';

/** Reads what iptables-save writes. Lines that are none of its own are passed over. Pure. */
export function parseSaved(text: string): SavedTables {
  const tables = new Map<string, Map<string, string[]>>();
  let table: Map<string, string[]> | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = tables.get(line.slice(1)) ?? new Map<string, string[]>();
      tables.set(line.slice(1), table);
    } else if (line.startsWith(':')) {
      table?.set(line.slice(1).split(' ')[0] ?? '', []);
    } else if (line.startsWith('-A ')) {
      const [, chain = '', rule = ''] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
      table?.get(chain)?.push(rule);
    }
  }
  return tables;
}

/** The chain that a saved rule leads to, or its target; undefined: it has none. Pure. */
export function targetOf(rule: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(rule)?.[1];
}
