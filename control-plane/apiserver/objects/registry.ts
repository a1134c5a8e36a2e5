import assert from 'node:assert/strict';
import { objectOf, stringOf } from '#api/wire/json.ts';
import { findSubresource, formatGroupVersion, storedKind, type Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { claimChange, isClaimedBy, type IsClaimed } from '#control-plane/apiserver/services/claims.ts';
import type {
  RangeResult,
  Store,
  StoreChange,
  StoredValue,
  StoreOp,
  StoreReader,
} from '#control-plane/store/store.ts';
import { SentObjects } from './custom-bytes.ts';
import { CustomObjects } from './custom-objects.ts';
import { encodeStored, ParsedObjects, type StoredBytes } from './object-bytes.ts';
import { fieldsOf, rememberSelectable } from './selectable.ts';
import { keyPrefix, storageKey } from './storage-key.ts';
import { reading, storing } from './store-answer.ts';

/** An object as it is stored now. `object` is of the kind asked for, with kind and apiVersion. */
export interface Entry {
  readonly object: JsonObject;
  readonly value: StoredValue;
}

/** What to make of an object. `object`: what is put, what whoever removes it is told, or what is left as it is. */
export interface Decision {
  readonly write: 'put' | 'remove' | 'nothing';
  readonly object: JsonObject;
}

/** The object as it is stored at last, of what nobody holds. Does not wait; throws what is wrong with it. */
export type Complete = (object: JsonObject, isClaimed: IsClaimed) => JsonObject;

const asItIs: Complete = (object) => object;

/** What came of a new object. `late`: what should hold besides does not any more. */
export type Created =
  | { readonly outcome: 'created'; readonly object: JsonObject; readonly entry: Entry | undefined }
  | { readonly outcome: 'nameTaken' | 'late' };

/** When an object is changed: as it was at `revision` (0: absent), and what is to hold, and is written, besides. */
export interface Condition {
  readonly revision: number;
  readonly beside: StoreChange | undefined;
}

export interface Changed<D extends Decision> {
  readonly decision: D;
  readonly previous: Entry | undefined;
  /** undefined: nothing is there. */
  readonly entry: Entry | undefined;
}

/** Objects (events) written within this time share a lease, as kube-apiserver's do: fewer leases, and they end a little later. */
const leaseShareMs = 60_000;

/** Objects of all kinds in the store: reading, and writing what was decided on what is there. */
export class Registry {
  readonly store: Store;
  readonly #parsed = new ParsedObjects();
  readonly #sent = new SentObjects();
  /** What custom objects are in other versions than they are stored in. */
  readonly custom: CustomObjects = new CustomObjects();
  readonly #converted = new WeakMap<Uint8Array, WeakMap<Kind, Uint8Array>>();
  readonly #now: () => number;
  /** By the seconds that objects stay. */
  readonly #leases = new Map<number, { readonly lease: Promise<number>; readonly untilMs: number }>();

  constructor(store: Store, now: () => number) {
    this.store = store;
    this.#now = now;
  }

  async read(kind: Kind, namespace: string, name: string): Promise<Entry | undefined> {
    const key = storageKey(storedKind(kind), namespace, name);
    const value = await reading(this.store.get(key), kind, 'get');
    return this.entryOf(kind, value);
  }

  /** As `read`, as whoever converts it says now: what was kept of a custom object is of when it was converted first. */
  async readAnew(kind: Kind, namespace: string, name: string): Promise<Entry | undefined> {
    if (kind.custom?.conversion.kind !== 'webhook') return this.read(kind, namespace, name);
    const key = storageKey(storedKind(kind), namespace, name);
    const value = await reading(this.store.get(key), kind, 'get');
    if (value !== undefined && (await this.custom.prepareAnew(kind, value))) {
      this.#parsed.forget(value.value);
      this.#sent.forget(value.value);
    }
    return this.#entry(kind, value);
  }

  /** As `read`, at once where the store has it at hand: for what every request asks. */
  readAtOnce(kind: Kind, namespace: string, name: string): Entry | undefined | Promise<Entry | undefined> {
    if (kind.custom !== undefined || this.store.peek === undefined) return this.read(kind, namespace, name);
    return this.#entry(kind, this.store.peek(storageKey(storedKind(kind), namespace, name)));
  }

  /** All objects of a kind in a namespace ('' for all). For kinds of which there are few. */
  async readAll(kind: Kind, namespace: string): Promise<readonly JsonObject[]> {
    const { values } = await this.range(kind, this.prefixOf(kind, namespace));
    return values.map((value) => this.objectOf(kind, value));
  }

  /** As `readAll`, with what each is stored as, and the revision at which it is so: that one, or the newest. */
  async readEntries(
    kind: Kind,
    namespace: string,
    revision?: number,
  ): Promise<{ readonly revision: number; readonly entries: readonly Entry[] }> {
    const asked = revision === undefined ? {} : { revision };
    const { values, ...range } = await this.range(kind, this.prefixOf(kind, namespace), asked);
    return {
      revision: range.revision,
      entries: values.flatMap((value) => this.#entry(kind, value) ?? []),
    };
  }

  /** The values of a kind whose keys begin so. */
  async range(kind: Kind, prefix: string, options: Parameters<Store['range']>[1] = {}): Promise<RangeResult> {
    const range = await reading(this.store.range(prefix, options), kind, 'list');
    if (kind.custom !== undefined) await this.custom.prepare(kind, range.values);
    return range;
  }

  /** A stored value as an object of the kind, once that can be known. @throws {E_API} 500 where it cannot be converted */
  async entryOf(kind: Kind, value: StoredValue | undefined): Promise<Entry | undefined> {
    if (value !== undefined && kind.custom !== undefined) await this.custom.prepare(kind, [value]);
    return this.#entry(kind, value);
  }

  prefixOf(kind: Kind, namespace: string): string {
    return keyPrefix(storedKind(kind), namespace);
  }

  /** Whether there is an object of the kind in the namespace, without a look at any. */
  async hasAny(kind: Kind, namespace: string): Promise<boolean> {
    const range = this.store.range(this.prefixOf(kind, namespace), { limit: 1 });
    return (await reading(range, kind, 'list')).values.length > 0;
  }

  /** Whether there is no object of the kind in the namespace, where that is known without waiting. */
  isKnownEmpty(kind: Kind, namespace: string): boolean {
    return this.store.isKnownEmpty?.(this.prefixOf(kind, namespace)) === true;
  }

  /** The parsed object of a stored value. Shared: not to be changed. */
  objectOf(kind: Kind, value: StoredBytes): JsonObject {
    const { storedAs, custom } = kind;
    if (custom !== undefined) return this.#parsed.read(kind, value, this.custom.parse);
    if (storedAs === undefined) return this.#parsed.read(kind, value);
    const object = storedAs.fromStored(this.#parsed.read(storedAs.kind, value));
    return { ...object, kind: kind.kind, apiVersion: formatGroupVersion(kind) };
  }

  /** What the object has in the fields of `ownFieldsOf(kind)`. */
  fieldsOf(kind: Kind, value: StoredBytes): readonly string[] {
    return fieldsOf(kind, value.value, () => this.objectOf(kind, value));
  }

  /** What is stored, as the kind asked for; of a custom one whole, where not its metadata alone is wanted. */
  storedOf(kind: Kind, value: StoredBytes, isPartial = false): StoredBytes {
    if (kind.custom !== undefined)
      return isPartial ? value : this.#sent.get(kind, value, () => this.objectOf(kind, value));
    if (kind.storedAs === undefined) return value;
    let views = this.#converted.get(value.value);
    if (views === undefined) this.#converted.set(value.value, (views = new WeakMap()));
    let bytes = views.get(kind);
    if (bytes === undefined) {
      views.set(kind, (bytes = encodeStored(this.objectOf(kind, value))));
    }
    return { value: bytes, modRevision: value.modRevision };
  }

  /**
   * Stores a new object, as `complete` makes it of what nobody holds in the same step, with what it claims and what is to be written
   * `beside` it.
   */
  async create(
    kind: Kind,
    object: JsonObject,
    {
      complete = asItIs,
      isDryRun = false,
      beside = nothing,
    }: {
      readonly complete?: Complete;
      readonly isDryRun?: boolean;
      readonly beside?: StoreChange | undefined;
    } = {},
  ): Promise<Created> {
    const key = this.#keyOf(kind, object);
    const lease = rulesOf(kind).lifeSeconds === undefined ? 0 : await this.#leaseOf(kind);
    if (kind.custom !== undefined) await this.custom.prepareToStore(kind, object);
    let completed = object;
    const done: { outcome: Created['outcome'] } = { outcome: 'nameTaken' };
    const { value } = await storing(
      this.store.update(key, (current, read) => {
        if (current !== undefined) {
          // Decided again, as an answer was lost: what was written is there, and somebody has changed what went with it.
          const uid = uidOf(object);
          const isOwn =
            done.outcome === 'created' && uid !== '' && uidOf(this.objectOf(kind, current)) === uid;
          if (!isOwn) done.outcome = 'nameTaken';
          return undefined;
        }
        done.outcome = holds(beside, read) ? 'created' : 'late';
        if (done.outcome === 'late') return undefined;
        completed = complete(object, isClaimedBy(read));
        if (isDryRun) return undefined;
        const { expect, ops } = claimChange(kind, { old: undefined, object: completed, nowMs: this.#now() });
        const own = this.#put(kind, key, completed, lease);
        if (findSubresource(kind, 'status') !== undefined) this.#keepWritten(kind, own, completed);
        return withBeside({ expect, ops: [own, ...ops] }, beside);
      }),
    );
    const { outcome } = done;
    if (outcome !== 'created') return { outcome };
    const entry = kind.custom === undefined ? this.#entry(kind, value) : await this.entryOf(kind, value);
    return { outcome, object: completed, entry };
  }

  /**
   * Reads an object, decides and writes as one step, in the order of the calls: see Store.update. `decide` does not wait. What it
   * gives last is `decision`; `previous` is what it was shown, `entry` what is there now.
   */
  async change<D extends Decision>(
    kind: Kind,
    where: { readonly namespace: string; readonly name: string },
    decide: (current: Entry | undefined, isClaimed: IsClaimed) => D,
  ): Promise<Changed<D>> {
    const changed = await this.#change(kind, { ...where, condition: undefined }, decide);
    assert(changed !== undefined);
    return changed;
  }

  /** As `change`, when the condition holds; undefined, and nothing is decided, where it does not. */
  changeIf<D extends Decision>(
    kind: Kind,
    where: { readonly namespace: string; readonly name: string; readonly condition: Condition },
    decide: (current: Entry | undefined, isClaimed: IsClaimed) => D,
  ): Promise<Changed<D> | undefined> {
    return this.#change(kind, where, decide);
  }

  /** What puts an object in place of one that was read, for who writes it beside another. */
  replacing(
    kind: Kind,
    { value: { key, modRevision, lease } }: Entry,
    object: JsonObject,
  ): Required<StoreChange> {
    return { expect: [{ key, modRevision }], ops: [this.#put(kind, key, object, lease)] };
  }

  async #change<D extends Decision>(
    kind: Kind,
    where: {
      readonly namespace: string;
      readonly name: string;
      readonly condition: Condition | undefined;
    },
    decide: (current: Entry | undefined, isClaimed: IsClaimed) => D,
  ): Promise<Changed<D> | undefined> {
    const { namespace, name, condition } = where;
    const beside = condition?.beside ?? nothing;
    const key = storageKey(storedKind(kind), namespace, name);
    const lease = rulesOf(kind).lifeSeconds === undefined ? 0 : await this.#leaseOf(kind);
    let decision: D | undefined;
    const { previous, value } = await storing(
      this.store.update(key, (current, read) => {
        decision = undefined;
        if (condition !== undefined && (current?.modRevision ?? 0) !== condition.revision) return undefined;
        if (!holds(beside, read)) return undefined;
        const entry = this.#entry(kind, current);
        decision = decide(entry, isClaimedBy(read));
        const change = this.#changeOf(kind, { key, lease, entry, decision });
        return change && withBeside(change, beside);
      }),
    );
    if (decision === undefined) return undefined;
    const isKnown = value === previous || kind.custom === undefined;
    const entry = isKnown ? this.#entry(kind, value) : await this.entryOf(kind, value);
    return { decision, previous: this.#entry(kind, previous), entry };
  }

  #entry(kind: Kind, value: StoredValue | undefined): Entry | undefined {
    if (value === undefined) return undefined;
    const objectOf = (): JsonObject => this.objectOf(kind, value);
    return {
      // Parsed only when it is asked for: most answers need nothing but the bytes.
      get object() {
        return objectOf();
      },
      value,
    };
  }

  #keyOf(kind: Kind, object: JsonObject): string {
    const metadata = objectOf(object['metadata']);
    return storageKey(storedKind(kind), stringOf(metadata['namespace']), stringOf(metadata['name']));
  }

  #put(kind: Kind, key: string, object: JsonObject, lease: number): StoreOp {
    const value =
      kind.custom === undefined
        ? encodeStored(kind.storedAs?.toStored(object) ?? object)
        : encodeStored(this.custom.toStored(kind, object), true);
    if (kind.storedAs === undefined) rememberSelectable(kind, value, object);
    return { op: 'put', key, value, lease };
  }

  /** Of what will be read again soon: what changes, and what somebody will report on. */
  #keepWritten(kind: Kind, own: StoreOp, object: JsonObject): void {
    if (own.op !== 'put' || kind.storedAs !== undefined || kind.custom !== undefined) return;
    this.#parsed.keepWritten(kind, own.value, object);
  }

  /** The object's own write, with what it gives up and takes. */
  #changeOf(
    kind: Kind,
    change: {
      readonly key: string;
      readonly lease: number;
      readonly entry: Entry | undefined;
      readonly decision: Decision;
    },
  ): StoreChange | undefined {
    const { key, lease, entry, decision } = change;
    const { write, object } = decision;
    if (write === 'nothing') return undefined;
    const own: StoreOp = write === 'put' ? this.#put(kind, key, object, lease) : { op: 'delete', key };
    this.#keepWritten(kind, own, object);
    if (rulesOf(kind).allocation === undefined) return { ops: [own] };
    const after = write === 'put' ? object : undefined;
    const { expect, ops } = claimChange(kind, { old: entry?.object, object: after, nowMs: this.#now() });
    return { expect, ops: [own, ...ops] };
  }

  /** Under which objects of the kind are put; 0: they stay. */
  async #leaseOf(kind: Kind): Promise<number> {
    const { lifeSeconds } = rulesOf(kind);
    return lifeSeconds === undefined ? 0 : storing(this.#leaseFor(lifeSeconds));
  }

  #leaseFor(lifeSeconds: number): Promise<number> {
    const nowMs = this.#now();
    const shared = this.#leases.get(lifeSeconds);
    if (shared !== undefined && nowMs < shared.untilMs) return shared.lease;
    const lease = this.store.grantLease(lifeSeconds + leaseShareMs / 1000);
    this.#leases.set(lifeSeconds, { lease, untilMs: nowMs + leaseShareMs });
    lease.catch(() => this.#leases.delete(lifeSeconds)); // The next object asks again.
    return lease;
  }
}

const nothing: StoreChange = { ops: [] };

function holds({ expect = [] }: StoreChange, read: StoreReader): boolean {
  return expect.every(({ key, modRevision }) => (read(key)?.modRevision ?? 0) === modRevision);
}

function withBeside({ ops, expect = [] }: StoreChange, beside: StoreChange): StoreChange {
  if (beside === nothing) return { ops, expect };
  return { ops: [...ops, ...beside.ops], expect: [...expect, ...(beside.expect ?? [])] };
}

function uidOf(object: JsonObject): string {
  return stringOf(objectOf(object['metadata'])['uid']);
}
