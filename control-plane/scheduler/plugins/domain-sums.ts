import type { SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { sumsOver } from '#control-plane/scheduler/template-memory.ts';
import { labelOf } from './affinity-terms.ts';

/** What the pods of nodes add for topology domains: a domain is all nodes that have one value of a label. */
export interface DomainSums {
  /** No domain has anything. */
  readonly isEmpty: boolean;
  /** Of all domains that the node is in. */
  of(node: NodeInfo): number;
  /** Whether something was added in the node's domain by this label. */
  has(node: NodeInfo, topologyKey: string): boolean;
  /** Whether something was added in any of the node's domains. */
  hasAny(node: NodeInfo): boolean;
}

/**
 * `what` names the sums among those of the pod's template; `adds` may ask about labels of namespaces. `among`: the only nodes that add
 * anything, where nothing is remembered and all would be asked.
 */
export function domainSums(
  context: SchedulingContext,
  what: string,
  adds: (node: NodeInfo) => readonly (readonly [topologyKey: string, amount: number])[],
  among?: readonly NodeInfo[] | undefined,
): DomainSums {
  const name = `${what} ${context.snapshot.namespaceVersion ?? 0}`;
  const keys = sumsOver(context, name, (node) => adds(node).map(([key]) => [key, 0] as const), among);
  const byKey = [...keys.keys()].map((key) => {
    const ofKey = (node: NodeInfo): readonly (readonly [string, number])[] => {
      const value = labelOf(node, key);
      if (value === undefined) return [];
      return adds(node).flatMap(([other, amount]) => (other === key ? [[value, amount] as const] : []));
    };
    return { key, sums: sumsOver(context, `${name} ${key}`, ofKey, among) };
  });
  const isIn = (node: NodeInfo, { key, sums }: (typeof byKey)[number]): boolean => {
    const value = labelOf(node, key);
    return value !== undefined && sums.has(value);
  };
  return {
    isEmpty: byKey.every(({ sums }) => sums.size === 0),
    has: (node, topologyKey) => byKey.some((one) => one.key === topologyKey && isIn(node, one)),
    hasAny: (node) => byKey.some((one) => isIn(node, one)),
    of: (node) => {
      let sum = 0;
      for (const { key, sums } of byKey) sum += sums.get(labelOf(node, key) ?? '')?.amount ?? 0;
      return sum;
    },
  };
}
