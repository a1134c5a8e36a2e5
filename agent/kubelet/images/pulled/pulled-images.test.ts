import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { openPulledImages, type PulledImages } from './pulled-images.ts';
import {
  defaultVerification,
  hasAccess,
  holdersMax,
  mustVerify,
  noAccess,
  readVerification,
  withAccess,
  type SecretHolder,
  type VerificationSettings,
} from './verification.ts';

const secretOf = (name: string, credentialHash = name): SecretHolder => ({
  uid: `uid-${name}`,
  namespace: 'ns',
  name,
  credentialHash,
});
const account = { uid: 'a', namespace: 'ns', name: 'sa' };
const image = 'registry.example/team/app:1';

describe('policies', () => {
  const allowing = {
    policy: 'NeverVerifyAllowlistedImages',
    allowlist: ['registry.example/team/*'],
  } as const;
  const policy = (name: VerificationSettings['policy']): VerificationSettings => ({
    policy: name,
    allowlist: [],
  });
  test.each<[string, VerificationSettings, string, boolean, boolean]>([
    ['NeverVerify, pulled', policy('NeverVerify'), image, true, false],
    ['preloaded', defaultVerification, image, false, false],
    ['pulled', defaultVerification, image, true, true],
    ['AlwaysVerify, preloaded', policy('AlwaysVerify'), image, false, true],
    ['listed, preloaded', allowing, image, false, false],
    ['listed, pulled', allowing, image, true, true],
    ['not listed', allowing, 'registry.example/teams/app', false, true],
    ['listed by its whole name', { ...allowing, allowlist: ['busybox'] }, 'busybox:1', false, false],
    ['not that name', { ...allowing, allowlist: ['busybox'] }, 'busybox/x', false, true],
  ])('%s', (_name, settings, asked, isOurs, want) => {
    expect(mustVerify(settings, asked, isOurs)).toBe(want);
  });

  test.each<[string, object, string | undefined]>([
    ['nothing', {}, undefined],
    [
      'another word',
      { imagePullCredentialsVerificationPolicy: 'Sometimes' },
      'Sometimes is none of NeverVerify',
    ],
    ['a list without its policy', { preloadedImagesVerificationAllowlist: ['a/b'] }, 'it goes with'],
    ...['a/b:1', 'a/*/b', '*', `a/b@sha256:${'0'.repeat(64)}`].map((pattern): [string, object, string] => [
      pattern,
      {
        imagePullCredentialsVerificationPolicy: 'NeverVerifyAllowlistedImages',
        preloadedImagesVerificationAllowlist: [pattern],
      },
      'preloadedImagesVerificationAllowlist[0]',
    ]),
    [
      'a host with a port',
      {
        imagePullCredentialsVerificationPolicy: 'NeverVerifyAllowlistedImages',
        preloadedImagesVerificationAllowlist: ['localhost:5000/*', 'localhost:5000/x'],
      },
      undefined,
    ],
  ])('are read: %s', (_name, configuration, want) => {
    const problems: string[] = [];
    readVerification({ ...configuration }, problems);
    if (want === undefined) expect(problems).toEqual([]);
    else expect(problems.join()).toContain(want);
  });

  test('go with the gate', () => {
    const featureGates = { KubeletEnsureSecretPulledImages: false };
    expect(readVerification({ featureGates }, []).policy).toBe('NeverVerify');
  });
});

describe('access', () => {
  const access = withAccess(noAccess, { kind: 'secret', secret: secretOf('s', 'h') });
  test.each<[string, readonly SecretHolder[], boolean]>([
    ['no secret', [], false],
    ['the secret', [secretOf('s', 'h')], true],
    ['the secret, changed since', [secretOf('s', 'other')], true],
    ['another of the same content', [secretOf('t', 'h')], true],
    ['another', [secretOf('t')], false],
    ['one without a hash', [secretOf('t', '')], false],
  ])('by a secret: %s', (_name, secrets, want) => {
    expect(hasAccess(access, { secrets, account: undefined })).toBe(want);
  });

  test('by a service account, and by nobody’s credentials', () => {
    const byAccount = withAccess(noAccess, { kind: 'account', account });
    expect(hasAccess(byAccount, { secrets: [], account })).toBe(true);
    expect(hasAccess(byAccount, { secrets: [], account: { ...account, uid: 'b' } })).toBe(false);
    const open = withAccess(byAccount, { kind: 'anyone' });
    expect(open).toEqual({ isOpen: true, secrets: [], accounts: [] });
    expect(withAccess(open, { kind: 'account', account })).toEqual(open);
  });

  test('is of so many at most, the last ones', () => {
    const names = Array.from({ length: holdersMax + 5 }, (_, index) => `s${index}`);
    const { secrets } = names.reduce(
      (all, name) => withAccess(all, { kind: 'secret', secret: secretOf(name) }),
      noAccess,
    );
    expect([secrets.length, secrets[0]?.name]).toEqual([holdersMax, 's5']);
  });
});

describe('records', () => {
  let root: string;
  let present: string[];
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'pulled-'));
    present = ['sha256:1', 'sha256:2'];
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const open = (settings = defaultVerification): Promise<PulledImages> =>
    openPulledImages({
      directory: root,
      settings,
      images: {
        list: () =>
          present.map((id) => ({ id, names: [], digests: [], sizeBytes: 0, createdAtMs: 0, user: '' })),
      },
      clock: createFakeClock(),
      logger: silentLogger,
    });
  const may = (pulled: PulledImages, ...secrets: readonly SecretHolder[]): boolean =>
    pulled.mayUse(image, 'sha256:1', { secrets, account: undefined });
  const pull = async (pulled: PulledImages): Promise<void> => {
    await pulled.begin(image);
    await pulled.end(image, 'sha256:1', { kind: 'secret', secret: secretOf('s') });
  };

  test('what nobody here pulled is anybody’s; what was pulled, of who has the credentials, also for the next agent', async () => {
    const first = await open();
    expect([first.isOpen(image, 'sha256:1'), may(first)]).toEqual([true, true]);
    await pull(first);
    for (const each of [first, await open()]) {
      expect(each.isOpen(image, 'sha256:1')).toBe(false);
      expect([may(each), may(each, secretOf('t')), may(each, secretOf('s'))]).toEqual([false, false, true]);
      expect(each.isOpen('elsewhere.example/app:1', 'sha256:1')).toBe(false);
      expect(each.isOpen(image, 'sha256:2')).toBe(true);
    }
    expect(readdirSync(path.join(root, 'pulling'))).toEqual([]);
  });

  test('are as upstream’s kubelet writes them', async () => {
    await pull(await open());
    const [name = ''] = readdirSync(path.join(root, 'pulled'));
    expect(name).toMatch(/^sha256-[0-9a-f]{64}$/);
    const record: unknown = JSON.parse(readFileSync(path.join(root, 'pulled', name), 'utf8'));
    expect(record).toEqual({
      kind: 'ImagePulledRecord',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      lastUpdatedTime: '1970-01-01T00:00:00Z',
      imageRef: 'sha256:1',
      credentialMapping: { 'registry.example/team/app': { kubernetesSecrets: [secretOf('s')] } },
    });
  });

  test('an agent that is killed in a pull does not take the image for somebody else’s', async () => {
    await (await open()).begin(image);
    const next = await open();
    expect([next.isOpen(image, 'sha256:1'), may(next, secretOf('s'))]).toEqual([false, false]);
    await pull(next);
    expect(may(next, secretOf('s'))).toBe(true);
  });

  test('go with their images', async () => {
    const pulled = await open();
    await pull(pulled);
    present = ['sha256:2'];
    await pulled.end('other:1', 'sha256:2', { kind: 'anyone' });
    expect(readdirSync(path.join(root, 'pulled'))).toHaveLength(1);
    expect(pulled.isOpen('other:1', 'sha256:2')).toBe(true);
  });

  test('that are damaged count for nothing, and are no end', async () => {
    await pull(await open());
    writeFileSync(path.join(root, 'pulled', 'sha256-x'), '{');
    expect(may(await open(), secretOf('s'))).toBe(true);
  });
});
