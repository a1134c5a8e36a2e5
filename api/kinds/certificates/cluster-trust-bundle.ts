import { X509Certificate } from 'node:crypto';
import { invalidField, tooLongField, type FieldError } from '#api/errors/field-error.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { immutable } from '#api/validation/field.ts';
import { dnsSubdomain, type Format } from '#api/validation/format.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { pemBlocks, type PemBlock } from './pem.ts';
import { signerNameErrors } from './signer-name.ts';

const bundleBytesMax = 1024 * 1024;
const bundleField = 'spec.trustBundle';
const signerField = 'spec.signerName';

/** Rules of ClusterTrustBundles (certificates.k8s.io/v1beta1 of Kubernetes 1.36, KEP-3257; pkg/apis/certificates/validation). */
export const clusterTrustBundleRules: KindRules = {
  effect: acted('agent/volume/trust-bundles.ts'),
  deprecated: { since: 'v1.36', until: 'v1.39' },
  updatesNameRevision: true,
  tracksGeneration: false,
  nameFormatOf: (bundle) => nameFormat(signerOf(bundle)),
  validate: (bundle, old) => [
    ...(signerOf(bundle) === '' ? [] : signerNameErrors(signerOf(bundle), signerField)),
    ...(at(old, bundleField) === at(bundle, bundleField) ? [] : bundleErrors(bundle)),
  ],
  validatesAll: true,
  validateUpdate: immutable(signerField),
  selectableFields: [signerField],
  cells: (bundle) => [nameOf(bundle), text(bundle, signerField, none)],
};

function signerOf(bundle: JsonObject): string {
  return stringOf(at(bundle, signerField));
}

/** A bundle of `example.com/a` is called `example.com:a:NAME`, one of no signer has no colon. */
function nameFormat(signer: string): Format {
  if (signer === '')
    return (name) =>
      name.includes(':')
        ? ['ClusterTrustBundle without signer name must not have ":" in its name']
        : dnsSubdomain(name);
  const start = `${signer.replaceAll('/', ':')}:`;
  return (name) =>
    name.startsWith(start)
      ? dnsSubdomain(name.slice(start.length))
      : [`ClusterTrustBundle for signerName ${signer} must be named with prefix ${start}`];
}

/** Certificates of authorities, each once; a block that is none says so before anything is said of them all. */
function bundleErrors(bundle: JsonObject): readonly FieldError[] {
  const given = stringOf(at(bundle, bundleField));
  if (Buffer.byteLength(given) > bundleBytesMax) return [tooLongField(bundleField, bundleBytesMax)];
  const blocks = pemBlocks(given);
  const faults = blocks.flatMap((block, index) => {
    const fault = blockFault(block);
    return fault === undefined ? [] : [wrong(`entry ${index} ${fault}`)];
  });
  if (faults.length > 0) return faults;
  if (blocks.length === 0) return [wrong('at least one trust anchor must be provided')];
  const places = Map.groupBy(blocks.keys(), (index) =>
    Buffer.from(blocks[index]?.bytes ?? []).toString('base64'),
  );
  return [...places.values()]
    .filter(({ length }) => length > 1)
    .map((indices) => wrong(`duplicate trust anchor (indices [${indices.join(' ')}])`));
}

function wrong(why: string): FieldError {
  return invalidField(bundleField, '<value omitted>', why);
}

function blockFault({ type, hasHeaders, bytes }: PemBlock): string | undefined {
  if (type !== 'CERTIFICATE') return `has bad block type: ${type}`;
  if (hasHeaders) return 'has PEM block headers';
  try {
    return new X509Certificate(bytes).ca ? undefined : 'does not have the CA bit set';
  } catch (error) {
    if (error instanceof Error) return 'does not parse as X.509';
    throw error;
  }
}
