import { describe, expect, test } from 'vitest';
import type { Container, Pod, PodSpec, ResourceRequirements, Service } from '#api/generated/objects.ts';
import { refusalOf } from '#agent/kubelet/admit/admission.ts';
import { renderContainer, renderSandbox, subPathOf, type ContainerConfigInput } from './container-config.ts';
import { downwardValues } from './downward.ts';
import { renderEnvironment, serviceEnvironment } from './environment.ts';
import { podHostname, renderHosts, renderResolvConf } from './host-files.ts';
import { credentialsFor } from '#agent/kubelet/apply/image-puller.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import { cpuWeight, oomScoreAdj } from './resources.ts';
import { undecided } from './seccomp.ts';
import { renderSecurity, renderUser } from './security.ts';
import { planStatusPatch } from '#agent/kubelet/status/status-writer.ts';

const container = (more: Partial<Container> = {}): Container => ({ name: 'c', image: 'i', ...more });
const podOf = (spec: Partial<NonNullable<Pod['spec']>> = {}, more: Pod = {}): Pod => ({
  ...more,
  metadata: { name: 'p', namespace: 'ns', uid: 'u', labels: { b: '2', a: '1' }, ...more.metadata },
  spec: { containers: [container()], nodeName: 'n', serviceAccountName: 'sa', ...spec },
});
const downward = (pod: Pod) =>
  downwardValues({
    pod,
    podIps: ['10.0.0.2'],
    hostIps: ['192.0.2.1'],
    allocatable: { cpuMilli: 2000, memoryBytes: 1_000_000, storageBytes: 5 },
  });

describe('downwardValues()', () => {
  test.each([
    ['metadata.name', 'p'],
    ['metadata.uid', 'u'],
    ['metadata.labels', 'a="1"\nb="2"'],
    ["metadata.labels['a']", '1'],
    ["metadata.annotations['none']", ''],
    ['spec.nodeName', 'n'],
    ['spec.serviceAccountName', 'sa'],
    ['status.podIP', '10.0.0.2'],
    ['status.hostIP', '192.0.2.1'],
  ])('%s', (field, want) => expect(downward(podOf()).field(field)).toBe(want));

  test('limits of the pod as a whole for absent ones', () => {
    const resources = { limits: { cpu: '1500m' } };
    const containers = [
      container({ resources }),
      container({ name: 'd', resources: { limits: { cpu: '0' } } }),
    ];
    const pod = podOf({ containers, resources: { limits: { cpu: '800m', memory: '4Ki' } } });
    const of = (name: string, resource: string): string => downward(pod).resource(name, resource, '1m');
    expect([of('c', 'limits.cpu'), of('d', 'limits.cpu')]).toEqual(['1500', '800']);
    expect(downward(pod).resource('d', 'limits.memory', undefined)).toBe('4096');
    expect(downward(pod).resource('d', 'limits.ephemeral-storage', undefined)).toBe('5');
    expect(of('d', 'requests.cpu')).toBe('0');
  });

  test('resources in units of their divisor, and the node for absent limits', () => {
    const pod = podOf({
      containers: [container({ resources: { limits: { cpu: '1500m' }, requests: { memory: '64Mi' } } })],
    });
    const of = (resource: string, divisor?: string) => downward(pod).resource('c', resource, divisor);
    expect([
      of('limits.cpu'),
      of('limits.cpu', '1m'),
      of('requests.memory', '1Mi'),
      of('limits.memory'),
      of('requests.cpu'),
    ]).toEqual(['2', '1500', '64', '1000000', '0']);
  });

  test('refuses what it does not know', () => {
    expect(() => downward(podOf()).field('status.phase')).toThrow('unsupported fieldPath: status.phase');
  });
});

describe('renderEnvironment()', () => {
  const render = (more: Partial<Container>, services: readonly Service[] = []) => {
    const pod = podOf();
    return renderEnvironment({
      pod,
      container: container(more),
      configMaps: new Map([['m', { data: { k: 'v', other: 'w' } }]]),
      secrets: new Map([['s', { data: { pass: Buffer.from('word').toString('base64') } }]]),
      services,
      downward: downward(pod),
      envFiles: new Map([['v/a.env', new Map([['KEY', 'from file']])]]),
    });
  };

  test('takes envFrom, then env, with variables of what came before', () => {
    const env = render({
      envFrom: [{ prefix: 'P_', configMapRef: { name: 'm' } }, { secretRef: { name: 's' } }],
      env: [
        { name: 'A', value: '$(P_k)-$(B)-$$(P_k)' },
        { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'C', valueFrom: { secretKeyRef: { name: 's', key: 'pass' } } },
        { name: 'F', valueFrom: { fileKeyRef: { volumeName: 'v', path: 'a.env', key: 'KEY' } } },
        { name: 'D', valueFrom: { configMapKeyRef: { name: 'none', key: 'x', optional: true } } },
        { name: 'pass', value: 'own' },
      ],
    });
    expect(Object.fromEntries(env.map(({ name, value }) => [name, value]))).toEqual({
      P_k: 'v',
      P_other: 'w',
      pass: 'own',
      A: 'v-$(B)-$(P_k)',
      B: 'p',
      C: 'word',
      F: 'from file',
    });
  });

  test.each([
    [{ envFrom: [{ configMapRef: { name: 'x' } }] }, 'configmap "x" not found'],
    [{ envFrom: [{ secretRef: { name: 'x' } }] }, 'secret "x" not found'],
    [
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'm', key: 'z' } } }] },
      "couldn't find key z in ConfigMap ns/m",
    ],
    [
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'z' } } }] },
      "couldn't find key z in Secret ns/s",
    ],
  ])('says what is missing: %j', (more, message) => expect(() => render(more)).toThrow(message));

  test('names Services as Docker links do', () => {
    const service: Service = {
      metadata: { name: 'my-db', namespace: 'ns' },
      spec: { clusterIP: '10.96.0.5', ports: [{ name: 'sql-port', port: 5432, protocol: 'TCP' }] },
    };
    const headless: Service = {
      metadata: { name: 'h', namespace: 'ns' },
      spec: { clusterIP: 'None', ports: [{ port: 1 }] },
    };
    expect(Object.fromEntries(serviceEnvironment(podOf(), [service, headless]))).toEqual({
      MY_DB_SERVICE_HOST: '10.96.0.5',
      MY_DB_SERVICE_PORT: '5432',
      MY_DB_SERVICE_PORT_SQL_PORT: '5432',
      MY_DB_PORT: 'tcp://10.96.0.5:5432',
      MY_DB_PORT_5432_TCP: 'tcp://10.96.0.5:5432',
      MY_DB_PORT_5432_TCP_PROTO: 'tcp',
      MY_DB_PORT_5432_TCP_PORT: '5432',
      MY_DB_PORT_5432_TCP_ADDR: '10.96.0.5',
    });
    expect(serviceEnvironment(podOf({ enableServiceLinks: false }), [service])).toEqual([]);
  });
});

describe('files of a pod', () => {
  const dns = {
    clusterDns: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    hostResolvConf: 'nameserver 192.0.2.53\nsearch example.com\n',
  };
  const cluster =
    'search ns.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n';
  const host = 'search example.com\nnameserver 192.0.2.53\n';
  test.each([
    ['ClusterFirst', {}, cluster],
    ['ClusterFirst on the host network', { hostNetwork: true }, host],
    [
      'ClusterFirstWithHostNet',
      { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' as const },
      cluster,
    ],
    ['Default', { dnsPolicy: 'Default' as const }, host],
    [
      'None with dnsConfig',
      {
        dnsPolicy: 'None' as const,
        dnsConfig: {
          nameservers: ['1.1.1.1'],
          searches: ['a.b'],
          options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
        },
      },
      'search a.b\nnameserver 1.1.1.1\noptions ndots:2 edns0\n',
    ],
    [
      'ClusterFirst with dnsConfig',
      { dnsConfig: { options: [{ name: 'ndots', value: '1' }] } },
      cluster.replace('ndots:5', 'ndots:1'),
    ],
    [
      'no lines of others',
      {
        dnsPolicy: 'None' as const,
        dnsConfig: {
          nameservers: ['1.1.1.1', '1.1.1.2\nnameserver 6.6.6.6'],
          searches: ['a\noptions x'],
          options: [{ name: 'ndots', value: '5\nnameserver 6.6.6.6' }, { name: 'edns0' }],
        },
      },
      'nameserver 1.1.1.1\noptions edns0\n',
    ],
  ])('resolv.conf: %s', (_name, spec, want) => expect(renderResolvConf(podOf(spec), dns)).toBe(want));

  test("resolv.conf: the node's loopback is asked for a pod by the node, and by the host's own processes", () => {
    const stub = { ...dns, hostResolvConf: 'nameserver 127.0.0.53\nnameserver 192.0.2.53\noptions edns0\n' };
    const rest = 'nameserver 192.0.2.53\noptions edns0\n';
    expect(renderResolvConf(podOf({ dnsPolicy: 'Default' }), stub)).toBe(`nameserver 10.96.0.10\n${rest}`);
    const onHost = podOf({ dnsPolicy: 'Default', hostNetwork: true });
    expect(renderResolvConf(onHost, stub)).toBe(`nameserver 127.0.0.53\n${rest}`);
  });

  test.each([
    ['its name', {}, { hostname: 'p', fqdn: undefined }],
    [
      'hostname and subdomain',
      { hostname: 'h', subdomain: 's' },
      { hostname: 'h', fqdn: 'h.s.ns.svc.cluster.local' },
    ],
    [
      'the FQDN as hostname',
      { subdomain: 's', setHostnameAsFQDN: true },
      { hostname: 'p.s.ns.svc.cluster.local', fqdn: 'p.s.ns.svc.cluster.local' },
    ],
  ])('hostname: %s', (_name, spec, want) => expect(podHostname(podOf(spec), 'cluster.local')).toEqual(want));

  test('hosts names the pod and its aliases', () => {
    const pod = podOf({
      hostname: 'h',
      subdomain: 's',
      hostAliases: [{ ip: '1.2.3.4', hostnames: ['x', 'y'] }],
    });
    const hosts = renderHosts(pod, podHostname(pod, 'cluster.local'), { ips: ['10.0.0.2'], hostFile: '' });
    expect(hosts).toContain('10.0.0.2\th.s.ns.svc.cluster.local\th\n');
    expect(hosts).toContain('# Entries added by HostAliases.\n1.2.3.4\tx\ty\n');
  });
});

describe('security', () => {
  test.each([
    ['the default set', {}, (caps: readonly string[]) => caps.length === 14 && caps.includes('CAP_CHOWN')],
    [
      'drop ALL, add one',
      { capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } },
      (caps: readonly string[]) => caps.join() === 'CAP_NET_ADMIN',
    ],
    [
      'add ALL, drop one',
      { capabilities: { add: ['ALL'], drop: ['SYS_ADMIN'] } },
      (caps: readonly string[]) => caps.length === 40 && !caps.includes('CAP_SYS_ADMIN'),
    ],
    ['privileged', { privileged: true }, (caps: readonly string[]) => caps.length === 41],
  ])('capabilities: %s', (_name, securityContext, isRight) => {
    expect(isRight(renderSecurity(podOf(), container({ securityContext }), undecided).capabilities)).toBe(
      true,
    );
  });

  test('a container that must not be root is refused where it would be', () => {
    const image = { id: '', names: [], digests: [], sizeBytes: 0, createdAtMs: 0, user: '' };
    const render =
      (securityContext: Container['securityContext'], user = '') =>
      () =>
        renderUser(podOf(), container({ securityContext }), { ...image, user });
    expect(render({ runAsNonRoot: true })).toThrow('image will run as root');
    expect(render({ runAsNonRoot: true, runAsUser: 0 })).toThrow('breaks non-root policy');
    expect(render({ runAsNonRoot: true }, 'app')).toThrow('non-numeric user (app)');
    expect(render({ runAsNonRoot: true }, '1000:5')()).toMatchObject({ runAsNonRoot: true });
    expect(render({ runAsUser: 7 })().user).toMatchObject({ uid: 7 });
  });
});

describe('renderContainer() and renderSandbox()', () => {
  const input = (spec: Partial<Container>): ContainerConfigInput => {
    const pod = podOf({ containers: [container(spec)] });
    return {
      pod,
      container: container(spec),
      id: 'x'.repeat(64),
      attempt: 2,
      imageId: 'sha256:1',
      image: undefined,
      env: [{ name: 'WHO', value: 'me' }],
      mounts: [],
      paths: podPaths(pod, {
        pods: '/pods',
        podsMemory: '/memory',
        volumes: '/volumes',
        logs: '/logs',
        kubelet: '/kubelet',
      }),
      node: { memoryBytes: 1_000_000_000, allocatable: { memoryBytes: 900_000_000 } },
      pidsMax: undefined,
      profiles: undecided,
    };
  };

  test('expands command and args, and lays out files and log', () => {
    const config = renderContainer(input({ command: ['echo', '$(WHO)'], args: ['$(NO)'] }));
    expect(config.command).toEqual(['echo', 'me']);
    expect(config.args).toEqual(['$(NO)']);
    expect(config.stdio.logPath).toBe('/logs/ns_p_u/c/2.log');
    expect(config.mounts.map(({ source, target }) => `${source} ${target}`)).toEqual([
      '/pods/u/etc-hosts /etc/hosts',
      '/pods/u/resolv.conf /etc/resolv.conf',
      '/pods/u/etc-hostname /etc/hostname',
      '/pods/u/containers/c/xxxxxxxxxxxx /dev/termination-log',
    ]);
  });

  test('limits become cgroup values', () => {
    const resources = { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '250m' } };
    const given = input({ resources });
    expect(renderContainer(given).resources).toEqual({
      cpuWeight: 35,
      cpuQuotaUs: 50_000,
      cpuPeriodUs: 100_000,
      memoryMaxBytes: 67_108_864,
      isOomGroup: true,
      swapMaxBytes: 0,
    });
    const pod = podOf({ containers: [container({ resources }), container({ name: 'd' })] });
    const sandbox = renderSandbox({ pod, attempt: 0, hostname: 'p', pidsMax: 100, node: given.node });
    expect(sandbox.cgroupParent).toBe('kubepods/burstable/podu');
    expect(sandbox.resources).toEqual({ cpuWeight: 35, pidsMax: 100 });
  });

  test('the cgroup of a pod has its overhead beside its containers’', () => {
    const resources = { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '250m' } };
    const overhead = { cpu: '250m', memory: '16Mi' };
    const pod = podOf({ containers: [container({ resources })], overhead });
    const { node } = input({});
    const given = { pod, attempt: 0, hostname: 'p', pidsMax: undefined, node };
    expect(renderSandbox(given).resources).toEqual({
      ...{ cpuWeight: 59, cpuQuotaUs: 75_000, cpuPeriodUs: 100_000, memoryMaxBytes: 80 * 1_048_576 },
    });
    // A pod without limits has none by it.
    const unlimited = { ...given, pod: podOf({ containers: [container({})], overhead }) };
    expect(renderSandbox(unlimited).resources).toEqual({ cpuWeight: 35 });
  });

  test.each([
    [2, 1],
    [1000, 100],
    [100, 17],
    [1_000_000, 10_000],
  ])('%d thousandths of a cpu are weight %d', (milli, weight) => expect(cpuWeight(milli)).toBe(weight));

  test.each([
    ['Guaranteed', { limits: { cpu: '1', memory: '1Gi' } }, -997],
    ['BestEffort', {}, 1000],
    ['Burstable', { requests: { memory: '500M' } }, 500],
  ])('oom_score_adj of %s', (_qos, resources, want) => {
    const spec = container({ resources });
    expect(oomScoreAdj(podOf({ containers: [spec] }), spec, 1_000_000_000)).toBe(want);
  });

  test('oom_score_adj shares what the pod requests as a whole', () => {
    const containers = [container({ resources: { requests: { memory: '100M' } } }), container({ name: 'd' })];
    const pod = podOf({ containers, resources: { requests: { memory: '500M' } } });
    expect(containers.map((spec) => oomScoreAdj(pod, spec, 1_000_000_000))).toEqual([700, 800]);
  });

  const asking = (memory: string): Container['resources'] => ({ requests: { memory } });
  const sidecar = container({ name: 's', restartPolicy: 'Always', resources: asking('50M') });
  const init = container({ name: 'i', resources: asking('50M') });
  const mains = [
    container({ resources: asking('200M') }),
    container({ name: 'd', resources: asking('100M') }),
  ];
  test.each<[string, Partial<PodSpec>, readonly number[]]>([
    ['a sidecar is killed no sooner than any main container', {}, [900, 950, 800, 900]],
    [
      'of what the pod requests beyond its containers init containers have a part, too',
      { resources: asking('750M') },
      [800, 850, 700, 800],
    ],
    [
      'Guaranteed by the pod alone',
      { resources: { limits: { cpu: '1', memory: '1G' } } },
      [-997, -997, -997, -997],
    ],
  ])('oom_score_adj: %s', (_name, more, want) => {
    const pod = podOf({ initContainers: [sidecar, init], containers: mains, ...more });
    expect([sidecar, init, ...mains].map((spec) => oomScoreAdj(pod, spec, 1_000_000_000))).toEqual(want);
  });

  test.each<[string, ResourceRequirements | undefined, ResourceRequirements, object]>([
    [
      'has the limits of its pod',
      undefined,
      { limits: { cpu: '2', memory: '1Ki' } },
      { cpuWeight: 174, cpuQuotaUs: 200_000, memoryMaxBytes: 1024 },
    ],
    [
      'has its own, and the weight of its own request',
      { requests: { cpu: '1' }, limits: { memory: '512' } },
      { limits: { cpu: '2', memory: '1Ki' } },
      { cpuWeight: 100, cpuQuotaUs: 200_000, memoryMaxBytes: 512 },
    ],
    [
      'has none by a limit of 0',
      { limits: { memory: '0' } },
      { requests: { cpu: '2' }, limits: { memory: '1Ki' } },
      { cpuWeight: 1, memoryMaxBytes: 1024 },
    ],
    ['has no request of its pod', undefined, { requests: { cpu: '2', memory: '1Ki' } }, { cpuWeight: 1 }],
  ])('a container without limits of its own %s', (_name, own, whole, want) => {
    const spec = container(own === undefined ? {} : { resources: own });
    const pod = podOf({ containers: [spec], resources: whole });
    const config = renderContainer({ ...input({}), pod, container: spec });
    const { cpuWeight, cpuQuotaUs, memoryMaxBytes } = config.resources;
    expect({ cpuWeight, cpuQuotaUs, memoryMaxBytes }).toEqual({
      cpuQuotaUs: undefined,
      memoryMaxBytes: undefined,
      ...want,
    });
    const debug = renderContainer({ ...input({}), pod, container: { name: 'e', image: 'i' } });
    expect(debug.resources.memoryMaxBytes).toBe(whole.limits?.['memory'] === undefined ? undefined : 1024);
  });

  test('subPathExpr needs its variables', () => {
    const env = [{ name: 'POD', value: 'p' }];
    expect(subPathOf({ name: 'v', mountPath: '/', subPathExpr: 'logs/$(POD)' }, env)).toBe('logs/p');
    expect(() => subPathOf({ name: 'v', mountPath: '/', subPathExpr: '$(NO)' }, env)).toThrow(
      'missing value for "NO"',
    );
  });

  test.each([
    ['/tmp', 'error SubPath `/tmp` must not be an absolute path'],
    ['..', "unable to provision SubPath `..`: must not contain '..'"],
    ['a/../b', "unable to provision SubPath `a/../b`: must not contain '..'"],
  ])('a subPath of variables that is %j is refused in the words of Kubernetes', (value, want) => {
    const mount = { name: 'v', mountPath: '/', subPathExpr: '$(POD)' };
    expect(() => subPathOf(mount, [{ name: 'POD', value }])).toThrow(want);
  });
});

describe('mounts', () => {
  const optionsOf = (more: Partial<NonNullable<Container['volumeMounts']>[number]>) => {
    const mount = { name: 'v', mountPath: '/v', ...more };
    const pod = podOf({ containers: [container({ volumeMounts: [mount] })] });
    const config = renderContainer({
      pod,
      container: container({ volumeMounts: [mount] }),
      id: 'x'.repeat(64),
      attempt: 0,
      imageId: 'i',
      image: undefined,
      env: [],
      mounts: [{ mount, source: '/s', isFile: false, isReadOnly: false }],
      paths: podPaths(pod, {
        pods: '/pods',
        podsMemory: '/memory',
        volumes: '/volumes',
        logs: '/logs',
        kubelet: '/kubelet',
      }),
      node: { memoryBytes: 1, allocatable: { memoryBytes: 1 } },
      pidsMax: undefined,
      profiles: undecided,
    });
    return config.mounts.find(({ target }) => target === '/v')?.options;
  };
  test.each([
    ['read-only', { readOnly: true }, ['rbind', 'rprivate', 'ro']],
    [
      'read-only all the way down',
      { readOnly: true, recursiveReadOnly: 'Enabled' },
      ['rbind', 'rprivate', 'rro'],
    ],
    ['so where it can be', { readOnly: true, recursiveReadOnly: 'IfPossible' }, ['rbind', 'rprivate', 'rro']],
    ['shared with the host', { mountPropagation: 'Bidirectional' as const }, ['rbind', 'rshared']],
  ])('%s', (_name, more, want) => expect(optionsOf(more)).toEqual(want));
});

describe('refusalOf()', () => {
  const node = {
    name: 'n',
    ips: [],
    allocatable: { cpuMilli: 2000, memoryBytes: 1e9, storageBytes: 1e9 },
    memoryBytes: 1e9,
    podsMax: 2,
    podPidsMax: undefined,
    isSelinuxEnabled: false,
    userNamespaceProblem: undefined,
    hostsFile: '',
  };
  const asking = (cpu: string, uid = 'x') =>
    podOf({ containers: [container({ resources: { requests: { cpu } } })] }, { metadata: { uid } });
  const binding = (hostPort: number, uid = 'x', more: { protocol?: 'UDP'; hostIP?: string } = {}) =>
    podOf(
      { containers: [container({ ports: [{ containerPort: 80, hostPort, ...more }] })] },
      { metadata: { uid } },
    );
  test.each([
    ['what fits', asking('1'), [asking('1', 'y')], undefined],
    ['a port of the node that is taken', binding(80), [binding(80, 'y')], 'NodePorts'],
    ['the port of the kubelet', binding(10_250), [], 'NodePorts'],
    [
      'the port of the kubelet, on one address',
      binding(10_250, 'x', { hostIP: '127.0.0.1' }),
      [],
      'NodePorts',
    ],
    ['that of the proxy', binding(10_256), [], 'NodePorts'],
    ['the number of the kubelet, of UDP', binding(10_250, 'x', { protocol: 'UDP' }), [], undefined],
    [
      'other ports of the node',
      binding(80),
      [binding(81, 'y'), binding(80, 'z', { protocol: 'UDP' })],
      'OutOfpods',
    ],
    [
      'a port of one address, taken on all',
      binding(80, 'x', { hostIP: '192.0.2.1' }),
      [binding(80, 'y')],
      'NodePorts',
    ],
    [
      'a port of two addresses',
      binding(80, 'x', { hostIP: '192.0.2.1' }),
      [binding(80, 'y', { hostIP: '192.0.2.2' })],
      undefined,
    ],
    ['too much cpu', asking('1500m'), [asking('1', 'y')], 'OutOfcpu'],
    ['too many pods', asking('1m'), [asking('1m', 'y'), asking('1m', 'z')], 'OutOfpods'],
    [
      'an unsafe sysctl',
      podOf({ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }),
      [],
      'SysctlForbidden',
    ],
    [
      'huge pages, of which none are set aside',
      podOf({
        containers: [
          container({
            resources: { limits: { 'hugepages-2Mi': '4Mi' }, requests: { 'hugepages-2Mi': '4Mi' } },
          }),
        ],
      }),
      [],
      'OutOfhugepages-2Mi',
    ],
  ])('%s', (_name, pod, others, reason) => expect(refusalOf(pod, others, node)?.reason).toBe(reason));
});

describe('planStatusPatch()', () => {
  const reported: Pod = {
    metadata: { uid: 'u' },
    status: {
      phase: 'Running',
      podIP: '1.1.1.1',
      podIPs: [{ ip: '1.1.1.1' }],
      message: 'm',
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Other', status: 'True' },
      ],
    },
  };
  test('nothing changed, nothing written', () => {
    expect(planStatusPatch(reported, { ...reported.status, containerStatuses: undefined })).toBeUndefined();
  });
  test('only what changed; conditions by type, old addresses deleted, cleared fields null', () => {
    const wanted = {
      phase: 'Running' as const,
      podIP: '2.2.2.2',
      podIPs: [{ ip: '2.2.2.2' }],
      conditions: [{ type: 'Ready', status: 'False', reason: 'X' }],
    };
    expect(planStatusPatch(reported, wanted)).toEqual({
      metadata: { uid: 'u' },
      status: {
        podIP: '2.2.2.2',
        message: null,
        conditions: [{ type: 'Ready', status: 'False', reason: 'X' }],
        podIPs: [{ $patch: 'delete', ip: '1.1.1.1' }, { ip: '2.2.2.2' }],
      },
    });
  });
});

describe('credentialsFor()', () => {
  const secret = (auths: object) => ({
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
  });
  const auth = Buffer.from('me:pw').toString('base64');
  test.each([
    ['busybox', { 'https://index.docker.io/v1/': { auth } }, 1],
    ['reg.example.com:5000/a/b:1', { 'reg.example.com:5000': { auth } }, 1],
    ['reg.example.com/a/b', { 'reg.example.com/a': { auth } }, 1],
    ['reg.example.com/x/b', { 'reg.example.com/a': { auth } }, 0],
    ['sub.example.com/x', { '*.example.com': { auth } }, 1],
    ['busybox', { 'other.example.com': { auth } }, 0],
  ])('%s with %j', (image, auths, count) => {
    const found = credentialsFor(image, [secret(auths)]);
    expect(found).toEqual(count === 0 ? [undefined] : [{ username: 'me', password: 'pw' }]);
  });
});
