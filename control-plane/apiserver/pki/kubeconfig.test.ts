import { describe, expect, it } from 'vitest';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { clusterNameOf, renderKubeconfig } from './kubeconfig.ts';

describe('renderKubeconfig()', () => {
  it.each([
    ['https://127.0.0.1:6443', 'podwright', 'admin'],
    ['https://127.0.0.1:7443', 'podwright-7443', 'admin@podwright-7443'],
    ['https://[::1]:6443', 'podwright', 'admin'],
    ['https://10.0.0.1:6443', 'podwright-10.0.0.1:6443', 'admin@podwright-10.0.0.1:6443'],
    ['https://api.example', 'podwright-api.example:443', 'admin@podwright-api.example:443'],
    ['https://[fd00::1]:6443', 'podwright-[fd00::1]:6443', 'admin@podwright-[fd00::1]:6443'],
  ])('of %s names the cluster so that files of several go together', (server, cluster, user) => {
    expect(clusterNameOf(server)).toBe(cluster);
    const pem = '-----BEGIN CERTIFICATE-----\n';
    const client = { certPem: pem, keyPem: pem };
    const text = renderKubeconfig({ server, caCertPem: pem, user: 'admin', client });
    for (const line of [`current-context: "${cluster}"`, `    user: "${user}"`, `- name: "${user}"`]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(parseKubeconfig(text, { directory: '/' })).toMatchObject({ server });
  });
});
