/**
 * What a runtime is asked for a pod that uses every field, from the pod itself: golden text, reviewed against kuberuntime of Kubernetes 1.36
 * (generatePodSandboxConfig, generateContainerConfig). What is never said is named here, with the reason.
 */
import { describe, expect, it } from 'vitest';
import type { Container, Pod } from '#api/generated/objects.ts';
import { isObject } from '#api/wire/json.ts';
import { noDevices } from '#agent/device/container-devices.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import { renderContainer, renderSandbox } from '#agent/kubelet/render/container-config.ts';
import { resolvConfOf } from '#agent/kubelet/render/host-files.ts';
import { undecided } from '#agent/kubelet/render/seccomp.ts';
import { containerConfigOf } from '#agent/runtime/cri/render-container.ts';
import { sandboxConfigOf } from '#agent/runtime/cri/render-sandbox.ts';
import type { ContainerConfig, SandboxConfig } from '#agent/runtime/runtime.ts';
import type { ContainerConfig as CriContainer, PodSandboxConfig } from '#proto/cri/api.ts';
import { loadContract } from '#proto/load.ts';
import { markAnnotation, readSandboxMark } from './marks.ts';
import { sandboxOf, type KnownSandbox } from './observe.ts';
import { containerRequest } from './render-request.ts';
import { sandboxAgain, sandboxRequest } from './render-sandbox.ts';

const { services } = await loadContract('cri-v1');
const { CreateContainer: call } = services['runtime.v1.RuntimeService'];

const container: Container = {
  name: 'main',
  image: 'registry.example/app:1',
  command: ['/bin/app'],
  args: ['serve'],
  workingDir: '/work',
  stdin: true,
  stdinOnce: true,
  tty: true,
  ports: [{ name: 'web', containerPort: 80, hostPort: 8080, hostIP: '192.0.2.1', protocol: 'UDP' }],
  resources: {
    requests: { cpu: '250m', memory: '32Mi' },
    limits: { cpu: '500m', memory: '64Mi', 'hugepages-2Mi': '4Mi' },
  },
  terminationMessagePath: '/dev/last',
  terminationMessagePolicy: 'FallbackToLogsOnError',
  lifecycle: { stopSignal: 'SIGRTMIN+3', preStop: { exec: { command: ['true'] } } },
  securityContext: {
    runAsUser: 7,
    runAsGroup: 8,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
    seccompProfile: { type: 'Localhost', localhostProfile: 'own.json' },
    seLinuxOptions: { user: 'system_u', role: 'system_r', type: 'app_t', level: 's0:c1' },
  },
};

const pod: Pod = {
  metadata: {
    uid: 'pod-uid',
    namespace: 'shop',
    name: 'web',
    labels: { app: 'web' },
    annotations: { note: 'said' },
    deletionGracePeriodSeconds: 5,
  },
  spec: {
    containers: [
      container,
      { name: 'helper', image: 'registry.example/helper:1', securityContext: { privileged: true } },
    ],
    hostname: 'front',
    hostUsers: false,
    overhead: { cpu: '100m', memory: '16Mi' },
    terminationGracePeriodSeconds: 20,
    dnsPolicy: 'None',
    dnsConfig: {
      nameservers: ['192.0.2.53'],
      searches: ['shop.example'],
      options: [{ name: 'ndots', value: '2' }],
    },
    securityContext: {
      runAsUser: 1000,
      runAsGroup: 1001,
      fsGroup: 1002,
      supplementalGroups: [1003],
      supplementalGroupsPolicy: 'Strict',
      seLinuxOptions: { user: 'system_u', role: 'system_r', type: 'pod_t', level: 's0' },
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
    },
  },
};

const node = {
  memoryBytes: 1_073_741_824,
  allocatable: { memoryBytes: 1_000_000_000 },
  hugePageSizes: ['2Mi'],
  placementOf: () => ({ cpus: '2-3', mems: '0', isAlone: false }),
};
const cgroupFiles = new Set(['memory.oom.group', 'memory.swap.max', 'hugetlb.2MB.max']);
const features = { recursiveReadOnlyMounts: true, userNamespaces: true };
const paths = podPaths(pod, {
  pods: '/pods',
  podsMemory: '/memory',
  volumes: '/volumes',
  logs: '/logs',
  kubelet: '/kubelet',
});
const dns = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', hostResolvConf: '' };

const sandbox = (change: Partial<SandboxConfig> = {}): SandboxConfig => ({
  ...renderSandbox({
    pod,
    attempt: 0,
    hostname: 'front',
    pidsMax: 100,
    logDirectory: paths.logs,
    dns: resolvConfOf(pod, dns),
    node,
  }),
  ids: { first: 65_536, count: 65_536 },
  ...change,
});

const place = {
  nodeName: 'node-a',
  attempt: 3,
  cgroupParent: '/kubepods/burstable/podpod-uid',
  cgroupFiles,
  features,
  hasGroupsPolicy: true,
};

function started(change: Partial<ContainerConfig> = {}): ContainerConfig {
  const volume = { source: '/volumes/v', isFile: false, isReadOnly: false };
  const mounts = [
    { ...volume, mount: { name: 'v', mountPath: '/v', readOnly: true, recursiveReadOnly: 'Enabled' } },
    { ...volume, mount: { name: 'v', mountPath: '/w', mountPropagation: 'HostToContainer' } },
    {
      ...{ source: 'sha256:2', isFile: false, isReadOnly: true, image: { subPath: 'part' } },
      mount: { name: 'i', mountPath: '/i' },
    },
  ] as const;
  const devices = [{ path: '/dev/gpu', hostPath: '/dev/gpu7', type: 'c', major: 195, minor: 7, mode: 0o660 }];
  return {
    ...renderContainer({
      pod,
      container,
      id: 'x'.repeat(64),
      attempt: 2,
      imageId: 'sha256:1',
      image: undefined,
      env: [{ name: 'WHO', value: 'me' }],
      mounts,
      devices: [{ path: '/dev/block', type: 'b', major: 7, minor: 1, mode: 0o660 }],
      given: {
        ...noDevices,
        cdiDevices: ['vendor.com/gpu=0'],
        devices: devices as ContainerConfig['devices'],
        annotations: { 'vendor.example/gpu': '7' },
      },
      paths,
      node,
      pidsMax: 50,
      profiles: { ...undecided, localhostProfile: '{"defaultAction":"SCMP_ACT_ALLOW"}' },
      pidTarget: 'target',
    }),
    ...change,
  };
}

function asked(config = started(), of = sandbox()): Asked {
  const said = sandboxRequest(of, place);
  const mark = readSandboxMark(said.annotations as Record<string, string>);
  if (mark === undefined) return expect.fail('no mark');
  const request = containerRequest(config, {
    nodeName: 'node-a',
    pod: of,
    mark,
    targetId: config.pidTarget,
    imageUser: { uid: 0 },
    seccompDirectory: '/seccomp',
    cgroupFiles,
    features: { hasGroupsPolicy: true },
    handlerFeatures: features,
  });
  return received({ config: request, sandbox_config: said });
}

/** As a runtime has it. */
function received(request: Parameters<typeof call.requestSerialize>[0]): Asked {
  return call.requestDeserialize(call.requestSerialize(request)) as Asked;
}

interface Asked {
  readonly config: CriContainer;
  readonly sandbox_config: PodSandboxConfig;
}

const isDefault = (value: unknown): boolean =>
  value === null ||
  (Array.isArray(value) ? value.length === 0 : isObject(value) ? Object.keys(value).length === 0 : !value);

const maps = /\.(labels|annotations|sysctls|unified)$/;

/** Every field of a message, `a.b[].c`, and whether it is ever more than its default. */
function fieldsOf(value: unknown, at: string, found = new Map<string, boolean>()): Map<string, boolean> {
  if (Array.isArray(value) && value.some(isObject)) {
    for (const each of value) fieldsOf(each, `${at}[]`, found);
  } else if (isObject(value) && !(value instanceof Uint8Array) && !maps.test(at)) {
    for (const [name, each] of Object.entries(value))
      fieldsOf(each, at === '' ? name : `${at}.${name}`, found);
  } else found.set(at, !isDefault(value) || found.get(at) === true);
  return found;
}

/** Without defaults and marks, which another test has. */
function said(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map(said);
  if (!isObject(value)) return value;
  const fields = Object.entries(value).filter(([name, each]) => name !== markAnnotation && !isDefault(each));
  return Object.fromEntries(fields.map(([name, each]) => [name, said(each)]));
}

/** What a kubelet of 1.36 does not say either. */
const saidByNobody = [
  'config.image.annotations',
  'config.image.image_ref',
  'config.image.runtime_handler',
  'config.linux.security_context.capabilities.add_ambient_capabilities',
  'config.linux.security_context.seccomp_profile_path',
  'config.mounts[].image.annotations',
  'config.mounts[].image.image_ref',
  'config.mounts[].image.runtime_handler',
  'config.mounts[].image.user_specified_image',
  'sandbox_config.linux.overhead.cpuset_cpus',
  'sandbox_config.linux.overhead.cpuset_mems',
  'sandbox_config.linux.overhead.hugepage_limits',
  'sandbox_config.linux.overhead.memory_swap_limit_in_bytes',
  'sandbox_config.linux.overhead.oom_score_adj',
  'sandbox_config.linux.resources.cpuset_cpus',
  'sandbox_config.linux.resources.cpuset_mems',
  'sandbox_config.linux.resources.hugepage_limits',
  'sandbox_config.linux.resources.memory_swap_limit_in_bytes',
  'sandbox_config.linux.resources.oom_score_adj',
  'sandbox_config.linux.security_context.apparmor',
  'sandbox_config.linux.security_context.namespace_options.target_id',
  'sandbox_config.linux.security_context.readonly_rootfs',
  'sandbox_config.linux.security_context.seccomp.localhost_ref',
  'sandbox_config.linux.security_context.seccomp_profile_path',
];

/** What it would, and is had otherwise. */
const hadOtherwise = {
  'config.linux.resources.memory_swap_limit_in_bytes': 'memory.swap.max is in unified',
  'config.linux.security_context.apparmor_profile': 'runtimes since CRI v1 have apparmor',
  'config.mounts[].selinux_relabel': 'who mounts a volume labels it; a node with SELinux refuses labels',
};

/** Of ids the first, and of choices those that this pod has not made. */
const zero = /\.container_id$/;
const notOfThisPod = [
  'config.linux.security_context.apparmor.localhost_ref',
  'config.linux.security_context.privileged',
  'config.linux.security_context.run_as_username',
];

describe('a runtime is asked', () => {
  it('for a pod of every field', async () => {
    const { config, sandbox_config: sandboxConfig } = asked();
    const text = `${JSON.stringify({ sandbox_config: said(sandboxConfig), config: said(config) }, undefined, 1)}\n`;
    await expect(text).toMatchFileSnapshot('golden/every-field.json');
  });

  it('by every field, or it is known why not', () => {
    const { config, sandbox_config } = asked();
    const found = [...fieldsOf({ config, sandbox_config }, '')];
    const isMissing = ([name, isSaid]: readonly [string, boolean]): boolean =>
      !isSaid && !zero.test(name) && !found.some(([other]) => other.startsWith(`${name}.`));
    const known = [...saidByNobody, ...Object.keys(hadOtherwise), ...notOfThisPod];
    expect(
      found
        .filter(isMissing)
        .map(([name]) => name)
        .toSorted(),
    ).toEqual(known.toSorted());
  });

  it('what a pod chooses otherwise', () => {
    const security = (change: Partial<ContainerConfig>): unknown =>
      asked(started(change)).config.linux?.security_context;
    const { security: own } = started();
    expect(security({ user: { fsGroups: [], name: 'app' } })).toMatchObject({ run_as_username: 'app' });
    expect(security({ security: { ...own, privileged: true } })).toMatchObject({ privileged: true });
    const { linux } = asked(undefined, sandbox({ hostNetwork: true })).sandbox_config;
    expect(linux?.security_context).toMatchObject({
      privileged: true,
      namespace_options: { network: 'NODE' },
    });
    expect(asked(undefined, sandbox({ hostNetwork: true })).sandbox_config).toMatchObject({
      hostname: '',
      dns_config: { servers: ['192.0.2.53'] },
    });
  });

  it('a group of a sandbox only with a user, which CRI wants', () => {
    const words = sandbox().words;
    if (words === undefined) return expect.fail('no words');
    const { user } = words;
    const config = sandbox({ words: { ...words, user: { gid: 5, additionalGids: user.additionalGids } } });
    expect(asked(undefined, config).sandbox_config.linux?.security_context).toMatchObject({
      run_as_user: null,
      run_as_group: null,
    });
  });
});

describe('a sandbox is told again', () => {
  const listed = (annotations: Readonly<Record<string, string>>): KnownSandbox => {
    const { metadata, labels } = asked().sandbox_config;
    const known = sandboxOf(
      {
        ...{ id: 's', metadata, state: 'SANDBOX_READY', created_at: 1 },
        ...{ labels, annotations, runtime_handler: '' },
      },
      undefined,
    );
    return known ?? expect.fail('not ours');
  };
  const again = (known: KnownSandbox): unknown => {
    return received({ sandbox_config: sandboxAgain(known, '/elsewhere') }).sandbox_config;
  };

  it('as it was told first, also by an agent that comes anew', () => {
    const { sandbox_config: first } = asked();
    expect(again(listed(first.annotations))).toEqual(first);
  });

  it('as far as an older agent marked it', () => {
    const { said: _, ...mark } = readSandboxMark(asked().sandbox_config.annotations) ?? {};
    expect(again(listed({ [markAnnotation]: JSON.stringify(mark) }))).toMatchObject({
      metadata: { name: 'web', namespace: 'shop', uid: 'pod-uid', attempt: 3 },
      log_directory: '/logs/shop_web_pod-uid',
      linux: { cgroup_parent: '/elsewhere', security_context: { namespace_options: { pid: 'CONTAINER' } } },
    });
  });
});

it('our own runtime takes all of it', () => {
  const { config, sandbox_config } = asked();
  const own = sandboxConfigOf(sandbox_config, {
    uid: 'cri-1',
    cgroupDefault: 'kubepods',
    isSelinuxEnabled: false,
    userNamespaceProblem: undefined,
  });
  const { hostname, sysctls, ids } = sandbox();
  expect(own).toMatchObject({ hostname, sysctls, ids, podUid: 'pod-uid', hasOwnUsers: true });
  const made = containerConfigOf(config, {
    ...{ id: 'x'.repeat(64), imageId: 'sha256:1', sandbox: sandbox_config, made: own, devices: [] },
    ...{ ownMounts: [], isSelinuxEnabled: false, given: noDevices, appArmor: new Set(['cri-containerd']) },
    files: new Set<string>(),
    images: new Map([['sha256:2', 'sha256:2']]),
    profile: { path: '/seccomp/own.json', text: '{"defaultAction":"SCMP_ACT_ALLOW"}', kernelRelease: '6.18' },
  });
  const { command, args, env, stopSignal, oomScoreAdj, stdio } = started();
  expect(made).toMatchObject({ command, args, env, stopSignal, oomScoreAdj, stdio, pidTarget: 'target' });
  expect(made.mounts.map(({ target }) => target)).toEqual(started().mounts.map(({ target }) => target));
});
