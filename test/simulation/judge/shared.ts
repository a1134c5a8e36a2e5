/** What only one object may have. */
import { at } from '#api/wire/json.ts';
import type { Held, Ledger } from './ledger.ts';

/** Of a resource, the path of what no two of them share: a text, or a list of them. */
const alone: Readonly<Record<string, readonly string[]>> = {
  services: ['spec.clusterIPs'],
  nodes: ['spec.podCIDRs'],
};

/** What another object has, too, that only one may have; undefined: nothing. Pure. */
export function sharedWith(held: Held, ledger: Ledger): string | undefined {
  for (const path of alone[held.resource] ?? []) {
    const own = textsAt(held, path).filter((text) => text !== 'None');
    if (own.length === 0) continue;
    const other = ledger
      .all(held.resource)
      .find((one) => one.key !== held.key && textsAt(one, path).some((text) => own.includes(text)));
    if (other !== undefined) return `${held.key} has ${path} ${own.join(', ')}, as ${other.key} has`;
  }
  return undefined;
}

function textsAt({ object }: Held, path: string): readonly string[] {
  const value = at(object, path);
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
