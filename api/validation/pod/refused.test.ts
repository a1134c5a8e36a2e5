import { describe, expect, it } from 'vitest';
import { admitCreate } from '#api/pod/admission.ts';
import { parseJsonStrict } from '#api/wire/parse-json.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { validateCreate, validateUpdate } from '#api/validation/validation.ts';

const kind = findKindByName('v1', 'Pod') ?? expect.unreachable();
const ip = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const id = 'must be between 0 and 2147483647, inclusive';
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const underscored = expect.stringContaining("lower case alphanumeric characters, '_', '-' or '.'");

/** A pod of one container, as a client sends it. */
function podOf(spec: JsonObject, container: JsonObject = {}): JsonObject {
  const decoded = decodeObject(kind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i', ...container }], ...spec },
  }).object;
  const admitted = admitCreate(kind, applyDefaults(kind, decoded), { storageProtection: false });
  return prepareCreate(kind, admitted, { now: 0, uid: 'u', namespace: 'default' });
}

interface Row {
  readonly name: string;
  readonly spec?: JsonObject;
  readonly container?: JsonObject;
  readonly want: readonly unknown[];
}

const c = 'spec.containers[0]';
const volume = (source: JsonObject): JsonObject => ({ volumes: [{ name: 'v', ...source }] });
const mounted = (mount: JsonObject): JsonObject => ({
  volumeMounts: [{ name: 'v', mountPath: '/v', ...mount }],
});

const rows: readonly Row[] = [
  { name: 'nothing wrong', want: [] },
  {
    name: 'user −1',
    spec: { securityContext: { runAsUser: -1 } },
    want: [`spec.securityContext.runAsUser: Invalid value: -1: ${id}`],
  },
  {
    name: 'user 2^32',
    container: { securityContext: { runAsUser: 2 ** 32 } },
    want: [`${c}.securityContext.runAsUser: Invalid value: 4294967296: ${id}`],
  },
  {
    name: 'group 2^31',
    container: { securityContext: { runAsGroup: 2 ** 31 } },
    want: [`${c}.securityContext.runAsGroup: Invalid value: 2147483648: ${id}`],
  },
  { name: 'the highest ids', spec: { securityContext: { runAsUser: 2 ** 31 - 1, fsGroup: 0 } }, want: [] },
  {
    name: 'groups −1',
    spec: { securityContext: { fsGroup: -1, runAsGroup: -2, supplementalGroups: [1, -3] } },
    want: [
      `spec.securityContext.fsGroup: Invalid value: -1: ${id}`,
      `spec.securityContext.runAsGroup: Invalid value: -2: ${id}`,
      `spec.securityContext.supplementalGroups[1]: Invalid value: -3: ${id}`,
    ],
  },
  {
    name: 'privileged without escalation',
    container: { securityContext: { privileged: true, allowPrivilegeEscalation: false } },
    want: [
      expect.stringMatching(
        /^spec\.containers\[0\]\.securityContext: Invalid value: .*: cannot set `allowPrivilegeEscalation` to false and `privileged` to true$/,
      ),
    ],
  },
  {
    name: 'CAP_SYS_ADMIN without escalation',
    container: {
      securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ['CAP_SYS_ADMIN'] } },
    },
    want: [
      expect.stringMatching(
        /cannot set `allowPrivilegeEscalation` to false and `capabilities\.Add` CAP_SYS_ADMIN$/,
      ),
    ],
  },
  {
    name: 'a shared process namespace of the host',
    spec: { shareProcessNamespace: true, hostPID: true },
    want: [
      'spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
    ],
  },
  {
    name: 'Bidirectional without privileges',
    spec: volume({ emptyDir: {} }),
    container: mounted({ mountPropagation: 'Bidirectional' }),
    want: [
      `${c}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
    ],
  },
  {
    name: 'Bidirectional with them',
    spec: volume({ emptyDir: {} }),
    container: { ...mounted({ mountPropagation: 'Bidirectional' }), securityContext: { privileged: true } },
    want: [],
  },
  {
    name: 'a hostIP that is none',
    container: { ports: [{ containerPort: 1, hostPort: 1, hostIP: 'x' }] },
    want: [`${c}.ports[0].hostIP: Invalid value: "x": ${ip}`],
  },
  {
    name: 'a hostIP without a port',
    container: { ports: [{ containerPort: 1, hostIP: '127.0.0.1/8' }] },
    want: [`${c}.ports[0].hostIP: Invalid value: "127.0.0.1/8": ${ip}`],
  },
  {
    name: 'hostIPs',
    container: {
      ports: [
        { containerPort: 1, hostPort: 1, hostIP: '127.0.0.1' },
        { containerPort: 1, hostPort: 1, hostIP: '::1' },
      ],
    },
    want: [],
  },
  {
    name: 'hostPort 65536',
    container: { ports: [{ containerPort: 1, hostPort: 65_536 }] },
    want: [`${c}.ports[0].hostPort: Invalid value: 65536: must be between 1 and 65535, inclusive`],
  },
  {
    name: 'one hostPort twice',
    container: {
      ports: [
        { containerPort: 1, hostPort: 5 },
        { containerPort: 2, hostPort: 5 },
      ],
    },
    want: [`${c}.ports[1].hostPort: Duplicate value: "TCP//5"`],
  },
  {
    name: 'an alias for no address',
    spec: { hostAliases: [{ ip: '1.1.1.1\n6.6.6.6 evil', hostnames: ['a'] }] },
    want: [`spec.hostAliases[0].ip: Invalid value: "1.1.1.1\\n6.6.6.6 evil": ${ip}`],
  },
  {
    name: 'an alias of two lines',
    spec: { hostAliases: [{ ip: '1.1.1.1', hostnames: ['a\n6.6.6.6 evil'] }] },
    want: [`spec.hostAliases[0].hostnames[0]: Invalid value: "a\\n6.6.6.6 evil": ${subdomain}`],
  },
  {
    name: 'DNS of one’s own without a word',
    spec: { dnsPolicy: 'None' },
    want: ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
  },
  {
    name: 'DNS of one’s own without a server',
    spec: { dnsPolicy: 'None', dnsConfig: { searches: ['a'] } },
    want: [
      'spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None',
    ],
  },
  {
    name: 'four nameservers',
    spec: { dnsConfig: { nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] } },
    want: [
      'spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]: must not have more than 3 nameservers',
    ],
  },
  {
    name: 'a nameserver of two lines',
    spec: { dnsConfig: { nameservers: ['1.1.1.1\noptions x'] } },
    want: [`spec.dnsConfig.nameservers[0]: Invalid value: "1.1.1.1\\noptions x": ${ip}`],
  },
  { name: 'a search of two words', spec: { dnsConfig: { searches: ['a b'] } }, want: [underscored] },
  {
    name: 'searches as they may be',
    spec: { dnsConfig: { searches: ['.', 'a.b.', '_tcp.a', 'a_b.c'] } },
    want: [],
  },
  {
    name: '33 searches',
    spec: { dnsConfig: { searches: Array.from({ length: 33 }, () => 'a') } },
    want: [expect.stringContaining('must not have more than 32 search paths')],
  },
  {
    name: 'searches of 2,049 characters',
    spec: { dnsConfig: { searches: Array.from({ length: 30 }, () => `${'a'.repeat(60)}.bbbbbbb`) } },
    want: [
      expect.stringContaining(
        'must not have more than 2048 characters (including spaces) in the search list',
      ),
    ],
  },
  {
    name: 'an option of two lines',
    spec: { dnsConfig: { options: [{ name: 'ndots', value: '5\nnameserver 6.6.6.6' }, { name: '' }] } },
    want: [
      'spec.dnsConfig.options[0].value: Invalid value: "5\\nnameserver 6.6.6.6": must not contain whitespace',
      'spec.dnsConfig.options[1]: Required value: must not be empty',
    ],
  },
  {
    name: 'an item that leaves',
    spec: volume({ configMap: { name: 'x', items: [{ key: 'k', path: '../x' }] } }),
    want: ['spec.volumes[0].configMap.items[0].path: Invalid value: "../x": must not contain \'..\''],
  },
  {
    name: 'an item in the volume’s own directory',
    spec: volume({ secret: { secretName: 'x', items: [{ key: 'k', path: '..data/x' }] } }),
    want: ['spec.volumes[0].secret.items[0].path: Invalid value: "..data/x": must not start with \'..\''],
  },
  {
    name: 'a token there',
    spec: volume({ projected: { sources: [{ serviceAccountToken: { path: '..x' } }] } }),
    want: ['spec.volumes[0].projected.path: Invalid value: "..x": must not start with \'..\''],
  },
  {
    name: 'an item of mode 01000',
    spec: volume({ configMap: { name: 'x', items: [{ key: 'k', path: 'x', mode: 512 }] } }),
    want: [
      'spec.volumes[0].configMap.items[0].mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
    ],
  },
  {
    name: 'an emptyDir of −1',
    spec: volume({ emptyDir: { sizeLimit: '-1' } }),
    want: [
      'spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity',
    ],
  },
  {
    name: 'huge pages alone',
    container: { resources: { limits: { 'hugepages-2Mi': '2Mi' } } },
    want: [`${c}.resources: Forbidden: HugePages require cpu or memory`],
  },
  {
    name: 'huge pages with memory',
    container: { resources: { limits: { 'hugepages-2Mi': '2Mi', memory: '1Mi' } } },
    want: [],
  },
  {
    name: 'fewer huge pages than the limit',
    container: {
      resources: { limits: { 'hugepages-2Mi': '4Mi', cpu: '1' }, requests: { 'hugepages-2Mi': '2Mi' } },
    },
    want: [`${c}.resources.requests: Invalid value: "2Mi": must be equal to hugepages-2Mi limit of 4Mi`],
  },
  {
    name: 'a spread of nothing',
    spec: {
      topologySpreadConstraints: [
        { maxSkew: 0, topologyKey: 'a', whenUnsatisfiable: 'DoNotSchedule' },
        { maxSkew: 1, topologyKey: 'a', whenUnsatisfiable: 'DoNotSchedule', minDomains: 0 },
      ],
    },
    want: [
      'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
      'spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{a, DoNotSchedule}"',
      'spec.topologySpreadConstraints[1].minDomains: Invalid value: 0: must be greater than zero',
    ],
  },
  {
    name: 'a subPathExpr that leaves, and one from the top',
    spec: volume({ emptyDir: {} }),
    container: {
      volumeMounts: [
        { name: 'v', mountPath: '/a', subPathExpr: '../x' },
        { name: 'v', mountPath: '/b', subPathExpr: '/$(X)' },
        { name: 'v', mountPath: '/c', subPathExpr: '$(X)/y' },
        { name: 'v', mountPath: '/d', subPath: 'a/../b' },
      ],
    },
    want: [
      `${c}.volumeMounts.subPathExpr: Invalid value: "../x": must not contain '..'`,
      `${c}.volumeMounts.subPathExpr: Invalid value: "/$(X)": must be a relative path`,
      `${c}.volumeMounts.subPath: Invalid value: "a/../b": must not contain '..'`,
    ],
  },
  {
    name: 'seccomp profiles of no file',
    spec: { securityContext: { seccompProfile: { type: 'Localhost' } } },
    container: { securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: '../x' } } },
    want: [
      `${c}.securityContext.seccompProfile.localhostProfile: Invalid value: "../x": must not contain '..'`,
      'spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
    ],
  },
  {
    name: 'a seccomp profile from the top',
    container: { securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: '/x' } } },
    want: [
      `${c}.securityContext.seccompProfile.localhostProfile: Invalid value: "/x": must be a relative path`,
    ],
  },
  {
    name: 'seccomp profiles with a file that is not theirs, and of no type',
    spec: { securityContext: { seccompProfile: { type: 'RuntimeDefault', localhostProfile: 'x' } } },
    container: { securityContext: { seccompProfile: { type: '' } } },
    want: [
      `${c}.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set`,
      'spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"x"}: can only be set when seccomp type is Localhost',
    ],
  },
  {
    name: 'AppArmor profiles that are none',
    spec: { securityContext: { appArmorProfile: { type: 'Localhost' } } },
    container: { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: ' x' } } },
    want: [
      `${c}.securityContext.appArmorProfile.localhostProfile: Invalid value: " x": must not be padded with whitespace`,
      'spec.securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost',
    ],
  },
  {
    name: 'AppArmor profiles too long, and not theirs',
    spec: { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'x'.repeat(4096) } } },
    container: { securityContext: { appArmorProfile: { type: 'Unconfined', localhostProfile: 'x' } } },
    want: [
      `${c}.securityContext.appArmorProfile.localhostProfile: Invalid value: "x": can only be set when AppArmor type is Localhost`,
      'spec.securityContext.appArmorProfile.localhostProfile: Too long: may not be more than 4095 bytes',
    ],
  },
  {
    name: 'profiles as they may be',
    spec: { securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'a/b.json' } } },
    container: {
      securityContext: {
        seccompProfile: { type: 'Unconfined' },
        appArmorProfile: { type: 'Localhost', localhostProfile: 'x' },
      },
    },
    want: [],
  },
  {
    name: 'a policy for SELinux that is none',
    spec: { securityContext: { seLinuxChangePolicy: 'Foo' } },
    want: [
      'spec.securityContext.seLinuxChangePolicy: Unsupported value: "Foo": supported values: "MountOption", "Recursive"',
    ],
  },
  {
    name: 'tokens for too short, and too long',
    spec: volume({
      projected: {
        sources: [
          { serviceAccountToken: { path: 'a', expirationSeconds: 599 } },
          { serviceAccountToken: { path: 'b', expirationSeconds: 0 } },
          { serviceAccountToken: { path: 'c', expirationSeconds: 2 ** 32 + 1 } },
          { serviceAccountToken: { path: 'd', expirationSeconds: 2 ** 32 } },
        ],
      },
    }),
    want: [
      'spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
      'spec.volumes[0].projected.sources[1].serviceAccountToken.expirationSeconds: Invalid value: 0: may not specify a duration less than 10 minutes',
      'spec.volumes[0].projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds',
    ],
  },
  {
    name: 'a projected volume of mode 01000, with one file twice',
    spec: volume({
      projected: {
        defaultMode: 512,
        sources: [
          { configMap: { name: 'm', items: [{ key: 'k', path: 'x' }] } },
          { secret: { name: 's', items: [{ key: 'k', path: 'x' }] } },
          { clusterTrustBundle: { name: 'b', path: '..data' } },
        ],
      },
    }),
    want: [
      'spec.volumes[0].projected.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
      'spec.volumes[0].projected: Invalid value: "s": conflicting duplicate paths',
      'spec.volumes[0].projected.sources[2].clusterTrustBundle.path: Invalid value: "..data": must not start with \'..\'',
    ],
  },
  {
    name: 'an overhead below nothing',
    spec: { overhead: { cpu: '-1' } },
    want: ['spec.overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
  },
  {
    name: 'users of its own beside what is the host’s',
    spec: { hostUsers: false, hostNetwork: true, hostPID: true, hostIPC: true },
    want: [
      'spec.hostNetwork: Forbidden: when `hostUsers` is false',
      'spec.HostPID: Forbidden: when `hostUsers` is false',
      'spec.HostIPC: Forbidden: when `hostUsers` is false',
    ],
  },
];

describe('validateCreate() of a pod', () => {
  it.each(rows)('$name', ({ spec = {}, container, want }) => {
    const errors = validateCreate(kind, podOf(spec, container));
    expect(errors.map((error) => `${error.field}: ${renderFieldError(error)}`)).toEqual(want);
  });

  it('names the place in a template', () => {
    const deployment = findKindByName('apps/v1', 'Deployment') ?? expect.unreachable();
    const template = {
      metadata: { labels: { a: 'b' } },
      spec: podOf({ securityContext: { fsGroup: -1 } })['spec'],
    };
    const object = applyDefaults(deployment, {
      metadata: { name: 'd', namespace: 'x' },
      spec: { selector: { matchLabels: { a: 'b' } }, template },
    });
    expect(validateCreate(deployment, object).map(({ field }) => field)).toEqual([
      'spec.template.spec.securityContext.fsGroup',
    ]);
  });
});

describe('validateUpdate() of a pod', () => {
  it('lets a negative grace period, which is taken as 1, become 1', () => {
    const [old, mended] = [
      podOf({ terminationGracePeriodSeconds: -1 }),
      podOf({ terminationGracePeriodSeconds: 1 }),
    ];
    expect(validateCreate(kind, old)).toEqual([]);
    expect(validateUpdate(kind, old, mended)).toEqual([]);
    expect(validateUpdate(kind, mended, old).map(({ field }) => field)).toEqual(['spec']);
  });

  it('lets go of one that would be refused today', () => {
    const old = podOf({}, { ports: [{ containerPort: 1, hostPort: 1, hostIP: 'x' }] });
    const metadata = { ...(old['metadata'] as object), labels: { a: 'b' } };
    expect(validateUpdate(kind, old, { ...old, metadata })).toEqual([]);
  });
});

describe('halves of a surrogate pair', () => {
  it.each([
    ['JSON', (text: string) => parseJsonStrict(text).value],
    ['YAML', (text: string) => parseYaml(text).value],
  ])('are no characters in %s', (_name, parse) => {
    const text = String.raw`{"a\ud800": ["\udc00x", "\ud83d\ude00"]}`;
    expect(parse(text)).toEqual({ 'a\ufffd': ['\ufffdx', '😀'] });
  });
});
