import type { KeyPair } from './certificate.ts';

export interface KubeconfigInput {
  readonly server: string;
  readonly caCertPem: string;
  readonly user: string;
  readonly client: KeyPair;
}

const usualPort = '6443';

/**
 * What a kubeconfig calls the cluster and its context: `podwright`, and where it is reached if that is not where a first cluster is. Who
 * puts the files of several clusters together has them all.
 */
export function clusterNameOf(server: string): string {
  const { hostname, port } = new URL(server);
  const isOwn = ['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
  if (isOwn && port === usualPort) return 'podwright';
  return `podwright-${isOwn ? '' : `${hostname}:`}${port === '' ? '443' : port}`;
}

/** A kubeconfig with everything inline, as YAML. */
export function renderKubeconfig({ server, caCertPem, user, client }: KubeconfigInput): string {
  const cluster = clusterNameOf(server);
  const name = JSON.stringify(cluster);
  const userName = JSON.stringify(cluster === 'podwright' ? user : `${user}@${cluster}`);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    `- name: ${name}`,
    '  cluster:',
    `    server: ${server}`,
    `    certificate-authority-data: ${base64(caCertPem)}`,
    'users:',
    `- name: ${userName}`,
    '  user:',
    `    client-certificate-data: ${base64(client.certPem)}`,
    `    client-key-data: ${base64(client.keyPem)}`,
    'contexts:',
    `- name: ${name}`,
    '  context:',
    `    cluster: ${name}`,
    `    user: ${userName}`,
    `current-context: ${name}`,
    '',
  ].join('\n');
}
