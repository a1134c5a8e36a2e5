import { createHash } from 'node:crypto';
import { familyOfIp } from '#base/ip.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { objectOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { formatTime } from '#api/meta/time.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { encodeStored } from '#control-plane/apiserver/objects/object-bytes.ts';
import { keyPrefix, storageKey } from '#control-plane/apiserver/objects/storage-key.ts';
import type { Store } from '#control-plane/store/store.ts';

/*
 * The IPAddress objects of Services: they show clients who holds an address (KEP-1880), and come and go in the transaction of the claim.
 * The claim is what decides, so that nothing is given twice should somebody delete an IPAddress; that comes back at once. One that
 * somebody made keeps its address from Services.
 */
const ipAddresses = builtIn('networking.k8s.io', 'v1', 'ipaddresses');
const managedBy = 'ipaddress.kubernetes.io/managed-by';
/** As kube-apiserver calls itself there. */
const manager = 'ipallocator.k8s.io';

export function addressObjectKey(address: string): string {
  return storageKey(ipAddresses, '', address);
}

export interface AddressHolder {
  readonly kind: Pick<Kind, 'group' | 'resource'>;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The bytes to store for the IPAddress of a holder. Pure. */
export function addressObject(address: string, holder: AddressHolder, nowMs: number): Uint8Array {
  const { kind, namespace, name } = holder;
  return encodeStored({
    metadata: {
      name: address,
      uid: uidOf(`${holder.uid} ${address}`),
      creationTimestamp: formatTime(nowMs),
      labels: {
        'ipaddress.kubernetes.io/ip-family': familyOfIp(address) === 6 ? 'IPv6' : 'IPv4',
        [managedBy]: manager,
      },
    },
    spec: {
      parentRef: {
        ...(kind.group === '' ? {} : { group: kind.group }),
        resource: kind.resource,
        ...(namespace === '' ? {} : { namespace }),
        name,
      },
    },
  });
}

/** A uid of its own for what is made again and again of the same (RFC 9562, version 8). */
function uidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The IPAddresses that this server's like has made, and their revisions. */
export async function ownAddressObjects(store: Store): Promise<ReadonlyMap<string, number>> {
  const { values } = await store.range(keyPrefix(ipAddresses, ''));
  return new Map(
    values.filter(({ value }) => isOwn(value)).map(({ key, modRevision }) => [key, modRevision] as const),
  );
}

function isOwn(value: Uint8Array): boolean {
  const { metadata } = objectOf(JSON.parse(Buffer.from(value).toString()));
  return stringOf(objectOf(objectOf(metadata)['labels'])[managedBy]) === manager;
}

/** Makes an IPAddress that somebody deletes again, while its address is claimed. `claimKeyOf`: of an address. */
export function keepAddressObjects(
  store: Store,
  { claimKeyOf, logger }: { readonly claimKeyOf: (address: string) => string; readonly logger: Logger },
): Disposable {
  const prefix = keyPrefix(ipAddresses, '');
  const restore = async (key: string, value: Uint8Array): Promise<void> => {
    const claim = claimKeyOf(key.slice(prefix.length));
    const held = await store.get(claim);
    if (held === undefined) return;
    const expect = [
      { key: claim, modRevision: held.modRevision },
      { key, modRevision: 0 },
    ];
    await store.commit({ expect, ops: [{ op: 'put', key, value }] });
  };
  return store.watch(prefix, store.revision, (events) => {
    for (const { type, key, current } of events) {
      if (type !== 'delete' || !isOwn(current.value)) continue;
      void restore(key, current.value).catch((error: unknown) => {
        logger.warn({ key, error: describeError(error) }, 'IPAddress comes back with the next start');
      });
    }
  });
}
