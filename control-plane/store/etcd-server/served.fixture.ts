import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { ensureClusterPki } from '#control-plane/apiserver/pki/cluster-pki.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import type { EtcdTls } from '#control-plane/store/etcd/endpoints.ts';
import type { ServedStore } from '#control-plane/store/served-store.ts';
import { startEtcdServer } from './serve.ts';

/** A store of its own, served on `etcd.sock` in the same directory and on a port of loopback, for clients with the administrator's certificate. */
export interface Served extends AsyncDisposable {
  readonly store: ServedStore;
  /** https */
  readonly url: string;
  /** What the administrator shows; the same lies in the directory as ca.crt, admin.crt and admin.key. */
  readonly admin: EtcdTls;
  /** What a node shows. */
  readonly node: EtcdTls;
}

export async function startServed(directory: string): Promise<Served> {
  await using undo = new AsyncDisposableStack();

  const store = undo.use(
    await openEmbeddedStore({ directory: join(directory, 'store'), clock: systemClock }),
  );
  const pki = await ensureClusterPki({
    directory: join(directory, 'pki'),
    hosts: ['127.0.0.1', 'localhost'],
    now: Date.now,
  });
  const { certPem: cert, keyPem: key } = pki.serving;
  const server = undo.use(
    await startEtcdServer({
      store,
      listeners: [{ path: join(directory, 'etcd.sock') }, { host: '127.0.0.1', port: 0 }],
      tls: { ca: pki.caCertPem, cert, key, organization: 'system:masters' },
      clock: systemClock,
    }),
  );
  const node = await pki.issueClient('system:node:a', ['system:nodes']);
  const tlsOf = ({ certPem, keyPem }: typeof node): EtcdTls => ({
    ca: Buffer.from(pki.caCertPem),
    cert: Buffer.from(certPem),
    key: Buffer.from(keyPem),
  });
  const admin = tlsOf(pki.admin);
  for (const [name, pem] of Object.entries({
    'ca.crt': admin.ca,
    'admin.crt': admin.cert,
    'admin.key': admin.key,
  }))
    writeFileSync(join(directory, name), pem ?? '');
  const owned = undo.move();
  return {
    store,
    url: server.urls[1] ?? '',
    admin,
    node: tlsOf(node),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
