import { expect, it } from 'vitest';
import { parseKubeconfig } from './kubeconfig.ts';

const base = (user: string, cluster = ''): string => `
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: ns}}]
clusters: [{name: k, cluster: {server: "https://h:6443" ${cluster}}}]
users: [{name: u, user: {${user}}}]
`;
const options = { directory: '/etc/k' };

it('parseKubeconfig() reads inline data and files relative to it', () => {
  const text = base(
    'client-certificate-data: Y2VydA==, client-key: key.pem',
    ', certificate-authority: ca.pem',
  );
  expect(parseKubeconfig(text, options)).toMatchObject({
    server: 'https://h:6443',
    namespace: 'ns',
    ca: { kind: 'file', path: '/etc/k/ca.pem' },
    clientCert: { kind: 'inline', text: 'cert' },
    clientKey: { kind: 'file', path: '/etc/k/key.pem' },
    token: { kind: 'none' },
  });
});

it.each([
  { name: 'no YAML', text: 'a: [', want: /not YAML/ },
  { name: 'no mapping', text: '- a', want: /not a YAML mapping/ },
  { name: 'no context', text: 'contexts: []', want: /no context is named/ },
  { name: 'an unknown context', text: 'current-context: x', want: /no context x/ },
  { name: 'a credential plugin', text: base('exec: {command: x}'), want: /exec is not supported/ },
])('parseKubeconfig() refuses $name', ({ text, want }) => {
  expect(() => parseKubeconfig(text, options)).toThrow(want);
});
