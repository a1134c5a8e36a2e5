import type { Node } from '#api/generated/objects.ts';

/** The zone that a node stands in, by its label topology.kubernetes.io/zone; undefined when nobody said. */
export function zoneOf(node: Node | undefined): string | undefined {
  return node?.metadata?.labels?.['topology.kubernetes.io/zone'];
}
