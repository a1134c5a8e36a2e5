import { at, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Store, StoreChange, StoreOp, StoreReader } from '#control-plane/store/store.ts';

/*
 * Addresses and node ports are keys of the store, written in one transaction with the object that holds them: two servers cannot give
 * one twice, and no cut leaves one behind (docs/decisions/0015-claims-in-the-store.md).
 *
 *   /registry/ranges/serviceips/10.96.0.7          {"kind":"Service","namespace":…,"name":…,"uid":…}
 *   /registry/ranges/servicenodeports/30080
 */
const folder = '/registry/ranges/';

export function addressKey(address: string): string {
  return `${folder}serviceips/${address}`;
}

export function portKey(port: number): string {
  return `${folder}servicenodeports/${port}`;
}

/** Whether some object holds what the key stands for. */
export type IsClaimed = (key: string) => boolean;

export function isClaimedBy(read: StoreReader): IsClaimed {
  return (key) => read(key) !== undefined;
}

/** What a write of an object changes of the claims; `old`, `object`: undefined where it is not there before or after. Pure. */
export function claimChange(
  kind: Kind,
  old: JsonObject | undefined,
  object: JsonObject | undefined,
): Required<StoreChange> {
  const [before, after] = [claimKeys(kind, old), claimKeys(kind, object)];
  const taken = [...after].filter((key) => !before.has(key));
  const given = [...before].filter((key) => !after.has(key));
  return {
    expect: taken.map((key) => ({ key, modRevision: 0 })),
    ops: [
      ...taken.map((key): StoreOp => ({ op: 'put', key, value: holderOf(kind, object) })),
      ...given.map((key): StoreOp => ({ op: 'delete', key })),
    ],
  };
}

function claimKeys(kind: Kind, object: JsonObject | undefined): ReadonlySet<string> {
  const claims = object && rulesOf(kind).allocation?.claims(object);
  return new Set([...(claims?.clusterIps ?? []).map(addressKey), ...(claims?.nodePorts ?? []).map(portKey)]);
}

/** For people who look into the store. */
function holderOf(kind: Kind, object: JsonObject | undefined): Uint8Array {
  const [namespace, name, uid] = ['namespace', 'name', 'uid'].map((part) =>
    stringOf(at(object, `metadata.${part}`)),
  );
  return Buffer.from(JSON.stringify({ kind: kind.kind, namespace, name, uid }));
}

/**
 * Makes claims and holders agree, as each write leaves them: after a release that kept claims in memory, and after a salvage, which
 * loses what is damaged. Gives how many were made and removed. `list`: the objects as they are when it is called.
 */
export async function repairClaims(
  store: Store,
  kind: Kind,
  list: () => Promise<readonly JsonObject[]>,
): Promise<{ readonly made: number; readonly removed: number }> {
  // Claims first: whatever holds one of them was there by then, and one that goes meanwhile takes it along.
  const { values } = await store.range(folder);
  const orphans = new Map(values.map((value) => [value.key, value]));
  const [claimed, counts] = [new Set(orphans.keys()), { made: 0, removed: 0 }];
  for (const object of await list()) {
    for (const { key } of claimChange(kind, undefined, object).expect) {
      orphans.delete(key);
      if (claimed.has(key)) continue;
      claimed.add(key); // Should two hold one, the first has it.
      const op: StoreOp = { op: 'put', key, value: holderOf(kind, object) };
      if ((await store.commit({ expect: [{ key, modRevision: 0 }], ops: [op] })).ok) counts.made++;
    }
  }
  for (const { key, modRevision } of orphans.values()) {
    const { ok } = await store.commit({ expect: [{ key, modRevision }], ops: [{ op: 'delete', key }] });
    if (ok) counts.removed++;
  }
  return counts;
}
