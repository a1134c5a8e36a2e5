import { services } from '#api/schema/kind-ref.ts';
import type { Service } from '#api/generated/objects.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';

/** The Service that pods' resolv.conf points to; its name is what tools and tests look for. */
export const kubeDnsKey = 'kube-system/kube-dns';

/** No selector: every node answers for itself, and the proxy makes no rules for it (`ownServices`). Pure. */
export function renderKubeDns(addresses: readonly string[]): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kube-dns',
      namespace: 'kube-system',
      labels: {
        'k8s-app': 'kube-dns',
        'kubernetes.io/cluster-service': 'true',
        'kubernetes.io/name': 'KubeDNS', // What kubectl cluster-info calls it.
      },
    },
    spec: {
      clusterIP: addresses[0],
      clusterIPs: addresses,
      ipFamilyPolicy: addresses.length > 1 ? 'RequireDualStack' : 'SingleStack',
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
      ],
    },
  };
}

/**
 * Makes the Service unless it is there; one that is there stays as somebody made it. It is looked for first, because a server
 * refuses an address that is taken before it looks at the name.
 */
export async function ensureKubeDns(client: ApiClient, addresses: readonly string[]): Promise<void> {
  const [namespace = '', name = ''] = kubeDnsKey.split('/');
  try {
    await client.get(services, { namespace, name });
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    await client.create(services, renderKubeDns(addresses), { namespace });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}
