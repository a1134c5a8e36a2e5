import type { KeyPair } from './certificate.ts';

export interface KubeconfigInput {
  readonly server: string;
  readonly caCertPem: string;
  readonly user: string;
  readonly client: KeyPair;
}

/** A kubeconfig with everything inline, as YAML. */
export function renderKubeconfig({ server, caCertPem, user, client }: KubeconfigInput): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '- name: podwright',
    '  cluster:',
    `    server: ${server}`,
    `    certificate-authority-data: ${base64(caCertPem)}`,
    'users:',
    `- name: ${JSON.stringify(user)}`,
    '  user:',
    `    client-certificate-data: ${base64(client.certPem)}`,
    `    client-key-data: ${base64(client.keyPem)}`,
    'contexts:',
    '- name: podwright',
    '  context:',
    '    cluster: podwright',
    `    user: ${JSON.stringify(user)}`,
    'current-context: podwright',
    '',
  ].join('\n');
}
