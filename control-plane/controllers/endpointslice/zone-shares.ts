import type { Node } from '#api/generated/objects.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import { quantityToMilli, tryParseQuantity } from '#api/meta/quantity.ts';
import { zoneOf } from '#api/meta/zone.ts';

/** Which part of the processors that pods may have is in each zone; they add up to 1, and there are two zones at least. */
export type ZoneShares = ReadonlyMap<string, number>;

/** What a node that is ready brings: processors in a zone, or that it does not say which or how many. */
type Brought = { readonly zone: string; readonly cpuMilli: number } | 'untold';

/** Nodes that do no work of users are not counted (topologycache: hasExcludedLabels). */
const excludedLabels = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master'];

/** The shares, kept as nodes change (k8s.io/endpointslice/topologycache, SetNodes). */
export class ZoneProcessors {
  readonly #nodes = new Map<string, Brought>();
  readonly #milli = new Map<string, number>();
  #untold = 0;

  /** The node of that name is so now; undefined: it is gone. @returns whether that may change the shares */
  put(name: string, node: Node | undefined): boolean {
    const [before, now] = [this.#nodes.get(name), broughtBy(node)];
    if (isSameBrought(before, now)) return false;
    this.#add(before, -1);
    this.#add(now, 1);
    if (now === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, now);
    return true;
  }

  /** undefined: there is one zone, or a node that is ready says too little. */
  get shares(): ZoneShares | undefined {
    if (this.#untold > 0 || this.#milli.size < 2) return undefined;
    const total = this.#milli.values().reduce((sum, milli) => sum + milli, 0);
    return new Map([...this.#milli].map(([zone, milli]) => [zone, milli / total]));
  }

  #add(brought: Brought | undefined, count: 1 | -1): void {
    if (brought === undefined) return;
    if (brought === 'untold') return void (this.#untold += count);
    const { zone, cpuMilli } = brought;
    const milli = (this.#milli.get(zone) ?? 0) + count * cpuMilli;
    if (milli === 0) this.#milli.delete(zone);
    else this.#milli.set(zone, milli);
  }
}

function broughtBy(node: Node | undefined): Brought | undefined {
  if (node === undefined || !isConditionTrue(node.status?.conditions, 'Ready')) return undefined;
  if (excludedLabels.some((label) => node.metadata?.labels?.[label] !== undefined)) return undefined;
  const cpu = tryParseQuantity(node.status?.allocatable?.['cpu']);
  const [zone = '', cpuMilli] = [zoneOf(node), cpu === undefined ? 0 : quantityToMilli(cpu)];
  return zone === '' || cpuMilli <= 0 ? 'untold' : { zone, cpuMilli };
}

function isSameBrought(a: Brought | undefined, b: Brought | undefined): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.zone === b.zone && a.cpuMilli === b.cpuMilli;
}
