import type { ResourceQuota } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { addQuantity, subtractQuantity, zeroQuantity, type Quantity } from '#api/meta/quantity.ts';
import { isInScope } from '#api/quota/scope.ts';
import type { ClaimSurroundings } from '#api/quota/claim-usage.ts';
import { isCountedBy, untilMsOf, usageIn, usageOf, type KindName, type Usage } from '#api/quota/usage.ts';
import { equalJson } from '#api/wire/json.ts';

/** What a quota says of what it counts. */
export type Counts = ResourceQuota & JsonObject;

/** An object as it was and as it is; undefined: absent. */
export interface CountedChange {
  readonly old: JsonObject | undefined;
  readonly current: JsonObject | undefined;
}

/** How much the objects take of what the quota limits of their kind, by the names of its limits. Pure. */
export function sumUsage(quota: Counts, kind: KindName, counted: Counted): Usage {
  return new Tally(quota, kind, counted).used;
}

/** What a sum is of. */
export interface Counted {
  readonly objects: readonly JsonObject[];
  readonly nowMs: number;
  /** Of claims of devices; undefined: what they take of extended resources is left out. */
  readonly around?: ClaimSurroundings | undefined;
}

/**
 * The same sum, kept as objects come, change and go: a change costs what changed, however many there are. It is that of one instant: when
 * an object takes less as time goes by, it is counted anew.
 */
export class Tally {
  readonly #quota: Counts;
  readonly #kind: KindName;
  readonly #used: Map<string, Quantity>;
  readonly #nowMs: number;
  readonly #around: ClaimSurroundings | undefined;
  /** What each took when it was added, where that goes by what is around it and may be something else by now. */
  readonly #taken = new WeakMap<JsonObject, Usage>();
  #untilMs = Infinity;

  /** `objects` are all of the kind in the quota's namespace; what the quota does not take in is left out. */
  constructor(quota: Counts, kind: KindName, { objects, nowMs, around }: Counted) {
    this.#nowMs = nowMs;
    this.#around = around;
    this.#quota = quota;
    this.#kind = kind;
    const names = Object.keys(quota.spec?.hard ?? {}).filter((name) => isCountedBy(kind, name));
    this.#used = new Map(names.map((name) => [name, zeroQuantity]));
    for (const object of objects) this.#take(object, addQuantity);
  }

  get used(): Usage {
    return this.#used;
  }

  /** Until when the sum is this one if nothing changes (unix ms), or earlier. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /**
   * Every change of an object must be told, once, in order: what is taken off is what `old` took.
   * @returns whether the sum is another one, or will be earlier
   */
  change({ old, current }: CountedChange): boolean {
    const untilMs = this.#untilMs;
    const before = [...this.#used.values()];
    if (old !== undefined) this.#take(old, subtractQuantity);
    if (current !== undefined) this.#take(current, addQuantity);
    return (
      this.#untilMs < untilMs ||
      [...this.#used.values()].some(({ nanos }, index) => nanos !== before[index]?.nanos)
    );
  }

  #take(object: JsonObject, by: (a: Quantity, b: Quantity) => Quantity): void {
    if (!isInScope(this.#quota, this.#kind, object)) return;
    const untilMs = untilMsOf(this.#kind, object);
    if (untilMs >= this.#nowMs) this.#untilMs = Math.min(this.#untilMs, untilMs);
    const usage = this.#usageOf(object);
    for (const [name, used] of this.#used) this.#used.set(name, by(used, usageIn(usage, name)));
  }

  #usageOf(object: JsonObject): Usage {
    const known = this.#taken.get(object);
    if (known !== undefined) return known;
    const usage = usageOf(this.#kind, object, this.#nowMs, this.#around);
    if (this.#around !== undefined) this.#taken.set(object, usage);
    return usage;
  }
}

/** Where the objects of a kind are, and which of them are in a namespace. */
export interface CountedObjects {
  byIndex(index: 'namespace', namespace: string): readonly JsonObject[];
}

interface KnownTally {
  readonly spec: ResourceQuota['spec'];
  /** Of which cache: one that began anew is counted anew. */
  readonly objects: CountedObjects;
  readonly tally: Tally;
}

/** The tallies of quotas, each made when it is first asked for. */
export class Tallies {
  /** By namespace, name of the quota, and kind. */
  readonly #known = new Map<string, Map<string, Map<string, KnownTally>>>();

  /** How much objects of the kind take of the quota, and until when at least if nothing changes (unix ms). */
  used(
    quota: Counts,
    {
      kind,
      objects,
      ...counted
    }: Omit<Counted, 'objects'> & { readonly kind: KindName; readonly objects: CountedObjects },
  ): Pick<Tally, 'used' | 'untilMs'> {
    const { namespace = '', name = '' } = quota.metadata ?? {};
    const ofNamespace = this.#known.get(namespace) ?? new Map<string, Map<string, KnownTally>>();
    this.#known.set(namespace, ofNamespace);
    const ofQuota = ofNamespace.get(name) ?? new Map<string, KnownTally>();
    ofNamespace.set(name, ofQuota);
    const found = ofQuota.get(idOf(kind));
    if (
      found?.objects === objects &&
      found.tally.untilMs >= counted.nowMs &&
      equalJson(found.spec, quota.spec)
    )
      return found.tally;
    const tally = new Tally(quota, kind, { objects: objects.byIndex('namespace', namespace), ...counted });
    ofQuota.set(idOf(kind), { spec: quota.spec, objects, tally });
    return tally;
  }

  /**
   * Takes in that an object of the kind changed.
   * @returns the names of the namespace's quotas of which something else is used now
   */
  change(namespace: string, kind: KindName, change: CountedChange): readonly string[] {
    return [...(this.#known.get(namespace) ?? [])].flatMap(([name, ofQuota]) =>
      ofQuota.get(idOf(kind))?.tally.change(change) === true ? [name] : [],
    );
  }

  /**
   * What objects of the kind take is something else now, though they did not change: they are counted anew when they are next asked for.
   * @returns the keys of the quotas that count them, of the namespace or of all
   */
  recount(kind: KindName, namespace?: string): readonly string[] {
    return [...this.#known].flatMap(([of, quotas]) =>
      namespace !== undefined && of !== namespace
        ? []
        : [...quotas].flatMap(([name, ofQuota]) => (ofQuota.delete(idOf(kind)) ? [`${of}/${name}`] : [])),
    );
  }

  /** The quota is gone. */
  forget(namespace: string, name: string): void {
    const ofNamespace = this.#known.get(namespace);
    ofNamespace?.delete(name);
    if (ofNamespace?.size === 0) this.#known.delete(namespace);
  }
}

function idOf({ group, resource }: KindName): string {
  return `${group}/${resource}`;
}
