import { at, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { addressObject, addressObjectKey, ownAddressObjects } from './address-objects.ts';
import type { Store, StoreChange, StoreOp, StoreReader } from '#control-plane/store/store.ts';

/*
 * Addresses and node ports are keys of the store, written in one transaction with the object that holds them: two servers cannot give
 * one twice, and no cut leaves one behind (docs/decisions/0015-claims-in-the-store.md).
 *
 *   /registry/ranges/serviceips/10.96.0.7          {"kind":"Service","namespace":…,"name":…,"uid":…}
 *   /registry/ranges/servicenodeports/30080
 *   /registry/ipaddresses/10.96.0.7                what clients see of the first (address-objects.ts)
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

/** An object before and after a write: undefined where it is not there. */
export interface ClaimWrite {
  readonly old: JsonObject | undefined;
  readonly object: JsonObject | undefined;
  readonly nowMs: number;
}

/** What a write of an object changes of the claims. Pure. */
export function claimChange(kind: Kind, { old, object, nowMs }: ClaimWrite): Required<StoreChange> {
  if (rulesOf(kind).allocation === undefined) return { expect: [], ops: [] };
  const [before, after] = [claimsOf(kind, old, nowMs), claimsOf(kind, object, nowMs)];
  const taken = [...after].filter(([key]) => !before.has(key));
  const given = [...before.keys()].filter((key) => !after.has(key));
  return {
    expect: taken.map(([key]) => ({ key, modRevision: 0 })),
    ops: [
      ...taken.map(([key, value]): StoreOp => ({ op: 'put', key, value: value() })),
      ...given.map((key): StoreOp => ({ op: 'delete', key })),
    ],
  };
}

function claimsOf(
  kind: Kind,
  object: JsonObject | undefined,
  nowMs: number,
): ReadonlyMap<string, () => Uint8Array> {
  const claims = object && rulesOf(kind).allocation?.claims(object);
  const [namespace = '', name = '', uid = ''] = ['namespace', 'name', 'uid'].map((part) =>
    stringOf(at(object, `metadata.${part}`)),
  );
  // For people who look into the store.
  const holder = (): Uint8Array => Buffer.from(JSON.stringify({ kind: kind.kind, namespace, name, uid }));
  return new Map([
    ...(claims?.clusterIps ?? []).flatMap((ip) => [
      [addressKey(ip), holder] as const,
      [addressObjectKey(ip), () => addressObject(ip, { kind, namespace, name, uid }, nowMs)] as const,
    ]),
    ...(claims?.nodePorts ?? []).map((port) => [portKey(port), holder] as const),
  ]);
}

/**
 * Makes claims and holders agree, as each write leaves them: after a release that kept claims in memory, and after a salvage, which
 * loses what is damaged. Gives how many were made and removed. `list`: the objects as they are when it is called.
 */
export async function repairClaims(
  store: Store,
  kind: Kind,
  { list, nowMs }: { readonly list: () => Promise<readonly JsonObject[]>; readonly nowMs: number },
): Promise<{ readonly made: number; readonly removed: number }> {
  // Claims first: whatever holds one of them was there by then, and one that goes meanwhile takes it along.
  const { values } = await store.range(folder);
  const orphans = new Map([
    ...values.map(({ key, modRevision }) => [key, modRevision] as const),
    ...(await ownAddressObjects(store)),
  ]);
  const [claimed, counts] = [new Set(orphans.keys()), { made: 0, removed: 0 }];
  for (const object of await list()) {
    for (const op of claimChange(kind, { old: undefined, object, nowMs }).ops) {
      const { key } = op;
      orphans.delete(key);
      if (claimed.has(key)) continue;
      claimed.add(key); // Should two hold one, the first has it.
      if ((await store.commit({ expect: [{ key, modRevision: 0 }], ops: [op] })).ok) counts.made++;
    }
  }
  for (const [key, modRevision] of orphans) {
    const { ok } = await store.commit({ expect: [{ key, modRevision }], ops: [{ op: 'delete', key }] });
    if (ok) counts.removed++;
  }
  return counts;
}
