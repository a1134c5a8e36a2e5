/** Roots of trust of ClusterTrustBundles, as a file of a projected volume has them. Pure. */
import { X509Certificate } from 'node:crypto';
import type { ClusterTrustBundle, ClusterTrustBundleProjection } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { describeError, PodwrightError } from '#base/errors.ts';

/** Certificates of one file. */
const certificatesMax = 10_000;

/**
 * What a source asks for: the certificates of one bundle or of those of a signer, each once, without headers, in an order that does not
 * depend on that of the bundles.
 * @param bundles undefined: the server has no such kind
 * @throws {E_UNSUPPORTED, E_NOT_FOUND, E_INVALID, E_LIMIT} whose message is the event's
 */
export function trustAnchors(
  source: ClusterTrustBundleProjection,
  bundles: readonly ClusterTrustBundle[] | undefined,
): string {
  const isOptional = source.optional === true;
  if (bundles === undefined) {
    if (isOptional) return '';
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'projected source clusterTrustBundle: the API server does not serve clustertrustbundles of certificates.k8s.io/v1beta1',
    );
  }
  const found = selected(source, bundles);
  if (found.length === 0 && !isOptional) throw missing(source);
  const anchors = new Map(found.flatMap(certificatesOf));
  if (anchors.size > certificatesMax)
    throw new PodwrightError(
      'E_LIMIT',
      `clusterTrustBundle for ${source.path}: ${anchors.size} certificates, at most ${certificatesMax}`,
    );
  return [...anchors.values()].toSorted().join('');
}

/** No selector is one that matches nothing, an empty one matches all (ClusterTrustBundleProjection). */
function selected(
  { name, signerName, labelSelector }: ClusterTrustBundleProjection,
  bundles: readonly ClusterTrustBundle[],
): readonly ClusterTrustBundle[] {
  if (name !== undefined) return bundles.filter(({ metadata }) => metadata?.name === name);
  if (labelSelector === undefined) return [];
  const matcher = labelSelectorFromObject(labelSelector);
  return bundles.filter(
    ({ spec, metadata }) => spec?.signerName === signerName && matchesLabels(matcher, metadata?.labels),
  );
}

function missing({ name }: ClusterTrustBundleProjection): PodwrightError {
  const message =
    name === undefined
      ? 'combination of signerName and labelSelector matched zero ClusterTrustBundles'
      : `clustertrustbundle.certificates.k8s.io "${name}" not found`;
  return new PodwrightError('E_NOT_FOUND', message);
}

const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** By their fingerprints. */
function certificatesOf({ metadata, spec }: ClusterTrustBundle): readonly (readonly [string, string])[] {
  return (spec?.trustBundle?.match(block) ?? []).map((text) => {
    try {
      const certificate = new X509Certificate(text);
      return [certificate.fingerprint256, certificate.toString()];
    } catch (cause) {
      throw new PodwrightError(
        'E_INVALID',
        `ClusterTrustBundle ${metadata?.name ?? ''}: a certificate of it cannot be read: ${describeError(cause)}`,
        { cause },
      );
    }
  });
}
