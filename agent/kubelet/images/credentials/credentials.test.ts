import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { matchesImage } from './match-image.ts';
import { parseAnswer } from './ask-provider.ts';
import { readProviders } from './provider-config.ts';
import { createImageCredentials, type ImageCredentials } from './providers.ts';

const { signal } = new AbortController();
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'providers-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it.each([
  ['*.azurecr.io', 'a.azurecr.io/x', true],
  ['*.azurecr.io', 'a.b.azurecr.io/x', false],
  ['*.*.azurecr.io', 'a.b.azurecr.io/x', true],
  ['registry.io:8080/path', 'registry.io:8080/path/x', true],
  ['registry.io:8080/path', 'registry.io/path/x', false],
  ['registry.io/team', 'registry.io/other', false],
  ['prefix*.io', 'prefixed.io/x', true],
  ['prefix*.io', 'pre.io/x', false],
])('matchesImage(%j, %j) is %j', (pattern, image, want) => {
  expect(matchesImage(pattern, image)).toBe(want);
});

describe('readProviders()', () => {
  it('says all that is wrong, with the file', () => {
    const file = join(directory, 'config.yaml');
    writeFileSync(
      file,
      'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: [{name: a/b, matchImages: [], apiVersion: v9}]\n',
    );
    expect(() => readProviders(file, directory)).toThrow(
      /config\.yaml.*provider name cannot contain '\/'.*at least 1 item in matchImages.*supported values: credentialprovider.*defaultCacheDuration is required/,
    );
  });
});

/** A program that notes each question, and answers `answer`. */
function provider(answer: object, more = ''): ImageCredentials {
  const program = join(directory, 'ask');
  const text = JSON.stringify({
    apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
    kind: 'CredentialProviderResponse',
    ...answer,
  });
  writeFileSync(
    program,
    `#!/bin/sh\nread line; echo "$1 $MINE $line" >> ${directory}/asked\necho '${text}'\n`,
  );
  chmodSync(program, 0o755);
  writeFileSync(
    join(directory, 'config.yaml'),
    `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ask
  matchImages: ["*.example", "registry.example:5000/team"]
  defaultCacheDuration: 1m
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get]
  env: [{name: MINE, value: mine}]
${more}`,
  );
  return createImageCredentials(readProviders(join(directory, 'config.yaml'), directory), {
    clock,
    logger: silentLogger,
    token: async ({ metadata }, audience) => `token-of-${metadata?.name}-for-${audience}`,
    serviceAccount: async () => ({ uid: 'u1', annotations: { 'a/role': 'r', other: 'x' } }),
  });
}

const clock = createFakeClock();
// The program reads a line: it ends with stdin.
const asked = (): readonly string[] =>
  existsSync(`${directory}/asked`) ? readFileSync(`${directory}/asked`, 'utf8').trim().split('\n') : [];
const pod = { metadata: { name: 'p', namespace: 'ns' }, spec: { containers: [], serviceAccountName: 'sa' } };
const auth = {
  '*.example': { username: 'u', password: 'p' },
  'a.example/team': { username: 't', password: 'q' },
};

describe('credentials by programs', () => {
  it('are asked for by the image without its tag, the most particular first, and kept for the registry', async () => {
    const credentials = provider({ cacheKeyType: 'Registry', cacheDuration: '10s', auth });
    const wanted = [
      { username: 't', password: 'q' },
      { username: 'u', password: 'p' },
    ];
    expect(
      (await credentials.of('a.example/team/app:v1', pod, signal)).toSorted((a, b) =>
        a.username < b.username ? -1 : 1,
      ),
    ).toEqual(wanted);
    expect(await credentials.of('a.example/other:v2', pod, signal)).toEqual([
      { username: 'u', password: 'p' },
    ]);
    expect(asked()).toHaveLength(1);
    expect(asked()[0]).toMatch(
      /^get mine \{"apiVersion":"credentialprovider.kubelet.k8s.io\/v1","kind":"CredentialProviderRequest","image":"a.example\/team\/app"\}$/,
    );
    clock.advance(10_001);
    await credentials.of('a.example/other:v2', pod, signal);
    await credentials.of('b.example/x', pod, signal);
    expect(asked()).toHaveLength(3);
    expect(await credentials.of('elsewhere.org/x', pod, signal)).toEqual([]);
    expect(asked()).toHaveLength(3);
  });

  it('carry a token of the pod’s account and its annotations, where the provider wants them', async () => {
    const credentials = provider(
      { cacheKeyType: 'Global', auth },
      '  tokenAttributes: {serviceAccountTokenAudience: aud, cacheType: ServiceAccount, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [a/role]}\n',
    );
    await credentials.of('a.example/x', pod, signal);
    expect(asked()[0]).toContain(
      '"serviceAccountToken":"token-of-p-for-aud","serviceAccountAnnotations":{"a/role":"r"}',
    );
    expect(await credentials.of('a.example/x', { ...pod, spec: { containers: [] } }, signal)).toEqual([]);
  });

  it('of a program that fails are none', async () => {
    const credentials = provider({ kind: 'Nothing', auth });
    expect(await credentials.of('a.example/x', pod, signal)).toEqual([]);
  });
});

it('parseAnswer() refuses by what is wrong', () => {
  expect(() => parseAnswer('x', 'v')).toThrow('is not JSON');
  expect(() =>
    parseAnswer('{"kind":"CredentialProviderResponse","apiVersion":"v","cacheKeyType":"Moon"}', 'v'),
  ).toThrow('cacheKeyType "Moon"');
});
