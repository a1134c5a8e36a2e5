import { expect, test } from 'vitest';
import type { ClusterTrustBundleProjection } from '#api/generated/objects.ts';
import type { ClusterTrustBundle } from '#api/generated/objects.ts';
import { trustAnchors } from './trust-bundles.ts';
import { roots } from './trust-bundles.fixture.ts';

const bundle = (name: string, trustBundle: string, more: object = {}): ClusterTrustBundle => ({
  metadata: { name, labels: { name } },
  spec: { trustBundle, ...more },
});
const signerName = 'example.com/signer';
const bundles: readonly ClusterTrustBundle[] = [
  bundle('a', `# a comment\n${roots.two}${roots.one}`),
  bundle('b', roots.one, { signerName }),
  bundle('c', `${roots.one}${roots.two}`, { signerName }),
  bundle('d', roots.two, { signerName: 'example.com/other' }),
];
const both = [roots.one, roots.two].toSorted().join('');
const ask = (source: Omit<ClusterTrustBundleProjection, 'path'>): string =>
  trustAnchors({ path: 'p', ...source }, bundles);

test.each<[string, Omit<ClusterTrustBundleProjection, 'path'>, string]>([
  ['one by its name, without what is no certificate', { name: 'a' }, both],
  ['all of a signer, each certificate once', { signerName, labelSelector: {} }, both],
  ['those of a signer with labels', { signerName, labelSelector: { matchLabels: { name: 'b' } } }, roots.one],
  ['none without a selector, where that may be', { signerName, optional: true }, ''],
  ['none of a name, where that may be', { name: 'none', optional: true }, ''],
])('trustAnchors() are of %s', (_name, source, want) => {
  expect(ask(source)).toBe(want);
});

test.each<[string, Omit<ClusterTrustBundleProjection, 'path'>, string]>([
  ['no such name', { name: 'none' }, 'clustertrustbundle.certificates.k8s.io "none" not found'],
  ['no selector', { signerName }, 'combination of signerName and labelSelector matched zero'],
  ['no signer', { signerName: 'x/y', labelSelector: {} }, 'combination of signerName and labelSelector'],
])('trustAnchors() says %s', (_name, source, want) => {
  expect(() => ask(source)).toThrow(want);
});

test('trustAnchors() says what cannot be read, and where the server has no such kind', () => {
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
  expect(() => trustAnchors({ path: 'p', name: 'x' }, [bundle('x', broken)])).toThrow(
    'ClusterTrustBundle x: a certificate of it cannot be read',
  );
  expect(() => trustAnchors({ path: 'p', name: 'x' }, undefined)).toThrow(
    'does not serve clustertrustbundles',
  );
  expect(trustAnchors({ path: 'p', name: 'x', optional: true }, undefined)).toBe('');
});
