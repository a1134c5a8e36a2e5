import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

/** A request of CN=bob, signed by an Ed25519 key (openssl). */
export const requestDer: string =
  'MIGNMEECAQAwDjEMMAoGA1UEAwwDYm9iMCowBQYDK2VwAyEAoLUznOUIplZPVHluG1uQdFVQBBKfkGR2/lLTHyNUbE+gADAFBgMrZXADQQCoJGv0' +
  'UC0rIZ6yTStiH6l85H7ZCeqINz/ZDAKClehJf1nLlBsBZlwK4iaAXd2P0jxFMm6ckF1k0HgQ2TLwwGEN';
/** A certificate of the same. */
export const certificateDer: string =
  'MIIBMjCB5aADAgECAhROtJXpyXX0CMD/2bHBiUT+D49TyzAFBgMrZXAwDjEMMAoGA1UEAwwDYm9iMCAXDTI2MTEzMDE0MTY0N1oYDzIxMjYxMTA2' +
  'MTQxNjQ3WjAOMQwwCgYDVQQDDANib2IwKjAFBgMrZXADIQCgtTOc5QimVk9UeW4bW5B0VVAEEp+QZHb+UtMfI1RsT6NTMFEwHQYDVR0OBBYEFC7A' +
  'Skyux6aGCQnUpqEs9S0n0i1rMB8GA1UdIwQYMBaAFC7ASkyux6aGCQnUpqEs9S0n0i1rMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAQ8ixTph6' +
  '7TULvhvwj1r51wIQTk8Gan/7DQomDy6TIdZjg9JPudgyDDTCkEnJ9HyYYTcw9RgkG0WLjHVFT+pICQ==';

function pem(type: string, body: string, headers = ''): string {
  return btoa(`-----BEGIN ${type}-----\n${headers}${body}\n-----END ${type}-----\n`);
}

const request = pem('CERTIFICATE REQUEST', requestDer);
const certificate = pem('CERTIFICATE', certificateDer);

const requestRow = (rule: string, text: string, message: string): RuleRow => ({
  field: 'spec.request',
  rule,
  fails: { 'spec.request': text },
  message: `spec.request: Invalid value: ${JSON.stringify(text)}: ${message}`,
});

const condition = (type: string, status = 'True'): object => ({ type, status });
const approved = { 'status.conditions': [condition('Approved')] };
const approvalRow = (
  rule: string,
  from: object,
  [passes, fails, message]: readonly [passes: readonly object[], fails: readonly object[], message: string],
): RuleRow => ({
  field: 'status.conditions',
  rule,
  from: { ...from },
  subresource: 'approval',
  passes: { 'status.conditions': passes },
  fails: { 'status.conditions': fails },
  message,
});
const certificateRow = (rule: string, text: string, message: string): RuleRow => ({
  field: 'status.certificate',
  rule,
  from: {},
  subresource: 'status',
  passes: { 'status.certificate': certificate },
  fails: { 'status.certificate': text },
  message: `status.certificate: Invalid value: "<certificate data>": ${message}`,
});

const signerRow = (rule: string, name: string, message: string): RuleRow => ({
  field: 'spec.signerName',
  rule,
  passes: { 'spec.signerName': 'a.b/c.d' },
  fails: { 'spec.signerName': name },
  message: `spec.signerName: ${message}`,
});

export const certificateSigningRequest: RuleTable = {
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  base: { spec: { request, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] } },
  rows: [
    requestRow('PEM of a request', btoa('hello'), 'PEM block type must be CERTIFICATE REQUEST'),
    requestRow('no other PEM', certificate, 'PEM block type must be CERTIFICATE REQUEST'),
    requestRow(
      'all of it',
      pem('CERTIFICATE REQUEST', requestDer.slice(0, 160)),
      'asn1: syntax error: data truncated',
    ),
    requestRow(
      'nothing behind it',
      pem('CERTIFICATE REQUEST', `${requestDer}AAAA`),
      'asn1: syntax error: trailing data',
    ),
    requestRow(
      'a request by its shape',
      pem('CERTIFICATE REQUEST', 'MAMCAQE='),
      "asn1: structure error: tags don't match",
    ),
    requestRow(
      'signed by its key',
      pem('CERTIFICATE REQUEST', requestDer.replace('wwGEN', 'wwGEM')),
      'x509: Ed25519 verification failure',
    ),
    {
      field: 'spec.request',
      rule: 'there',
      fails: { 'spec.request': undefined },
      message: 'spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST',
    },
    {
      field: 'spec.request',
      rule: 'stays, whatever an update says',
      from: {},
      passes: { 'spec.request': btoa('hello'), 'spec.usages': [] },
      fails: { 'metadata.labels': { a: 'b c' } },
      message: 'metadata.labels: Invalid value: "b c": a valid label must be an empty string…',
    },
    {
      field: 'spec.usages',
      rule: 'some',
      fails: { 'spec.usages': [] },
      message: 'spec.usages: Required value',
    },
    {
      field: 'spec.usages',
      rule: 'known ones',
      passes: { 'spec.usages': ['digital signature', 's/mime'] },
      fails: { 'spec.usages': ['client auth', 'foo'] },
      message:
        'spec.usages[1]: Unsupported value: "foo": supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"',
    },
    {
      field: 'spec.usages',
      rule: 'each once',
      fails: { 'spec.usages': ['client auth', 'client auth'] },
      message: 'spec.usages[1]: Duplicate value: "client auth"',
    },
    signerRow('there', '', 'Required value'),
    signerRow(
      'a domain and a path',
      'bad signer',
      'Invalid value: "bad signer": must be a fully qualified domain and path of the form \'example.com/signer-name\'',
    ),
    signerRow(
      'no two slashes',
      'a.b/c/d',
      'Invalid value: "a.b/c/d": must be a fully qualified domain and path of…',
    ),
    signerRow(
      'the domain of labels',
      'a.B/c',
      'Invalid value: "a.B": validating label "B": a lowercase RFC 1123 label must consist…',
    ),
    signerRow(
      'the domain of two labels',
      'a/c',
      'Invalid value: "a": should be a domain with at least two segments separated by dots',
    ),
    signerRow(
      'the path of labels',
      'a.b/c.D',
      'Invalid value: "c.D": validating label "D": a lowercase RFC 1123 subdomain must consist…',
    ),
    signerRow(
      'not the one of before',
      'kubernetes.io/legacy-unknown',
      'Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version',
    ),
    {
      field: 'spec.expirationSeconds',
      rule: 'ten minutes or more',
      passes: { 'spec.expirationSeconds': 600 },
      fails: { 'spec.expirationSeconds': 599 },
      message:
        'spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)',
    },
    approvalRow('with a type', {}, [
      [condition('Foo', 'Unknown')],
      [condition('')],
      'status.conditions[0].type: Required value',
    ]),
    approvalRow('with a status', {}, [
      [condition('Foo', 'False')],
      [condition('Foo', '')],
      'status.conditions[0].status: Required value',
    ]),
    approvalRow('with a known status', {}, [
      [condition('Foo')],
      [condition('Foo', 'Bar')],
      'status.conditions[0].status: Unsupported value: "Bar": supported values: "False", "True", "Unknown"',
    ]),
    approvalRow('those that are final are true', {}, [
      [condition('Approved')],
      [condition('Approved', 'False')],
      'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
    ]),
    approvalRow('each type once', {}, [
      [condition('Foo'), condition('Bar')],
      [condition('Foo'), condition('Foo')],
      'status.conditions[1].type: Duplicate value: "Foo"',
    ]),
    approvalRow('not both approved and denied', approved, [
      [condition('Approved'), condition('Foo')],
      [condition('Approved'), condition('Denied')],
      'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
    ]),
    approvalRow('what is final is not taken back', approved, [
      [condition('Approved')],
      [],
      'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
    ]),
    {
      field: 'status.conditions',
      rule: 'a signer does not approve',
      from: {},
      subresource: 'status',
      passes: { 'status.conditions': [condition('Failed')] },
      fails: { 'status.conditions': [condition('Approved')] },
      message: 'status.conditions: Forbidden: updates may not add a condition of type "Approved"',
    },
    {
      field: 'status.conditions',
      rule: 'a signer says nothing else of an approval: what it says is passed over',
      from: { 'status.conditions': [{ ...condition('Approved'), reason: 'R', message: 'm' }] },
      subresource: 'status',
      passes: {
        'status.conditions': [condition('Failed'), { ...condition('Approved'), reason: 'S', message: 'n' }],
      },
      fails: { 'status.conditions': [condition('Failed')] },
      message: 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
    },
    certificateRow('PEM', btoa('hello'), 'must contain at least one CERTIFICATE PEM block'),
    certificateRow(
      'certificates only',
      request,
      'only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"',
    ),
    certificateRow(
      'without headers',
      pem('CERTIFICATE', certificateDer, 'A: b\n\n'),
      'no PEM block headers are permitted',
    ),
    certificateRow('that can be read', pem('CERTIFICATE', requestDer), 'x509: malformed certificate'),
    {
      field: 'status.certificate',
      rule: 'stays once it is there',
      from: { 'status.certificate': certificate },
      subresource: 'status',
      passes: { 'status.conditions': [condition('Failed')] },
      fails: { 'status.certificate': btoa(`${atob(certificate)}${atob(certificate)}`) },
      message: 'status.certificate: Forbidden: updates may not modify existing certificate content',
    },
  ],
  none: {
    "the server's word": ['spec.username', 'spec.uid', 'spec.groups', 'spec.extra'],
  },
  lacks: {
    "texts about what is wrong within ASN.1 are shorter than Go's": ['spec.request', 'status.certificate'],
  },
};
