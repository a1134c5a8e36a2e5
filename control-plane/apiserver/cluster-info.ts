import { dump } from 'js-yaml';
import { at, equalJson, objectOf, stringOf } from '#api/wire/json.ts';
import { builtIn } from './built-in.ts';
import { ensure, serverUser } from './ensure.ts';
import type { ServerContext } from './server-context.ts';
import { updateObject } from './verbs/update.ts';

const configMaps = builtIn('', 'v1', 'configmaps');
const place = { namespace: 'kube-public', name: 'cluster-info' };

/** A kubeconfig that says where a cluster is and what signs for it, and nobody's credentials; as kubeadm writes it. Pure. */
export function renderClusterInfo(server: string, caCertPem: string): string {
  const cluster = { 'certificate-authority-data': Buffer.from(caCertPem).toString('base64'), server };
  return dump(
    {
      apiVersion: 'v1',
      clusters: [{ cluster, name: '' }],
      contexts: null,
      'current-context': '',
      kind: 'Config',
      users: null,
    },
    { lineWidth: -1 },
  );
}

/**
 * What everybody may read, for nodes that join: the ConfigMap cluster-info. A server alone keeps it as it is; of several on one store each
 * has another address, so that what is there is left, unless it has another authority.
 */
export async function ensureClusterInfo(context: ServerContext, caCertPem: string): Promise<void> {
  const { host, port } = context.advertise;
  const kubeconfig = renderClusterInfo(
    `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    caCertPem,
  );
  await ensure(context, configMaps, { metadata: place, data: { kubeconfig } });
  const authority = Buffer.from(caCertPem).toString('base64');
  await updateObject(context, {
    kind: configMaps,
    ...place,
    dryRun: false,
    admittedAs: { user: serverUser, verb: 'update', subresource: '' },
    change: (current) => {
      const found = stringOf(at(current, 'data.kubeconfig'));
      const isKept = context.isStoreShared ? found.includes(authority) : equalJson(found, kubeconfig);
      return isKept ? current : { ...current, data: { ...objectOf(current['data']), kubeconfig } };
    },
  });
}
