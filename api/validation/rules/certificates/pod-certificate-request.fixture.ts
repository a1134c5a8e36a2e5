import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { certificateDer as others, requestDer as anothers } from './signing-request.fixture.ts';

/** An Ed25519 key (openssl), a request that it signed, and the pod's uid signed by it. */
const publicKey = 'MCowBQYDK2VwAyEAwwbzLCBfGYIiSwZmnNU5BjUzhvcwMa8BG5ei0IQfwPY=';
const proof = 'b8Nakr6ync3pLn1VGbDsQ0m4c1fMEmoEXNJ4g6/+bkCCXcoxmPgderimR9FdidY4U0/mNgI23FfnCOvA2bbtCA==';
const stub =
  'MIGNMEECAQAwDjEMMAoGA1UEAwwDcG9kMCowBQYDK2VwAyEAwwbzLCBfGYIiSwZmnNU5BjUzhvcwMa8BG5ei0IQfwPagADAFBgMr' +
  'ZXADQQBQuJx7tXPVcDVh1H78OxHIYcH1fG1baMgXWwInFhGMqcqS1YLFIwaQRoDZZawugVBd/4qlDIZMKAU3sFZoc0QH';

/** Certificates of the key from the 2nd of December 2026 on: for a day, half an hour, two days; of names that are none. */
const day =
  'MIHCMHYCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA3BvZDAeFw0yNjEyMDIwMDAwMDBaFw0yNjEyMDMwMDAwMDBaMA4xDDAKBgNVBAMM' +
  'A3BvZDAqMAUGAytlcAMhAMMG8ywgXxmCIksGZpzVOQY1M4b3MDGvARuXotCEH8D2MAUGAytlcANBALaGha8q42mN786OXdVDUJmJ' +
  'Kw6gzDZ8ObkrIO0YJt+gk8yD4LicxWn8hQyl1pPOFq2DKQQNYEf4Uja+QDYzygA=';
const halfHour =
  'MIHCMHYCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA3BvZDAeFw0yNjEyMDIwMDAwMDBaFw0yNjEyMDIwMDMwMDBaMA4xDDAKBgNVBAMM' +
  'A3BvZDAqMAUGAytlcAMhAMMG8ywgXxmCIksGZpzVOQY1M4b3MDGvARuXotCEH8D2MAUGAytlcANBAL6tcZmFS8VeeF2MK6nRuiaJ' +
  'ha9c7Y5WtnlRG+fXNXz6guvxY1r8v2fAAasyVOr4v0Yjn4ksMS63ODJN0lA5aAc=';
const twoDays =
  'MIHCMHYCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA3BvZDAeFw0yNjEyMDIwMDAwMDBaFw0yNjEyMDQwMDAwMDBaMA4xDDAKBgNVBAMM' +
  'A3BvZDAqMAUGAytlcAMhAMMG8ywgXxmCIksGZpzVOQY1M4b3MDGvARuXotCEH8D2MAUGAytlcANBANAS2jWd1HDKCm3EvdGfj62O' +
  'vtxhY1z3/vhOrOGLOhIChybO6UDhpIfcB69SDIetIP10opRegtY5tguDOWRTGgE=';
const wrongNames =
  'MIIBADCBs6ADAgECAgEBMAUGAytlcDAOMQwwCgYDVQQDDANwb2QwHhcNMjYxMjAyMDAwMDAwWhcNMjYxMjAzMDAwMDAwWjAOMQww' +
  'CgYDVQQDDANwb2QwKjAFBgMrZXADIQDDBvMsIF8ZgiJLBmac1TkGNTOG9zAxrwEbl6LQhB/A9qM2MDQwEwYDVR0RBAwwCoIEYS4u' +
  'YoICLmMwHQYDVR0OBBYEFImb61Bm91Ys6TKRPyms2fIaq4rlMAUGAytlcANBADSZztcGhgOuW4pvXVyY4f5yASu87WgnV6G56Jq1' +
  's/bER8sfGJPsYQIIA17HStYJrR1yLzIrU6hq4GwBSG6J/ws=';
const wrongMail =
  'MIH+MIGxoAMCAQICAQEwBQYDK2VwMA4xDDAKBgNVBAMMA3BvZDAeFw0yNjEyMDIwMDAwMDBaFw0yNjEyMDMwMDAwMDBaMA4xDDAK' +
  'BgNVBAMMA3BvZDAqMAUGAytlcAMhAMMG8ywgXxmCIksGZpzVOQY1M4b3MDGvARuXotCEH8D2ozQwMjARBgNVHREECjAIgQZub2Jv' +
  'ZHkwHQYDVR0OBBYEFImb61Bm91Ys6TKRPyms2fIaq4rlMAUGAytlcANBAC6WqTEZK14d0xo5l+xLnuqTYbHTm21+oWMcYrpdSkQn' +
  'vKcf+i5sn/QuyIwSrw0tJrDRfGZzfQcqrB9sk6RiBgQ=';

const spec = {
  ...{
    signerName: 'a.b/c',
    podName: 'p',
    podUID: 'uid-p',
    serviceAccountName: 's',
    serviceAccountUID: 'uid-s',
  },
  ...{ nodeName: 'n', nodeUID: 'uid-n', stubPKCS10Request: stub },
};
const byKey: Edits = { 'spec.stubPKCS10Request': undefined, 'spec.pkixPublicKey': publicKey };
const seconds = 'spec.maxExpirationSeconds';
const range = (most: number): string => `must be in the range [3600, ${most}]`;
const long = 'A'.repeat(4 * 3416);
const tooLong = 'Too long: may not be more than 10240 bytes';

const idRows = (['podUID', 'serviceAccountUID', 'nodeUID'] as const).flatMap((name) => [
  ruleAt(`spec.${name}`, 'there', { fails: '' }, invalid('', 'must not be empty')),
  ruleAt(
    `spec.${name}`,
    'at most 128 bytes',
    { passes: 'a'.repeat(128), fails: 'a'.repeat(129) },
    'Too long: may not be more than 128 bytes',
  ),
]);

const keyRows: readonly RuleRow[] = [
  ruleAt('spec.stubPKCS10Request', 'at most 10 KiB', { passes: stub, fails: long }, tooLong),
  ruleAt('spec.pkixPublicKey', 'at most 10 KiB', { passes: publicKey, fails: long }, tooLong, {
    ...byKey,
    'spec.proofOfPossession': proof,
  }),
  ruleAt(
    'spec.pkixPublicKey',
    'a key',
    { passes: publicKey, fails: 'AAAA' },
    invalid('AAAA', 'must be a valid PKIX-serialized public key'),
    { ...byKey, 'spec.proofOfPossession': proof },
  ),
  ruleAt('spec.proofOfPossession', 'at most 10 KiB', { passes: proof, fails: long }, tooLong, byKey),
  ruleAt(
    'spec.proofOfPossession',
    "the pod's uid, signed by the key",
    { passes: proof, fails: proof.replace('b8N', 'b8M') },
    'Invalid value: could not verify proof-of-possession signature',
    byKey,
  ),
];

const conditions = 'status.conditions';
const verdict = (type: string, status = 'True'): object => ({
  ...{ type, status, reason: 'R', message: '', lastTransitionTime: '2026-12-02T00:00:00Z' },
});
const pem = (der: string, type = 'CERTIFICATE'): string =>
  `-----BEGIN ${type}-----\n${der}\n-----END ${type}-----\n`;
const issued: Edits = {
  [conditions]: [verdict('Issued')],
  'status.certificateChain': pem(day),
  'status.notBefore': '2026-12-02T00:00:00Z',
  'status.notAfter': '2026-12-03T00:00:00Z',
  'status.beginRefreshAt': '2026-12-02T16:00:00Z',
};

interface Verdict {
  readonly passes?: Edits;
  readonly fails: Edits;
  readonly from?: Edits;
}

function verdictRow(field: string, rule: string, edits: Verdict, said: string): RuleRow {
  const { passes = issued, fails, from = {} } = edits;
  return { field, rule, from, subresource: 'status', passes, fails, message: said };
}

const chain = 'status.certificateChain';
function chainRow(rule: string, text: string, detail: string): RuleRow {
  const fails = { ...issued, [chain]: text };
  return verdictRow(chain, rule, { fails }, `${chain}: ${invalid(text, detail)}`);
}

/** What is wrong with a time, as it is shown. */
function timeRow(
  name: string,
  rule: string,
  [given, shown]: readonly [string, string],
  why: string,
): RuleRow {
  const field = `status.${name}`;
  const fails = { ...issued, [field]: given };
  return verdictRow(field, rule, { fails }, `${field}: Invalid value: ${shown} +0000 UTC: ${why}`);
}

const verdictRows: readonly RuleRow[] = [
  verdictRow(
    conditions,
    'one of three',
    { passes: { [conditions]: [verdict('Denied')] }, fails: { [conditions]: [verdict('Other')] } },
    'status.conditions.[0].type: Unsupported value: "Other": supported values: "Issued", "Denied", "Failed"',
  ),
  verdictRow(
    conditions,
    'one alone',
    {
      passes: { [conditions]: [verdict('Failed')] },
      fails: { [conditions]: [verdict('Failed'), verdict('Denied')] },
    },
    'status.conditions.[1].type: Invalid value: "Denied": There may be at most one condition with type "Issued", "Denied", or "Failed"',
  ),
  verdictRow(
    conditions,
    'True',
    { fails: { ...issued, [conditions]: [verdict('Issued', 'False')] } },
    'status.conditions.[0].status: Unsupported value: "False": supported values: "True"',
  ),
  verdictRow(
    conditions,
    'for good',
    { from: { [conditions]: [verdict('Denied')] }, passes: {}, fails: { [conditions]: [verdict('Failed')] } },
    'status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed',
  ),
  verdictRow(
    chain,
    'none without a verdict',
    { fails: { ...issued, [conditions]: [] } },
    'status: Invalid value: status is immutable unless transitioning to "Issued", "Denied", or "Failed"',
  ),
  verdictRow(
    chain,
    'none with another verdict',
    { fails: { ...issued, [conditions]: [verdict('Denied')] } },
    'status: Invalid value: non-condition status fields must be empty when denying or failing the PodCertificateRequest',
  ),
];

const chainRows: readonly RuleRow[] = [
  chainRow('there', '', 'issued certificate chain must contain at least one certificate'),
  chainRow(
    'of certificates',
    pem(day, 'X'),
    'issued certificate chain must consist entirely of CERTIFICATE PEM blocks',
  ),
  chainRow('begun by one', pem('AAAA'), 'leaf certificate does not parse as valid X.509'),
  chainRow('of the key', pem(others), 'leaf certificate was not issued to the requested public key'),
  chainRow(
    'certificates behind it, too',
    `${pem(day)}${pem(day, 'X')}`,
    'issued certificate chain must consist entirely of CERTFICATE PEM blocks',
  ),
  chainRow(
    'that are some',
    `${pem(day)}${pem('AAAA')}`,
    'intermediate certificate does not parse as valid X.509',
  ),
  verdictRow(
    chain,
    'at most 100 KiB',
    { fails: { ...issued, [chain]: pem(day).repeat(400) } },
    `${chain}: Too long: may not be more than 102400 bytes`,
  ),
  {
    ...chainRow('of names that can be', '', ''),
    fails: { ...issued, [chain]: pem(wrongNames) },
    message: [
      `${chain}: ${invalid('a..b', "leaf certificate's DNSName should not contain '..'")}`,
      `${chain}: ${invalid('.c', "leaf certificate's DNSName should not start or end with '.'")}`,
    ],
  },
  verdictRow(
    chain,
    'of addresses of mail',
    { fails: { ...issued, [chain]: pem(wrongMail) } },
    `${chain}: ${invalid('nobody', 'leaf certificate should not contain invalid EmailAddress')}`,
  ),
  verdictRow(
    chain,
    'for an hour at least',
    { fails: { ...issued, [chain]: pem(halfHour), 'status.notAfter': '2026-12-02T00:30:00Z' } },
    `${chain}: Invalid value: 30m0s: leaf certificate lifetime must be >= 1 hour`,
  ),
  verdictRow(
    chain,
    'for as long as is asked at most',
    { fails: { ...issued, [chain]: pem(twoDays), 'status.notAfter': '2026-12-04T00:00:00Z' } },
    `${chain}: Invalid value: 48h0m0s: leaf certificate lifetime must be <= spec.maxExpirationSeconds (86400)`,
  ),
];

const timeRows: readonly RuleRow[] = [
  ...['notBefore', 'notAfter'].map((name) =>
    verdictRow(
      `status.${name}`,
      'there',
      { fails: { ...issued, [`status.${name}`]: undefined } },
      `status.${name}: Required value: must be present and consistent with the issued certificate`,
    ),
  ),
  verdictRow(
    'status.beginRefreshAt',
    'there',
    { fails: { ...issued, 'status.beginRefreshAt': undefined } },
    'status.beginRefreshAt: Required value: must be present and in the range [notbefore+10min, notafter-10min]',
  ),
  timeRow(
    'notBefore',
    "the certificate's",
    ['2026-12-02T00:00:01Z', '2026-12-02 00:00:01'],
    'must be set to the NotBefore time encoded in the leaf certificate',
  ),
  timeRow(
    'notAfter',
    "the certificate's",
    ['2026-12-03T00:00:01Z', '2026-12-03 00:00:01'],
    'must be set to the NotAfter time encoded in the leaf certificate',
  ),
  timeRow(
    'beginRefreshAt',
    'ten minutes in',
    ['2026-12-02T00:09:59Z', '2026-12-02 00:09:59'],
    'must be at least 10 minutes after status.notBefore',
  ),
  timeRow(
    'beginRefreshAt',
    'ten minutes before the end',
    ['2026-12-02T23:50:01Z', '2026-12-02 23:50:01'],
    'must be at least 10 minutes before status.notAfter',
  ),
];

export const podCertificateRequest: RuleTable = {
  apiVersion: 'certificates.k8s.io/v1beta1',
  kind: 'PodCertificateRequest',
  base: { spec },
  rows: [
    ruleAt('spec.signerName', 'a name with a domain', { passes: 'a.b/c.d', fails: 'a/b' }, [
      `spec.signerName: ${invalid('a', 'should be a domain with at least two segments separated by dots')}`,
    ]),
    ...['podName', 'serviceAccountName', 'nodeName'].map((name) =>
      ruleAt(
        `spec.${name}`,
        'a DNS subdomain',
        { passes: 'a.b', fails: 'a_b' },
        invalid('a_b', says.subdomain),
      ),
    ),
    ...idRows,
    ruleAt(
      seconds,
      'an hour to 91 days',
      { passes: 7_862_400, fails: 7_862_401 },
      invalid(7_862_401, range(7_862_400)),
    ),
    ruleAt(
      seconds,
      "a day of Kubernetes' own",
      { passes: 86_400, fails: 86_401 },
      invalid(86_401, range(86_400)),
      { 'spec.signerName': 'kubernetes.io/x' },
    ),
    ruleAt(seconds, 'not less', { passes: 3600, fails: 3599 }, invalid(3599, range(7_862_400))),
    ...keyRows,
    {
      ...ruleAt('spec', 'stays', { fails: { ...spec, stubPKCS10Request: anothers } }, 'Invalid value: …'),
      from: {},
      passes: { 'metadata.labels': { a: 'b' } },
    },
    ...verdictRows,
    ...chainRows,
    ...timeRows,
  ],
  none: { 'free text, for the signer': ['spec.unverifiedUserAnnotations'] },
  lacks: {
    'texts about the request are shorter': ['spec.stubPKCS10Request'],
    'keys of the annotations are looked at': ['spec.unverifiedUserAnnotations'],
    "within five minutes of the server's clock": ['status.notBefore'],
  },
};
