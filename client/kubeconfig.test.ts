import { expect, it } from 'vitest';
import { parseKubeconfig, parseKubeconfigs } from './kubeconfig.ts';

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
  {
    name: 'a credential plugin without a version',
    text: base('exec: {command: x}'),
    want: /exec apiVersion/,
  },
  {
    name: 'a plugin that asks a person',
    text: base('exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}'),
    want: /interactiveMode Always/,
  },
  { name: 'a provider', text: base('auth-provider: {name: x}'), want: /auth-provider is not supported/ },
  { name: 'a proxy', text: base('', ', proxy-url: "http://p"'), want: /proxy-url is not supported/ },
  { name: 'groups of nobody', text: base('as-groups: [a]'), want: /as-groups without as/ },
])('parseKubeconfig() refuses $name', ({ text, want }) => {
  expect(() => parseKubeconfig(text, options)).toThrow(want);
});

it('parseKubeconfig() reads whom to ask as, and the program that says who asks', () => {
  const exec =
    'exec: {command: bin/who, apiVersion: client.authentication.k8s.io/v1, args: [a], env: [{name: E, value: v}]}';
  const text = base(`as: jane, as-groups: [dev, ops], as-user-extra: {k: [v]}, ${exec}`);
  expect(parseKubeconfig(text, options)).toMatchObject({
    impersonate: { user: 'jane', groups: ['dev', 'ops'], extra: { k: ['v'] } },
    exec: { command: '/etc/k/bin/who', args: ['a'], environment: { E: 'v' }, provideClusterInfo: false },
  });
});

it('parseKubeconfigs() takes of each name what comes first, with paths of its own file', () => {
  const first = 'users: [{name: u, user: {client-key: own.pem}}]';
  const access = parseKubeconfigs([
    { text: first, source: 'first', directory: '/home/a' },
    { text: base('token: t'), source: 'second', directory: '/etc/k' },
  ]);
  expect(access).toMatchObject({
    server: 'https://h:6443',
    clientKey: { kind: 'file', path: '/home/a/own.pem' },
    token: { kind: 'none' },
  });
});
