import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { createProblems, renderTokens, requireKubeconfigs, secretOf } from './token.ts';

const nowMs = Date.UTC(2026, 0, 1);
const plain = { ttl: '24h', usages: ['signing', 'authentication'], groups: ['system:bootstrappers:x'] };
const token = { id: 'abcdef', secret: '0123456789abcdef' };

describe('createProblems()', () => {
  it.each([
    { name: 'nothing', change: {}, want: [] },
    { name: 'no end', change: { ttl: '0' }, want: [] },
    { name: 'signing alone', change: { usages: ['signing'], groups: [] }, want: [] },
    { name: 'a ttl', change: { ttl: 'long' }, want: [/^--ttl long: not a duration/] },
    { name: 'a negative ttl', change: { ttl: '-1h' }, want: [/^--ttl -1h: not a duration/] },
    { name: 'a usage', change: { usages: ['authentication', 'x'] }, want: [/^--usages x: write/] },
    { name: 'no usage', change: { usages: [], groups: [] }, want: [/^--usages: give one at least/] },
    { name: 'a group', change: { groups: ['system:masters'] }, want: [/^--groups system:masters: write/] },
    {
      name: 'groups for nothing',
      change: { usages: ['signing'] },
      want: [/^--groups: only a token with usage/],
    },
  ])('$name', ({ change, want }) => {
    expect(createProblems({ ...plain, ...change })).toEqual(want.map((text) => expect.stringMatching(text)));
  });
});

describe('secretOf()', () => {
  it('is as kubeadm writes it', () => {
    expect(secretOf(token, { ...plain, description: 'for tests' }, nowMs)).toEqual({
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      type: 'bootstrap.kubernetes.io/token',
      stringData: {
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        description: 'for tests',
        expiration: '2026-01-02T00:00:00Z',
        'usage-bootstrap-signing': 'true',
        'usage-bootstrap-authentication': 'true',
        'auth-extra-groups': 'system:bootstrappers:x',
      },
    });
    expect(secretOf(token, { ...plain, ttl: '0' }, nowMs).stringData).not.toHaveProperty('expiration');
  });
});

it('renderTokens()', () => {
  const shown = {
    ...token,
    description: '',
    isForAuthentication: true,
    isForSigning: true,
    extraGroups: ['g'],
  };
  const lines = renderTokens(
    [
      { ...shown, expiresAtMs: nowMs + 5_400_000 },
      { ...shown, expiresAtMs: undefined, description: 'text', extraGroups: [], isForSigning: false },
      { ...shown, expiresAtMs: Number.NaN, isForAuthentication: false, isForSigning: false },
    ],
    nowMs,
  );
  expect(lines).toEqual([
    'TOKEN                     TTL         EXPIRES                USAGES                   DESCRIPTION   EXTRA GROUPS',
    'abcdef.0123456789abcdef   1h          2026-01-01T01:30:00Z   authentication,signing   <none>        g',
    'abcdef.0123456789abcdef   <forever>   <never>                authentication           text          <none>',
    'abcdef.0123456789abcdef   <ended>     <no time>              <none>                   <none>        g',
  ]);
});

describe('requireKubeconfigs()', () => {
  const data = scratchDirectory('podwright-token-');
  afterEach(() => void vi.unstubAllEnvs());
  const own = join(data, 'server', 'kubeconfig');

  it('says what to do where there is none', () => {
    vi.stubEnv('KUBECONFIG', '');
    expect(() => requireKubeconfigs({ data })).toThrow(/^find the cluster: no kubeconfig in .*podwright up/);
    const given = { data, kubeconfig: '/not/there' };
    expect(() => requireKubeconfigs(given)).toThrow(
      'no such file /not/there; name another with --kubeconfig',
    );
    vi.stubEnv('KUBECONFIG', '/not/there:/nor/there');
    expect(() => requireKubeconfigs({ data })).toThrow(
      '/not/there, /nor/there; name another with KUBECONFIG',
    );
  });

  it('takes what is given, else all of KUBECONFIG that are there, else what podwright wrote', () => {
    mkdirSync(join(data, 'server'));
    for (const path of [own, join(data, 'a'), join(data, 'b')]) writeFileSync(path, '');
    vi.stubEnv('KUBECONFIG', '');
    expect(requireKubeconfigs({ data })).toEqual([own]);
    vi.stubEnv('KUBECONFIG', `${data}/a:/not/there:${data}/b`);
    expect(requireKubeconfigs({ data })).toEqual([join(data, 'a'), join(data, 'b')]);
    expect(requireKubeconfigs({ data, kubeconfig: own })).toEqual([own]);
  });
});
