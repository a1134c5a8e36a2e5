import { ruleAt } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { certificateDer, requestDer } from './signing-request.fixture.ts';

const pem = (type: string, body: string, headers = ''): string =>
  `-----BEGIN ${type}-----\n${headers}${body}\n-----END ${type}-----\n`;
const anchor = pem('CERTIFICATE', certificateDer);
/** Signed by its own key, and no authority. */
const leaf =
  'MIHCMHYCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA3BvZDAeFw0yNjEyMDIwMDAwMDBaFw0yNjEyMDMwMDAwMDBaMA4xDDAKBgNVBAMM' +
  'A3BvZDAqMAUGAytlcAMhAMMG8ywgXxmCIksGZpzVOQY1M4b3MDGvARuXotCEH8D2MAUGAytlcANBALaGha8q42mN786OXdVDUJmJ' +
  'Kw6gzDZ8ObkrIO0YJt+gk8yD4LicxWn8hQyl1pPOFq2DKQQNYEf4Uja+QDYzygA=';

const field = 'spec.trustBundle';
const bundleRow = (rule: string, text: string, why: string): RuleRow =>
  ruleAt(
    field,
    rule,
    { passes: `what is between is passed over\n${anchor}`, fails: text },
    `Invalid value: "<value omitted>": ${why}`,
  );
const signed = { 'metadata.name': 'a.b:c:x', 'spec.signerName': 'a.b/c' };

export const clusterTrustBundle: RuleTable = {
  apiVersion: 'certificates.k8s.io/v1beta1',
  kind: 'ClusterTrustBundle',
  base: { spec: { trustBundle: anchor } },
  rows: [
    bundleRow(
      'certificates',
      pem('CERTIFICATE REQUEST', requestDer),
      'entry 0 has bad block type: CERTIFICATE REQUEST',
    ),
    bundleRow(
      'no headers',
      `${anchor}${pem('CERTIFICATE', certificateDer, 'a: b\n\n')}`,
      'entry 1 has PEM block headers',
    ),
    bundleRow('X.509', pem('CERTIFICATE', 'AAAA'), 'entry 0 does not parse as X.509'),
    bundleRow('of authorities', pem('CERTIFICATE', leaf), 'entry 0 does not have the CA bit set'),
    bundleRow('at least one', 'none', 'at least one trust anchor must be provided'),
    bundleRow('each once', anchor + anchor, 'duplicate trust anchor (indices [0 1])'),
    ruleAt(
      field,
      'a mebibyte',
      { fails: 'a'.repeat(1024 * 1024 + 1) },
      'Too long: may not be more than 1048576 bytes',
    ),
    {
      field: 'spec.signerName',
      rule: 'a domain and a path',
      passes: signed,
      fails: { 'metadata.name': 'c:x', 'spec.signerName': 'c' },
      message: `spec.signerName: Invalid value: "c": must be a fully qualified domain and path of the form 'example.com/signer-name'`,
    },
    {
      field: 'spec.signerName',
      rule: 'begins the name',
      passes: signed,
      fails: { ...signed, 'metadata.name': 'x' },
      message:
        'metadata.name: Invalid value: "x": ClusterTrustBundle for signerName a.b/c must be named with prefix a.b:c:',
    },
    {
      field: 'spec.signerName',
      rule: 'none, and no colon in the name',
      passes: {},
      fails: { 'metadata.name': 'a:b' },
      message:
        'metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name',
    },
    {
      field: 'spec.signerName',
      rule: 'stays',
      from: signed,
      passes: signed,
      fails: { ...signed, 'spec.signerName': 'a.b/d', 'metadata.name': 'a.b:c:x' },
      message: [
        'metadata.name: Invalid value: "a.b:c:x": ClusterTrustBundle for signerName a.b/d must be named with prefix a.b:d:',
        'spec.signerName: Invalid value: "a.b/d": field is immutable',
      ],
    },
  ],
};
