import { describe, expect, it } from 'vitest';
import type { Outgoing } from '#proto/contract.ts';
import type {
  ContainerConfig,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  LinuxSandboxSecurityContext,
  Mount,
  NamespaceOption,
  PodSandboxConfig,
  Signal,
  UserNamespace,
} from '#proto/cri/api.ts';
import { loadContract } from '#proto/load.ts';
import { statusNameOf } from '#proto/status.ts';
import { constants } from 'node:os';
import { noDevices } from '#agent/device/container-devices.ts';
import { eventsBetween } from './events.ts';
import { credentialsOf, renderImage } from './images.ts';
import { renderResolvConf } from './pod-files.ts';
import {
  containerConfigOf,
  logPathOf,
  seccompFileOf,
  signalName,
  signalOf,
  type ContainerPlace,
} from './render-container.ts';
import { cgroupResourcesOf, mergeResources } from './render-resources.ts';
import { sandboxConfigOf, sandboxNamespaces } from './render-sandbox.ts';
import { findById, nanoseconds } from './views.ts';

const { services } = await loadContract('cri-v1');
const service = services['runtime.v1.RuntimeService'];

/** As it is received, with its defaults. */
function received(config: Outgoing<ContainerConfig>, sandbox: Outgoing<PodSandboxConfig> = {}) {
  const { requestSerialize, requestDeserialize } = service.CreateContainer;
  const request = requestDeserialize(requestSerialize({ config, sandbox_config: sandbox }));
  return request as { readonly config: ContainerConfig; readonly sandbox_config: PodSandboxConfig };
}

const security = (change: Outgoing<LinuxContainerSecurityContext>): Outgoing<ContainerConfig> => ({
  linux: { security_context: change },
});
const mount = (change: Outgoing<Mount>): Outgoing<ContainerConfig> => ({
  mounts: [{ container_path: '/b', host_path: '/a', ...change }],
});
const namespaces = (change: Outgoing<NamespaceOption>): Outgoing<ContainerConfig> =>
  security({ namespace_options: change });
const resources = (change: Outgoing<LinuxContainerResources>): LinuxContainerResources =>
  received({ linux: { resources: change } }).config.linux?.resources as LinuxContainerResources;
/** What is refused is refused by gRPC's name, saying the field. */
function outcome<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return `${statusNameOf(error)} ${error instanceof Error ? error.message : ''}`;
  }
}

const range = [{ host_id: 131_072, container_id: 0, length: 65_536 }];
const ownUsers: Outgoing<UserNamespace> = { mode: 'POD', uids: range, gids: range };

describe('containerConfigOf()', () => {
  const privateSandbox = { hostNetwork: false, hostPid: false, hostIpc: false, sharePidNamespace: false };
  const render = (
    config: Outgoing<ContainerConfig>,
    place: Partial<ContainerPlace> = {},
    sandbox: Outgoing<PodSandboxConfig> = {},
  ) => {
    const all = received({ metadata: { name: 'c' }, ...config }, { log_directory: '/logs/p', ...sandbox });
    return containerConfigOf(all.config, {
      ...{ id: 'i', imageId: 'sha256:1', files: new Set<string>(), devices: [], ownMounts: [] },
      images: new Map([['app', 'sha256:2']]),
      ...{ made: privateSandbox, sandbox: all.sandbox_config, isSelinuxEnabled: false, profile: undefined },
      ...{ appArmor: undefined, given: noDevices },
      ...place,
    });
  };

  it.each([
    ['command and arguments', { command: ['a'], args: ['b'] }, { command: ['a'], args: ['b'] }],
    [
      'an environment',
      { envs: [{ key: 'A', value: Buffer.from('é=1') }] },
      { env: [{ name: 'A', value: 'é=1' }] },
    ],
    ['a working directory', { working_dir: '/w' }, { workingDir: '/w' }],
    ['none', {}, { workingDir: undefined, stopSignal: undefined, pidTarget: undefined, oomScoreAdj: 0 }],
    [
      'a log',
      { log_path: 'c/0.log' },
      { stdio: { logPath: '/logs/p/c/0.log', stdin: false, stdinOnce: false, tty: false } },
    ],
    [
      'streams',
      { stdin: true, stdin_once: true, tty: true },
      { stdio: { logPath: undefined, stdin: true, stdinOnce: true, tty: true } },
    ],
    ['a stop signal', { stop_signal: 'SIGRTMINPLUS3' as const }, { stopSignal: 'SIGRTMIN+3' }],
    ['an OOM score', { linux: { resources: { oom_score_adj: -5 } } }, { oomScoreAdj: -5 }],
    [
      'user and groups',
      security({ run_as_user: { value: 1 }, run_as_group: { value: 0 }, supplemental_groups: [5] }),
      { user: { uid: 1, gid: 0, additionalGids: [5], fsGroups: [] } },
    ],
    [
      'root, said',
      security({ run_as_user: { value: 0 } }),
      { user: { uid: 0, additionalGids: [], fsGroups: [] } },
    ],
    [
      'a user by name',
      security({ run_as_username: 'bin' }),
      { user: { name: 'bin', additionalGids: [], fsGroups: [] } },
    ],
    [
      'a strict policy',
      security({ supplemental_groups_policy: 'Strict' }),
      { user: { additionalGids: [], fsGroups: [], leavesImageGroups: true } },
    ],
    [
      'a name that people gave',
      { image: { image: 'sha256:1', user_specified_image: 'app:1' } },
      { image: 'app:1' },
    ],
    ['a target', namespaces({ pid: 'TARGET', target_id: 't' }), { pidTarget: 't' }],
    ['POD of network and ipc, whatever that is', namespaces({ pid: 'CONTAINER' }), { pidTarget: undefined }],
  ])('takes %s', (_name, config, want) => {
    expect(render(config)).toMatchObject(want);
  });

  it.each([
    ['private', {}, ['rbind', 'rprivate']],
    ['from the host', { propagation: 'PROPAGATION_HOST_TO_CONTAINER' as const }, ['rbind', 'rslave']],
    ['both ways', { propagation: 'PROPAGATION_BIDIRECTIONAL' as const }, ['rbind', 'rshared']],
    ['read only', { readonly: true }, ['rbind', 'rprivate', 'ro']],
    ['read only below too', { readonly: true, recursive_read_only: true }, ['rbind', 'rprivate', 'rro']],
  ])('mounts %s', (_name, change, options) => {
    expect(render(mount(change)).mounts).toEqual([
      { type: 'bind', source: '/a', target: '/b', isFile: false, options },
    ]);
  });

  it('mounts the files of an image, never to be written to', () => {
    const asked = { host_path: '', image: { image: 'app' }, image_sub_path: 'etc', readonly: true };
    const options = ['rbind', 'rprivate', 'ro'];
    expect(render(mount(asked)).mounts).toEqual([
      { type: 'image', source: 'sha256:2', target: '/b', subPath: 'etc', options },
    ]);
  });

  it('in a user namespace gives volumes the owners that they have, where the client says so', () => {
    const ids = { first: 131_072, count: 65_536 };
    const place = { made: { ...privateSandbox, hasOwnUsers: true, ids } };
    const mapped = { uidMappings: range, gidMappings: range };
    expect(render(mount(mapped), place).mounts).toMatchObject([{ isIdMapped: true }]);
    expect(render(mount({}), place).mounts).toMatchObject([{ isIdMapped: false }]);
    const other = [{ host_id: 7, container_id: 0, length: 65_536 }];
    const otherwise = mount({ uidMappings: other, gidMappings: other });
    expect(outcome(() => render(otherwise, place))).toMatch(/^UNIMPLEMENTED .*uidMappings/);
    expect(
      render(namespaces({ pid: 'CONTAINER', userns_options: ownUsers }), place).pidTarget,
    ).toBeUndefined();
  });

  it('compiles the profile of a file, and says which one is none', () => {
    const profile = { path: '/p', text: '{"defaultAction":"SCMP_ACT_ALLOW"}', kernelRelease: '6.1.0' };
    expect(render(security({}), { profile }).security.seccomp).toMatchObject({ name: 'localhost//p' });
    const broken = { profile: { ...profile, text: '{' } };
    expect(outcome(() => render(security({}), broken))).toMatch(/^INVALID_ARGUMENT .*"\/p"/);
    const file = (change: Outgoing<LinuxContainerSecurityContext>): string | undefined =>
      seccompFileOf(received(security(change)).config.linux?.security_context ?? null);
    expect(file({ seccomp: { profile_type: 'Localhost', localhost_ref: '/p' } })).toBe('/p');
    expect(file({ seccomp_profile_path: 'localhost//p' })).toBe('/p');
    expect(file({ seccomp_profile_path: 'localhost//p', privileged: true })).toBeUndefined();
    expect(file({ seccomp: { profile_type: 'RuntimeDefault' } })).toBeUndefined();
  });

  it("mounts the pod's files where the client mounts none, and a path of the container from its root", () => {
    const ownMounts = ['/etc/hosts', '/etc/hostname'].map((target) => ({
      type: 'bind' as const,
      source: '/x',
      target,
      options: [],
    }));
    const { mounts } = render(mount({ container_path: 'etc/hosts/' }), { ownMounts, files: new Set(['/a']) });
    const seen = mounts.map((each) => [each.source, each.target, each.type === 'bind' && each.isFile]);
    expect(seen).toEqual([
      ['/a', '/etc/hosts/', true],
      ['/x', '/etc/hostname', undefined],
    ]);
  });

  it.each([
    [
      'nothing',
      {},
      {
        seccomp: 'unconfined',
        privileged: false,
        noNewPrivileges: false,
        readonlyRoot: false,
        maskedPaths: [],
        readonlyPaths: [],
      },
    ],
    [
      'the default profile',
      security({ seccomp: { profile_type: 'RuntimeDefault' } }),
      { seccomp: 'runtime-default' },
    ],
    ['none', security({ seccomp: { profile_type: 'Unconfined' } }), { seccomp: 'unconfined' }],
    [
      'the default profile, as before 1.22',
      security({ seccomp_profile_path: 'runtime/default' }),
      { seccomp: 'runtime-default' },
    ],
    ['no new privileges', security({ no_new_privs: true }), { noNewPrivileges: true }],
    ['a root to read', security({ readonly_rootfs: true }), { readonlyRoot: true }],
    [
      'paths',
      security({ masked_paths: ['/proc/a'], readonly_paths: ['/proc/b'] }),
      { maskedPaths: ['/proc/a'], readonlyPaths: ['/proc/b'] },
    ],
    [
      'one capability',
      security({ capabilities: { drop_capabilities: ['ALL'], add_capabilities: ['NET_ADMIN'] } }),
      { capabilities: ['CAP_NET_ADMIN'] },
    ],
  ])('secures by %s', (_name, config, want) => {
    expect(render(config).security).toMatchObject(want);
  });

  it('gives a privileged one all, in a sandbox that is', () => {
    const sandbox = { linux: { security_context: { privileged: true } } };
    const asked = security({
      privileged: true,
      masked_paths: ['/proc/a'],
      seccomp: { profile_type: 'RuntimeDefault' },
    });
    const { capabilities, maskedPaths, seccomp } = render(asked, {}, sandbox).security;
    expect([capabilities.length, maskedPaths, seccomp]).toEqual([41, [], 'unconfined']);
  });

  it.each([
    ['INVALID_ARGUMENT', 'privileged', security({ privileged: true })],
    ['INVALID_ARGUMENT', 'metadata', { metadata: { name: '' } }],
    ['INVALID_ARGUMENT', 'log_path', { log_path: '../../etc/x' }],
    ['INVALID_ARGUMENT', 'host_path', mount({ host_path: 'a' })],
    ['INVALID_ARGUMENT', 'container_path', mount({ container_path: '' })],
    ['INVALID_ARGUMENT', 'recursive_read_only', mount({ recursive_read_only: true })],
    [
      'INVALID_ARGUMENT',
      'recursive_read_only',
      mount({ recursive_read_only: true, readonly: true, propagation: 'PROPAGATION_HOST_TO_CONTAINER' }),
    ],
    ['INVALID_ARGUMENT', 'run_as_group', security({ run_as_group: { value: 1 } })],
    ['INVALID_ARGUMENT', 'run_as_username', security({ run_as_user: { value: 1 }, run_as_username: 'a' })],
    ['INVALID_ARGUMENT', 'capability', security({ capabilities: { add_capabilities: ['NONE_SUCH'] } })],
    ['INVALID_ARGUMENT', 'network NODE', namespaces({ network: 'NODE', pid: 'CONTAINER' })],
    ['INVALID_ARGUMENT', 'ipc NODE', namespaces({ ipc: 'NODE', pid: 'CONTAINER' })],
    ['INVALID_ARGUMENT', 'pid POD', namespaces({ pid: 'POD' })],
    ['INVALID_ARGUMENT', 'pid NODE', namespaces({ pid: 'NODE' })],
    ['INVALID_ARGUMENT', 'target_id', namespaces({ pid: 'TARGET' })],
    [
      'INVALID_ARGUMENT',
      'memory_swap_limit_in_bytes',
      { linux: { resources: { memory_limit_in_bytes: 9, memory_swap_limit_in_bytes: 5 } } },
    ],
    [
      'INVALID_ARGUMENT',
      'hugepage_limits',
      { linux: { resources: { hugepage_limits: [{ page_size: '../x', limit: 1 }] } } },
    ],
    ['INVALID_ARGUMENT', 'host_path /a is given', mount({ image: { image: 'app' } })],
    ['INVALID_ARGUMENT', 'readonly', mount({ host_path: '', image: { image: 'app' } })],
    ['INVALID_ARGUMENT', 'seccomp_profile_path "/p"', security({ seccomp_profile_path: '/p' })],
    ['NOT_FOUND', 'image other on /b', mount({ host_path: '', image: { image: 'other' } })],
    ['UNIMPLEMENTED', 'uidMappings', mount({ uidMappings: [{ length: 1 }] })],
    ['INVALID_ARGUMENT', 'userns_options', namespaces({ pid: 'CONTAINER', userns_options: { mode: 'POD' } })],
    ['INVALID_ARGUMENT', 'userns_options', namespaces({ pid: 'CONTAINER', userns_options: ownUsers })],
    [
      'UNIMPLEMENTED',
      'add_ambient_capabilities',
      security({ capabilities: { add_ambient_capabilities: ['KILL'] } }),
    ],
    ['UNIMPLEMENTED', 'apparmor', security({ apparmor: { profile_type: 'Localhost' } })],
  ])('refuses as %s by the name of %s', (status, field, config: Outgoing<ContainerConfig>) => {
    const text = outcome(() => render(config));
    expect(text).toMatch(new RegExp(`^${status} .*${field}`));
  });
});

describe('sandboxConfigOf()', () => {
  const render = (change: Outgoing<PodSandboxConfig>, userNamespaceProblem?: string) => {
    const config = { metadata: { name: 'web', namespace: 'ns', uid: 'u' }, ...change };
    return sandboxConfigOf(received({}, config).sandbox_config, {
      uid: 'cri-1',
      cgroupDefault: 'cri',
      isSelinuxEnabled: true,
      userNamespaceProblem,
    });
  };
  const options = (change: Outgoing<NamespaceOption>): Outgoing<PodSandboxConfig> => ({
    linux: { security_context: { namespace_options: change } },
  });
  const secured = (change: Outgoing<LinuxSandboxSecurityContext>): Outgoing<PodSandboxConfig> => ({
    linux: { security_context: change },
  });

  it.each([
    [
      'nothing',
      {},
      {
        uid: 'cri-1',
        podUid: 'u',
        hostname: 'web',
        cgroupParent: 'cri/cri-1',
        sharePidNamespace: true,
        hostPid: false,
      },
    ],
    ['a cgroup', { linux: { cgroup_parent: '/kubepods/podu/' } }, { cgroupParent: 'kubepods/podu/cri-1' }],
    ['a pid namespace for each', options({ pid: 'CONTAINER' }), { sharePidNamespace: false, hostPid: false }],
    [
      "the node's",
      options({ pid: 'NODE', network: 'NODE', ipc: 'NODE' }),
      { hostPid: true, hostNetwork: true, hostIpc: true },
    ],
    [
      'a user namespace of its own',
      options({ userns_options: ownUsers }),
      { hasOwnUsers: true, ids: { first: 131_072, count: 65_536 } },
    ],
    ['user namespaces of the node', options({ userns_options: { mode: 'NODE' } }), { hostPid: false }],
    ['sysctls', { linux: { sysctls: { 'net.x': '1' } } }, { sysctls: { 'net.x': '1' } }],
    [
      'ports',
      {
        port_mappings: [
          { host_port: 80, container_port: 8080, protocol: 'UDP' as const },
          { container_port: 1 },
        ],
      },
      { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'UDP', hostIp: '' }] },
    ],
    [
      "ports of the node's network",
      { ...options({ network: 'NODE' }), port_mappings: [{ host_port: 80, container_port: 80 }] },
      { portMappings: [] },
    ],
    ['a profile of AppArmor, as nothing is in it', secured({ apparmor: { profile_type: 'Localhost' } }), {}],
    [
      'a sum of limits, which would hold back those without',
      { linux: { resources: { cpu_quota: 100 } } },
      { resources: {} },
    ],
  ])('takes %s', (_name, change, want) => {
    expect(render(change)).toMatchObject(want);
  });

  it.each([
    ['INVALID_ARGUMENT', 'metadata', { metadata: { name: 'web' } }],
    ['INVALID_ARGUMENT', 'cgroup_parent', { linux: { cgroup_parent: 'kubepods.slice' } }],
    [
      'INVALID_ARGUMENT',
      'cgroup_parent',
      { linux: { cgroup_parent: '/kubepods.slice/kubepods-podu.slice' } },
    ],
    ['INVALID_ARGUMENT', 'cgroup_parent', { linux: { cgroup_parent: '/a/../../b' } }],
    ['INVALID_ARGUMENT', 'cgroup_parent', { linux: { cgroup_parent: '/' } }],
    ['INVALID_ARGUMENT', 'port_mappings', { port_mappings: [{ host_port: 70_000, container_port: 1 }] }],
    ['INVALID_ARGUMENT', 'TARGET', options({ pid: 'TARGET' })],
    ['INVALID_ARGUMENT', 'userns_options', options({ userns_options: { mode: 'POD' } })],
    ['UNIMPLEMENTED', 'userns_options', options({ network: 'NODE', userns_options: ownUsers })],
    ['UNIMPLEMENTED', 'selinux_options', secured({ selinux_options: { level: 's0' } })],
  ])('refuses as %s by the name of %s', (status, field, change: Outgoing<PodSandboxConfig>) => {
    expect(outcome(() => render(change))).toMatch(new RegExp(`^${status} .*${field}`));
  });

  it('says why there are no user namespaces', () => {
    const asked = options({ userns_options: ownUsers });
    expect(outcome(() => render(asked, 'no kernel'))).toMatch(/^UNIMPLEMENTED .*no kernel/);
  });

  it('takes POD for what is not said, as CRI has it', () => {
    expect(sandboxNamespaces(null)).toEqual({
      hostNetwork: false,
      hostPid: false,
      hostIpc: false,
      sharePidNamespace: true,
    });
  });
});

describe('cgroupResourcesOf()', () => {
  it.each([
    ['nothing', {}, {}],
    ['shares, as a weight', { cpu_shares: 1024 }, { cpuWeight: 100 }],
    ['a quota', { cpu_quota: 50_000, cpu_period: 100_000 }, { cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 }],
    ['no quota', { cpu_quota: -1 }, { cpuQuotaUs: -1 }],
    ['memory', { memory_limit_in_bytes: 4096 }, { memoryMaxBytes: 4096 }],
    [
      'memory and no swap',
      { memory_limit_in_bytes: 4096, memory_swap_limit_in_bytes: 4096 },
      { memoryMaxBytes: 4096, unified: { 'memory.swap.max': '0' } },
    ],
    [
      'swap',
      { memory_limit_in_bytes: 4096, memory_swap_limit_in_bytes: 8192 },
      { memoryMaxBytes: 4096, unified: { 'memory.swap.max': '4096' } },
    ],
    ['any swap', { memory_swap_limit_in_bytes: -1 }, { unified: { 'memory.swap.max': 'max' } }],
    [
      'processors',
      { cpuset_cpus: '0-1', cpuset_mems: '0' },
      { unified: { 'cpuset.cpus': '0-1', 'cpuset.mems': '0' } },
    ],
    [
      'huge pages',
      { hugepage_limits: [{ page_size: '2MB', limit: 0 }] },
      { unified: { 'hugetlb.2MB.max': '0' } },
    ],
    ['files', { unified: { 'memory.high': '99' } }, { unified: { 'memory.high': '99' } }],
  ])('takes %s', (_name, change, want) => {
    expect(cgroupResourcesOf(resources(change))).toEqual(want);
  });

  it('keeps what an update does not say', () => {
    const before = resources({
      cpu_shares: 2,
      cpuset_cpus: '0',
      unified: { a: '1' },
      hugepage_limits: [{ page_size: '2MB', limit: 1 }],
    });
    const update = resources({
      cpu_shares: 4,
      unified: { b: '2' },
      hugepage_limits: [{ page_size: '2MB', limit: 2 }],
    });
    expect(mergeResources(before, update)).toEqual(
      resources({
        cpu_shares: 4,
        cpuset_cpus: '0',
        unified: { a: '1', b: '2' },
        hugepage_limits: [{ page_size: '2MB', limit: 2 }],
      }),
    );
  });
});

describe('signals', () => {
  it.each([
    ['RUNTIME_DEFAULT', undefined],
    ['SIGTERM', 'SIGTERM'],
    ['SIGRTMINPLUS15', 'SIGRTMIN+15'],
    ['SIGRTMAXMINUS14', 'SIGRTMAX-14'],
    ['SIGRTMAX', 'SIGRTMAX'],
  ] as const)('%s is %s', (signal: Signal, name) => expect(signalName(signal)).toBe(name));

  it.each([
    [15, 'SIGTERM'],
    [34, 'SIGRTMIN'],
    [49, 'SIGRTMINPLUS15'],
    [50, 'SIGRTMAXMINUS14'],
    [64, 'SIGRTMAX'],
    [undefined, 'RUNTIME_DEFAULT'],
  ] as const)('%s is shown as %s', (number, signal) =>
    expect(signalOf(number, constants.signals)).toBe(signal),
  );
});

describe('credentialsOf()', () => {
  const none = {
    username: '',
    password: '',
    auth: '',
    server_address: '',
    identity_token: '',
    registry_token: '',
  };
  const both = Buffer.from('u:p:q').toString('base64');
  it.each([
    ['none', {}, undefined],
    ['name and password', { username: 'u', password: 'p' }, { username: 'u', password: 'p' }],
    ['both in one', { auth: both }, { username: 'u', password: 'p:q' }],
    [
      'those of this registry',
      { username: 'u', server_address: 'https://r.example.com/v2/' },
      { username: 'u', password: '' },
    ],
    ['not those of another', { username: 'u', server_address: 'https://other.example.com' }, undefined],
    ['what is none', { auth: 'AAAA' }, 'INVALID_ARGUMENT'],
    ['a token', { registry_token: 't' }, 'UNIMPLEMENTED'],
  ])('takes %s', (_name, auth, want) => {
    const found = outcome(() => credentialsOf({ ...none, ...auth }, 'r.example.com/a:1'));
    expect(typeof found === 'string' ? found.split(' ', 1)[0] : found).toEqual(want);
  });
});

describe('what there is', () => {
  it('is found by an id, or the only one that begins so', () => {
    const all = ['abc', 'abd', 'x', 'xy'].map((id) => ({ id }));
    expect([findById('pod', 'abc', all).id, findById('pod', 'x', all).id]).toEqual(['abc', 'x']);
    expect(outcome(() => findById('pod', 'ab', all))).toMatch('INVALID_ARGUMENT');
    expect(outcome(() => findById('pod', '', all))).toMatch('INVALID_ARGUMENT');
    expect(outcome(() => findById('pod', 'q', all))).toMatch('NOT_FOUND');
  });

  it('happened step by step, though nobody looked in between', () => {
    const before = new Map([
      ['a', 'running'],
      ['b', 'exited'],
    ] as const);
    const after = new Map([
      ['a', 'exited'],
      ['c', 'exited'],
    ] as const);
    expect(eventsBetween(before, after).map(({ id, type }) => `${id} ${type}`)).toEqual([
      'a CONTAINER_STOPPED_EVENT',
      'c CONTAINER_CREATED_EVENT',
      'c CONTAINER_STARTED_EVENT',
      'c CONTAINER_STOPPED_EVENT',
      'b CONTAINER_DELETED_EVENT',
    ]);
    expect(eventsBetween(after, after)).toEqual([]);
  });

  it('has times that are not before their millisecond', () => {
    for (const ms of [0, 1, 1_764_577_087_123, 1_999_999_999_999]) {
      const text = BigInt(nanoseconds(ms));
      expect(Number(text / 1_000_000n)).toBe(ms);
    }
  });

  it('says of an image as whom it runs', () => {
    const image = { id: 'i', names: [], digests: [], sizeBytes: 1, createdAtMs: 0 };
    expect(renderImage({ ...image, user: '' })).toMatchObject({ uid: { value: 0 } });
    expect(renderImage({ ...image, user: '12:3' })).toMatchObject({ uid: { value: 12 } });
    expect(renderImage({ ...image, user: 'bin' })).toMatchObject({ username: 'bin' });
  });

  it('has names as its client says, or as the host', () => {
    expect(renderResolvConf({ servers: ['1.1.1.1'], searches: ['a', 'b'], options: ['ndots:5'] })).toBe(
      'search a b\nnameserver 1.1.1.1\noptions ndots:5\n',
    );
    expect(renderResolvConf({ servers: [], searches: [], options: [] })).toBeUndefined();
    expect(
      outcome(() => renderResolvConf({ servers: ['1.1.1.1\nnameserver 2'], searches: [], options: [] })),
    ).toMatch('INVALID_ARGUMENT');
  });

  it.each([
    ['c/0.log', '/logs', '/logs/c/0.log'],
    ['c/0.log', '/logs/', '/logs/c/0.log'],
    ['', '/logs', undefined],
    ['c/0.log', '', undefined],
  ])('logs %s of %s', (path, directory, want) => expect(logPathOf(path, directory)).toBe(want));
});
