import { gracePeriodMs, startupGracePeriodMs } from './plan.ts';
import type { Node } from '#api/generated/objects.ts';
import { isConditionTrue } from '#api/meta/condition.ts';

/*
 * How fast pods are taken from nodes that are not ready, by zones (pkg/controller/nodelifecycle: ComputeZoneState, handleDisruption).
 */

/** Options of kube-controller-manager. */
export interface ZoneSettings {
  /** A node that is silent for so long is marked as silent (`--node-monitor-grace-period`). */
  readonly graceMs: number;
  /** The same of one that never said whether it is ready (`--node-startup-grace-period`). */
  readonly startupGraceMs: number;
  /** Nodes a second whose pods go, in a zone that is well, or wholly silent while others are not. */
  readonly nodeEvictionRate: number;
  /** The same in a large cluster's zone that is partly silent; in a smaller cluster none. */
  readonly secondaryNodeEvictionRate: number;
  /** The share of nodes that are not ready from which on a zone is partly silent. */
  readonly unhealthyZoneThreshold: number;
  /** A zone of more nodes is large. */
  readonly largeClusterSizeThreshold: number;
}

export const zoneDefaults: ZoneSettings = {
  graceMs: gracePeriodMs,
  startupGraceMs: startupGracePeriodMs,
  nodeEvictionRate: 0.1,
  secondaryNodeEvictionRate: 0.01,
  unhealthyZoneThreshold: 0.55,
  largeClusterSizeThreshold: 50,
};

export type ZoneState = 'Normal' | 'PartialDisruption' | 'FullDisruption';

/** How it is in a zone. */
export interface Zone {
  readonly state: ZoneState;
  /** Nodes a second whose pods may go. */
  readonly perSecond: number;
}

/** All zones by their keys, and whether nothing is heard of any: then something is likelier between the nodes and us. */
export interface Zones {
  readonly zones: ReadonlyMap<string, Zone>;
  readonly isNobodyHeard: boolean;
}

/** So few nodes that are not ready are no disruption of a zone. */
const fewMax = 2;

/** A node of this label, whatever its value, says nothing of how its zone is (isNodeExcludedFromDisruptionChecks). */
const excludedLabel = 'node.kubernetes.io/exclude-disruption';

/** Region and zone of a node, as one key; of one that says neither the empty one. */
export function zoneKey({ metadata }: Node): string {
  const { labels = {} } = metadata ?? {};
  const [region, zone] = [labels['topology.kubernetes.io/region'], labels['topology.kubernetes.io/zone']];
  return region === undefined && zone === undefined ? '' : `${region ?? ''}:${zone ?? ''}`;
}

interface ZoneCount {
  readonly ready: number;
  readonly silent: number;
}

/** How many nodes of each zone say that they are ready, and how many do not: kept as nodes change, so that nobody looks at all of them. */
export class ZoneCounts {
  readonly #places = new Map<string, { readonly zone: string; readonly isReady: boolean }>();
  readonly #zones = new Map<string, ZoneCount>();
  #ready = 0;

  /** The node of that name is so now; undefined: it is gone. */
  put(name: string, node: Node | undefined): void {
    const before = this.#places.get(name);
    if (before !== undefined) this.#add(before, -1);
    this.#places.delete(name);
    if (node === undefined || node.metadata?.labels?.[excludedLabel] !== undefined) return;
    const place = { zone: zoneKey(node), isReady: isConditionTrue(node.status?.conditions, 'Ready') };
    this.#places.set(name, place);
    this.#add(place, 1);
  }

  get zones(): ReadonlyMap<string, ZoneCount> {
    return this.#zones;
  }

  /** Whether nothing is heard of any node: then it is likelier that something is between them and us than that all died. */
  get isNobodyHeard(): boolean {
    return this.#places.size > 0 && this.#ready === 0;
  }

  #add({ zone, isReady }: { readonly zone: string; readonly isReady: boolean }, count: 1 | -1): void {
    const { ready, silent } = this.#zones.get(zone) ?? { ready: 0, silent: 0 };
    const next = isReady ? { ready: ready + count, silent } : { ready, silent: silent + count };
    if (next.ready + next.silent === 0) this.#zones.delete(zone);
    else this.#zones.set(zone, next);
    if (isReady) this.#ready += count;
  }
}

/** Pure. */
export function planZones(
  { zones, isNobodyHeard }: Pick<ZoneCounts, 'zones' | 'isNobodyHeard'>,
  settings: ZoneSettings,
): Zones {
  const states = [...zones].map(([key, count]): readonly [string, Zone] => {
    const state = stateOf(count, settings);
    const perSecond = isNobodyHeard ? 0 : rateOf(state, count.ready + count.silent, settings);
    return [key, { state, perSecond }];
  });
  return { zones: new Map(states), isNobodyHeard };
}

function stateOf({ ready, silent }: ZoneCount, { unhealthyZoneThreshold }: ZoneSettings): ZoneState {
  if (ready === 0 && silent > 0) return 'FullDisruption';
  if (silent > fewMax && silent / (ready + silent) >= unhealthyZoneThreshold) return 'PartialDisruption';
  return 'Normal';
}

function rateOf(state: ZoneState, size: number, settings: ZoneSettings): number {
  if (state !== 'PartialDisruption') return settings.nodeEvictionRate;
  return size > settings.largeClusterSizeThreshold ? settings.secondaryNodeEvictionRate : 0;
}

/** Lets nodes of a zone lose their pods one after another. Times are monotonic. */
export class ZonePace {
  readonly #lastMs = new Map<string, number>();

  /** 0: now, which counts; above 0: ask again in so many ms, or, where none may, after `idleMs`. */
  take(key: string, { perSecond }: Pick<Zone, 'perSecond'>, nowMs: number): number {
    if (perSecond <= 0) return idleMs;
    const lastMs = this.#lastMs.get(key);
    const leftMs = lastMs === undefined ? 0 : lastMs + 1000 / perSecond - nowMs;
    if (leftMs > 0) return Math.min(idleMs, Math.ceil(leftMs));
    this.#lastMs.set(key, nowMs);
    return 0;
  }

  /** Zones that are no more. */
  forget(present: ReadonlyMap<string, unknown>): void {
    for (const key of this.#lastMs.keys()) if (!present.has(key)) this.#lastMs.delete(key);
  }
}

/** How soon a zone is looked at again that lets nobody go. */
const idleMs = 5_000;
