import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { ExecPlugin } from '#client/kubeconfig.ts';
import { parseExecCredential, renderExecInfo, runExecPlugin } from './exec-credential.ts';
import { findAccess, podAccess } from './find-access.ts';

const directory = scratchDirectory('podwright-access-');

function write(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const config = (server: string): string => `
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "${server}"}}]
users: [{name: u, user: {token: t}}]
`;

describe('findAccess()', () => {
  it('takes what is given, else KUBECONFIG, else the home', () => {
    const [a, b] = [write('a', config('https://a')), write('b', config('https://b'))];
    mkdirSync(join(directory, '.kube'), { recursive: true });
    write('.kube/config', config('https://home'));
    const environment = { HOME: directory, KUBECONFIG: `/not/there:${b}` };
    expect(findAccess({ kubeconfig: a }, environment).server).toBe('https://a');
    expect(findAccess({}, environment).server).toBe('https://b');
    expect(findAccess({}, { HOME: directory }).server).toBe('https://home');
    expect(() => findAccess({ context: 'd' }, environment)).toThrow(/no context d/);
  });

  it('says what there is not', () => {
    expect(() => findAccess({ kubeconfig: '/not/there' })).toThrow(/read \/not\/there/);
    expect(() => findAccess({}, { KUBECONFIG: '/not/there' })).toThrow(/read \/not\/there/);
    expect(() => findAccess({}, { HOME: '/not/there' })).toThrow(/this is no pod/);
  });

  it.each([
    ['rubbish', '\0', /^read kubeconfig \S+\/rubbish: not YAML: /],
    ['a list', '[]', /^read kubeconfig \S+\/a list: not a YAML mapping$/],
    ['nothing', '', /^read kubeconfig \S+\/nothing: not YAML: /],
    ['another object', 'kind: Service', /^read kubeconfig \S+\/another object: no context is named$/],
    ['by program', config('https://a').replace('token: t', 'exec: 1'), /by program: user field exec is no/],
    ['proxied', config('https://a').replace('server:', 'proxy-url: p, server:'), /proxied: cluster field/],
  ])('names the file that is wrong: %s', (name, text, want) => {
    expect(() => findAccess({ kubeconfig: write(name, text) })).toThrow(want);
  });

  it('reads a file that begins with a mark of its byte order', () => {
    expect(findAccess({ kubeconfig: write('bom', `\uFEFF${config('https://a')}`) }).server).toBe('https://a');
  });

  it('of a pod reads what it was given, and its token anew for each request', () => {
    write('token', 't1');
    write('namespace', 'ns\n');
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    expect(podAccess(environment, directory)).toMatchObject({
      server: 'https://[fd00::1]:443',
      namespace: 'ns',
      token: { kind: 'file', path: join(directory, 'token') },
    });
  });
});

describe('credential plugins', () => {
  const apiVersion = 'client.authentication.k8s.io/v1';
  const plugin: ExecPlugin = {
    apiVersion,
    command: join(directory, 'who'),
    args: ['x y'],
    environment: { EXTRA: 'e' },
    provideClusterInfo: true,
    installHint: 'apt-get install who',
  };
  const cluster = { server: 'https://h', serverName: undefined, insecureSkipTlsVerify: false, caPem: 'CA' };
  const program = (script: string): void => {
    write('who', `#!/bin/sh\n${script}\n`);
    chmodSync(plugin.command, 0o755);
  };
  const printed = (status: object): string => JSON.stringify({ apiVersion, kind: 'ExecCredential', status });

  it('are told of the cluster, and say who asks', async () => {
    program(`printf '%s %s' "$1" "$EXTRA" >${directory}/seen; printf '%s' "$KUBERNETES_EXEC_INFO" >${directory}/info
      echo '${printed({ token: 'secret', expirationTimestamp: '2026-01-01T00:00:00Z' })}'`);
    expect(await runExecPlugin(plugin, cluster)).toEqual({
      token: 'secret',
      clientCertPem: undefined,
      clientKeyPem: undefined,
      expiresMs: Date.UTC(2026, 0, 1),
    });
    expect(readFileSync(join(directory, 'seen'), 'utf8')).toBe('x y e');
    expect(JSON.parse(readFileSync(join(directory, 'info'), 'utf8'))).toEqual(
      renderExecInfo(plugin, cluster),
    );
    expect(renderExecInfo(plugin, cluster)).toMatchObject({
      spec: { interactive: false, cluster: { server: 'https://h' } },
    });
  });

  it('that fail are told with what they wrote, and how to get them', async () => {
    program('echo "no such account" >&2; exit 3');
    await expect(runExecPlugin(plugin, cluster)).rejects.toThrow(
      /who: no such account \(apt-get install who\)/,
    );
    await expect(runExecPlugin({ ...plugin, command: '/not/there' }, cluster)).rejects.toThrow(/ENOENT/);
  });

  it.each([
    { name: 'no JSON', text: 'hello', want: /not JSON/ },
    {
      name: 'another version',
      text: printed({ token: 't' }).replace('/v1', '/v1beta1'),
      want: /no ExecCredential/,
    },
    {
      name: 'no status',
      text: JSON.stringify({ apiVersion, kind: 'ExecCredential' }),
      want: /has no status/,
    },
    { name: 'nothing', text: printed({}), want: /neither a token nor a certificate/ },
    { name: 'half a certificate', text: printed({ clientCertificateData: 'c' }), want: /without its key/ },
    { name: 'no time', text: printed({ token: 't', expirationTimestamp: 'soon' }), want: /is no time/ },
  ])('are refused that print $name', ({ text, want }) => {
    expect(() => parseExecCredential(plugin, text)).toThrow(want);
  });
});
