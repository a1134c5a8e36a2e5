/**
 * Of each rule of the Gateway API's kinds a value that it refuses and one beside it that it allows, for the place where the rule stands; by its
 * message, as one rule stands in many places. Written by what the rules say.
 */
import type { RuleCase } from './rule-case.ts';

const service = { name: 'one', port: 80 };
const target = { group: '', kind: 'Service', name: 'one' };
const parent = { name: 'one' };
const headers = { set: [{ name: 'a', value: 'b' }] };
const mirror = { backendRef: service };
const extension = { group: 'example.com', kind: 'Sample', name: 'one' };
const requestHeaders = { type: 'RequestHeaderModifier', requestHeaderModifier: headers };
const responseHeaders = { type: 'ResponseHeaderModifier', responseHeaderModifier: headers };
const mirroring = { type: 'RequestMirror', requestMirror: mirror };
const extended = { type: 'ExtensionRef', extensionRef: extension };
const cors = { type: 'CORS', cors: { allowOrigins: ['https://example.com'] } };
const redirect = { type: 'RequestRedirect', requestRedirect: { statusCode: 301 } };
const rewrite = { type: 'URLRewrite', urlRewrite: { hostname: 'example.com' } };
const prefix = { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/b' } };
const redirectPrefix = { type: 'RequestRedirect', requestRedirect: prefix };
const rewritePrefix = { type: 'URLRewrite', urlRewrite: prefix };
const exactly = { matches: [{ path: { type: 'Exact', value: '/a' } }] };
const byPrefix = { matches: [{ path: { type: 'PathPrefix', value: '/a' } }] };
const http = { name: 'one', port: 80, protocol: 'HTTP' };
const certificates = { certificateRefs: [{ name: 'one' }] };
const longLabel = `${'a'.repeat(60)}.`.repeat(5);

function rulesOfMatches(count: number): readonly unknown[] {
  const matches = Array.from({ length: 64 }, () => ({}));
  return [{ matches }, { matches }, { matches: matches.slice(0, count) }];
}

function path(value: string, type = 'Exact'): unknown {
  return { type, value };
}

const references: readonly RuleCase[] = [
  {
    message: 'sectionName must be specified when targetRefs includes 2 or more references to the same target',
    refused: [target, { ...target, sectionName: 'a' }],
    allowed: [
      { ...target, sectionName: 'a' },
      { ...target, sectionName: 'b' },
    ],
  },
  {
    message: 'sectionName must be unique when targetRefs includes 2 or more references to the same target',
    refused: [
      { ...target, sectionName: 'a' },
      { ...target, sectionName: 'a' },
    ],
    allowed: [target, { ...target, name: 'two' }],
  },
  {
    message: 'sectionName must be specified when parentRefs includes 2 or more references to the same parent',
    refused: [parent, { ...parent, sectionName: 'a' }],
    allowed: [parent, { ...parent, namespace: 'other', sectionName: 'a' }],
  },
  {
    message: 'sectionName must be unique when parentRefs includes 2 or more references to the same parent',
    refused: [
      { ...parent, namespace: 'other', sectionName: 'a' },
      { ...parent, namespace: 'other', sectionName: 'a' },
    ],
    allowed: [
      { ...parent, namespace: 'other', sectionName: 'a' },
      { ...parent, namespace: 'other', sectionName: 'b' },
    ],
  },
  {
    message: 'Must have port for Service reference',
    refused: { name: 'one' },
    allowed: service,
  },
];

const backendTls: readonly RuleCase[] = [
  {
    message: 'must not contain both CACertificateRefs and WellKnownCACertificates',
    refused: {
      hostname: 'example.com',
      caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'one' }],
      wellKnownCACertificates: 'System',
    },
    allowed: { hostname: 'example.com', wellKnownCACertificates: 'System' },
  },
  {
    message: 'must specify either CACertificateRefs or WellKnownCACertificates',
    refused: { hostname: 'example.com' },
    allowed: {
      hostname: 'example.com',
      caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'one' }],
    },
  },
  {
    message: 'SubjectAltName element must contain Hostname, if Type is set to Hostname',
    refused: { type: 'Hostname' },
    allowed: { type: 'Hostname', hostname: 'example.com' },
  },
  {
    message: 'SubjectAltName element must not contain Hostname, if Type is not set to Hostname',
    refused: { type: 'URI', uri: 'spiffe://example.com/a', hostname: 'example.com' },
    allowed: { type: 'URI', uri: 'spiffe://example.com/a' },
  },
  {
    message: 'SubjectAltName element must contain URI, if Type is set to URI',
    refused: { type: 'URI' },
    allowed: { type: 'URI', uri: 'spiffe://example.com/a' },
  },
  {
    message: 'SubjectAltName element must not contain URI, if Type is not set to URI',
    refused: { type: 'Hostname', hostname: 'example.com', uri: 'spiffe://example.com/a' },
    allowed: { type: 'Hostname', hostname: 'example.com' },
  },
];

const gateways: readonly RuleCase[] = [
  {
    message: 'field is immutable',
    before: 'example.com/one',
    refused: 'example.com/two',
    allowed: 'example.com/one',
  },
  {
    message: 'IPAddress values must be unique',
    refused: [
      { type: 'IPAddress', value: '192.0.2.1' },
      { type: 'IPAddress', value: '192.0.2.1' },
    ],
    allowed: [{ type: 'IPAddress', value: '192.0.2.1' }, { type: 'IPAddress' }, { value: '192.0.2.2' }],
  },
  {
    message: 'Hostname values must be unique',
    refused: [
      { type: 'Hostname', value: 'example.com' },
      { type: 'Hostname', value: 'example.com' },
    ],
    allowed: [
      { type: 'Hostname', value: 'a.example.com' },
      { type: 'Hostname', value: 'example.com' },
    ],
  },
  {
    message:
      'Hostname value must be empty or contain only valid characters (matching ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)',
    refused: { type: 'Hostname', value: 'Example.com' },
    allowed: { type: 'Hostname', value: '*.example.com' },
  },
  {
    message:
      'Hostname value must only contain valid characters (matching ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)',
    refused: { type: 'Hostname', value: 'Example.com' },
    allowed: { type: 'Hostname', value: '*.example.com' },
  },
  ...['Annotation', 'Label'].flatMap((what) => [
    {
      message: `${what} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.`,
      refused: { 'Example.com/a': 'b' },
      allowed: { 'example.com/A': 'b' },
    },
    {
      message: `If specified, the ${what.toLowerCase()} key's prefix must be a DNS subdomain not longer than 253 characters in total.`,
      refused: { [`${longLabel}example.com/a`]: 'b' },
      allowed: { [`${longLabel.slice(0, 183)}example.com/a`]: 'b' },
    },
  ]),
  {
    message: "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
    refused: [{ ...http, tls: certificates }],
    allowed: [http],
  },
  {
    message: 'tls mode must be Terminate for protocol HTTPS',
    refused: [{ ...http, protocol: 'HTTPS', tls: { mode: 'Passthrough' } }],
    allowed: [{ ...http, protocol: 'HTTPS', tls: certificates }],
  },
  {
    message: 'tls mode must be set for protocol TLS',
    refused: [{ ...http, protocol: 'TLS' }],
    allowed: [{ ...http, protocol: 'TLS', tls: { mode: 'Passthrough' } }],
  },
  {
    message: "hostname must not be specified for protocols ['TCP', 'UDP']",
    refused: [{ ...http, protocol: 'UDP', hostname: 'example.com' }],
    allowed: [{ ...http, hostname: 'example.com' }],
  },
  {
    message: 'Listener name must be unique within the Gateway',
    refused: [http, { ...http, port: 81 }],
    allowed: [http, { ...http, name: 'two', port: 81 }],
  },
  {
    message: 'Combination of port, protocol and hostname must be unique for each listener',
    refused: [
      { ...http, hostname: 'example.com' },
      { ...http, name: 'two', hostname: 'example.com' },
    ],
    allowed: [http, { ...http, name: 'two', hostname: 'example.com' }],
  },
  {
    message: 'certificateRefs or options must be specified when mode is Terminate',
    // Without both the rule has no answer, and its error is told with its message.
    refused: { mode: 'Terminate', certificateRefs: [], options: {} },
    allowed: { mode: 'Terminate', options: { 'example.com/a': 'b' } },
  },
  {
    message: 'Port for TLS configuration must be unique within the Gateway',
    refused: [
      { port: 443, tls: {} },
      { port: 443, tls: {} },
    ],
    allowed: [
      { port: 443, tls: {} },
      { port: 8443, tls: {} },
    ],
  },
];

/** A type of filter, its field, and a filter of it. */
const filters: readonly (readonly [type: string, field: string, filter: object])[] = [
  ['RequestHeaderModifier', 'requestHeaderModifier', requestHeaders],
  ['ResponseHeaderModifier', 'responseHeaderModifier', responseHeaders],
  ['RequestMirror', 'requestMirror', mirroring],
  ['ExtensionRef', 'extensionRef', extended],
  ['CORS', 'cors', cors],
  ['RequestRedirect', 'requestRedirect', redirect],
  ['URLRewrite', 'urlRewrite', rewrite],
];

const filterRules: readonly RuleCase[] = [
  ...filters.flatMap(([type, field, filter]): readonly RuleCase[] => [
    {
      message: `filter.${field} must be nil if the filter.type is not ${type}`,
      refused: { ...filter, ...(type === 'ExtensionRef' ? mirroring : extended) },
      allowed: filter,
    },
    {
      message: `filter.${field} must be specified for ${type} filter.type`,
      refused: { type },
      allowed: filter,
    },
    { message: `${type} filter cannot be repeated`, refused: [filter, filter], allowed: [filter] },
  ]),
  {
    message:
      'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both',
    refused: [redirect, rewrite],
    allowed: [redirect, requestHeaders],
  },
  {
    message: 'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter',
    refused: { ...mirror, percent: 1, fraction: { numerator: 1 } },
    allowed: { ...mirror, percent: 1 },
  },
  {
    message: 'numerator must be less than or equal to denominator',
    refused: { numerator: 101 },
    allowed: { numerator: 100 },
  },
  { message: "AllowHeaders cannot contain '*' alongside other methods", refused: ['*', 'a'], allowed: ['*'] },
  {
    message: "AllowMethods cannot contain '*' alongside other methods",
    refused: ['*', 'GET'],
    allowed: ['*'],
  },
  {
    message: "AllowOrigins cannot contain '*' alongside other origins",
    refused: ['*', 'https://example.com'],
    allowed: ['*'],
  },
  ...['ReplaceFullPath', 'ReplacePrefixMatch'].flatMap((type, index, types): readonly RuleCase[] => {
    const fields = ['replaceFullPath', 'replacePrefixMatch'];
    const field = fields[index] ?? '';
    const otherField = fields[1 - index] ?? '';
    return [
      {
        message: `${field} must be specified when type is set to '${type}'`,
        refused: { type },
        allowed: { type, [field]: '/a' },
      },
      {
        message: `type must be '${type}' when ${field} is set`,
        refused: { type: types[1 - index], [field]: '/a', [otherField]: '/b' },
        allowed: { type, [field]: '/a' },
      },
    ];
  }),
];

const within = 'exactly one PathPrefix match must be specified';

const routes: readonly RuleCase[] = [
  {
    message:
      'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128',
    refused: rulesOfMatches(1),
    allowed: rulesOfMatches(0).slice(0, 2),
  },
  {
    message: 'RequestRedirect filter must not be used together with backendRefs',
    refused: { filters: [redirect], backendRefs: [service] },
    allowed: { filters: [redirect] },
  },
  {
    message: `When using RequestRedirect filter with path.replacePrefixMatch, ${within}`,
    refused: { ...exactly, filters: [redirectPrefix] },
    allowed: { ...byPrefix, filters: [redirectPrefix] },
  },
  {
    message: `When using URLRewrite filter with path.replacePrefixMatch, ${within}`,
    refused: { ...exactly, filters: [rewritePrefix] },
    allowed: { ...byPrefix, filters: [rewritePrefix] },
  },
  {
    message: `Within backendRefs, when using RequestRedirect filter with path.replacePrefixMatch, ${within}`,
    refused: { ...exactly, backendRefs: [{ ...service, filters: [redirectPrefix] }] },
    allowed: { ...byPrefix, backendRefs: [{ ...service, filters: [redirectPrefix] }] },
  },
  {
    message: `Within backendRefs, When using URLRewrite filter with path.replacePrefixMatch, ${within}`,
    refused: {
      matches: [...byPrefix.matches, ...exactly.matches],
      backendRefs: [{ ...service, filters: [rewritePrefix] }],
    },
    allowed: { ...byPrefix, backendRefs: [{ ...service, filters: [rewritePrefix] }] },
  },
  {
    message: "One or both of 'service' or 'method' must be specified",
    refused: { type: 'Exact' },
    allowed: { type: 'Exact', method: 'Get' },
  },
  {
    message:
      'service must only contain valid characters (matching ^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$)',
    refused: { service: 'a-b' },
    allowed: { service: 'A.b_1' },
  },
  {
    message: 'method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)',
    refused: { method: '1a' },
    allowed: { type: 'RegularExpression', method: '[a-z]+' },
  },
  {
    message: 'backendRequest timeout cannot be longer than request timeout',
    refused: { request: '1s', backendRequest: '1001ms' },
    allowed: { request: '0s', backendRequest: '1h' },
  },
  {
    message: 'Hostnames cannot contain an IP',
    refused: ['192.0.2.1'],
    allowed: ['a.example.com'],
  },
  {
    message: 'Hostnames must be valid based on RFC-1123',
    refused: ['a_b.example.com'],
    allowed: ['*.example.com'],
  },
  {
    message:
      'Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123',
    refused: ['a.*.example.com'],
    allowed: ['*.example.com'],
  },
];

const ofTypes = "when type one of ['Exact', 'PathPrefix']";
const pathRules: readonly RuleCase[] = [
  {
    message: `value must be an absolute path and start with '/' ${ofTypes}`,
    refused: path('a'),
    allowed: path('a', 'RegularExpression'),
  },
  ...['//', '/./', '/../', '%2f', '%2F', '#'].map((part) => ({
    message: `must not contain '${part}' ${ofTypes}`,
    refused: path(`/a${part}b`, 'PathPrefix'),
    allowed: path(`/a${part}b`, 'RegularExpression'),
  })),
  ...['/..', '/.'].map((part) => ({
    message: `must not end with '${part}' ${ofTypes}`,
    refused: path(`/a${part}`),
    allowed: path(`/a${part}b`),
  })),
  {
    message: "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
    refused: path('/a', 'Glob'),
    allowed: path('/a', 'RegularExpression'),
    instead: 'Unsupported value: "Glob"',
  },
  {
    message:
      "must only contain valid characters (matching ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$) for types ['Exact', 'PathPrefix']",
    refused: path('/a b'),
    allowed: path('/a%20b'),
  },
];

export const gatewayRules: readonly RuleCase[] = [
  ...references,
  ...backendTls,
  ...gateways,
  ...filterRules,
  ...routes,
  ...pathRules,
];
