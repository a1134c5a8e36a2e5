import type { Store } from '#control-plane/store/store.ts';

/** Where kube-apiserver's are (pkg/controlplane/reconcilers/lease.go). */
const folder = '/registry/masterleases/';
/** A server that was not announced for so long is gone; one round in ten seconds may fail. */
const lifeSeconds = 25;

/** Says that a server is reached at this address, for a while; gives the addresses of all servers of the store, in order. */
export async function announceServer(store: Store, host: string): Promise<readonly string[]> {
  const lease = await store.grantLease(lifeSeconds);
  const key = `${folder}${host}`;
  await store.update(key, () => ({ ops: [{ op: 'put', key, value: Buffer.from(host), lease }] }));
  const { values } = await store.range(folder);
  return values.map((value) => value.key.slice(folder.length));
}

/** Says that it is not reached any more. */
export async function withdrawServer(store: Store, host: string): Promise<void> {
  const key = `${folder}${host}`;
  await store.update(key, (current) => current && { ops: [{ op: 'delete', key }] });
}
