import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ClusterPki } from './pki/cluster-pki.ts';
import type { EtcdListener, EtcdServer } from '#control-plane/store/etcd-server/serve.ts';
import { isServedStore } from '#control-plane/store/served-store.ts';
import type { Store } from '#control-plane/store/store.ts';

/** How the store is to be served as etcd. */
export interface EtcdListen {
  readonly listeners: readonly EtcdListener[];
  /** Signs those who may call by TLS, PEM. Default: the cluster's authority, of which only administrators may. */
  readonly ca?: Uint8Array;
  /** What the ports show, PEM. Default: what the API server shows. */
  readonly serving?: { readonly cert: Uint8Array; readonly key: Uint8Array };
}

/** Loads gRPC and all that serves etcd, which nobody else pays for. @throws E_USAGE for a store that is none to serve; as `startEtcdServer` */
export async function serveStoreAsEtcd(
  { listeners, ca, serving }: EtcdListen,
  { store, pki, clock }: { readonly store: Store; readonly pki: ClusterPki; readonly clock: Clock },
): Promise<EtcdServer> {
  if (!isServedStore(store)) {
    throw new PodwrightError('E_USAGE', 'serve etcd: the store is in another etcd');
  }
  const { startEtcdServer } = await import('#control-plane/store/etcd-server/serve.ts');
  const shown = serving ?? { cert: pki.serving.certPem, key: pki.serving.keyPem };
  const callers = ca === undefined ? { ca: pki.caCertPem, organization: 'system:masters' } : { ca };
  return startEtcdServer({ store, clock, listeners, tls: { ...shown, ...callers } });
}
