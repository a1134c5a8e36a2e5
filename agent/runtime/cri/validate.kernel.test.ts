/**
 * What cri-tools' validation suite asks of a runtime (kubernetes-sigs/cri-tools, pkg/validate): each row is one of its specs, asked of the
 * server of CRI on the kernel. What needs a registry or a network is asked elsewhere.
 */
import { mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readUserNamespaceFacts, userNamespaceProblem } from '#agent/node/user-namespaces.ts';
import { defaultIdSpace } from '#agent/runtime/id-ranges.ts';
import { ociArchive, tarOf } from '#agent/runtime/images/test-archive.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import type { Outgoing } from '#proto/contract.ts';
import type {
  ContainerConfig,
  LinuxContainerSecurityContext,
  Mount,
  PodSandboxConfig,
  SecurityProfile,
} from '#proto/cri/api.ts';
import { shellContainer, uniqueSandbox } from './cri.conformance.ts';
import { isRoot } from '#agent/runtime/local-runtime.fixture.ts';
import { makeNode, type KernelCri } from './kernel-node.fixture.ts';

type Namespaces = NonNullable<Outgoing<LinuxContainerSecurityContext>['namespace_options']>;

interface Row {
  readonly name: string;
  /** Of the sandbox and its container. */
  readonly namespaces?: Namespaces;
  readonly sandbox?: Outgoing<PodSandboxConfig>;
  readonly isPrivileged?: boolean;
  readonly container?: Outgoing<ContainerConfig>;
  readonly security?: Outgoing<LinuxContainerSecurityContext>;
  /** Run in the container by ExecSync. */
  readonly script?: string;
  /** What that says on both its streams. */
  readonly want?: string | RegExp;
  /** The status by which it is refused. */
  readonly refused?: string;
}

const accounts = 'registry.example.com/accounts:1';
const ownPid: Namespaces = { pid: 'CONTAINER' };

/** An image in which the user 1000 is of a group that only its /etc/group knows. */
async function accountsArchive(): Promise<Buffer> {
  const busybox = readFileSync(findBusybox() ?? '');
  const tar = await tarOf([
    { name: 'bin', type: 'directory', mode: 0o755 },
    { name: 'etc', type: 'directory', mode: 0o755 },
    { name: 'tmp', type: 'directory', mode: 0o1777 },
    { name: 'bin/busybox', content: busybox, mode: 0o755 },
    ...['sh', 'id', 'sleep', 'cat', 'ls', 'touch'].map((name) => ({
      ...{ name: `bin/${name}`, type: 'symlink' as const, linkname: 'busybox' },
    })),
    {
      name: 'etc/passwd',
      content: 'root:x:0:0::/:/bin/sh\nown:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534::/:\n',
    },
    { name: 'etc/group', content: 'root:x:0:\nown:x:1000:\nof-image:x:50000:own\n' },
  ]);
  return ociArchive({ name: accounts, layers: [{ tar }], config: { Env: ['PATH=/bin'] } });
}

describe.skipIf(!isRoot)('specs of cri-tools (needs root)', () => {
  let node: KernelCri;
  const mounts = createMounts();
  const place = (name: string): string => `${node.root}/${name}`;
  beforeAll(async () => {
    node = await makeNode([await accountsArchive()]);
  });
  afterAll(() => node[Symbol.asyncDispose]());

  interface Made {
    readonly id: string;
    readonly sandbox: string;
  }

  const begin = async (row: Omit<Row, 'name'>): Promise<Made> => {
    const { client, runtime, image } = node;
    const { namespaces = ownPid, isPrivileged: privileged = false } = row;
    const config: Outgoing<PodSandboxConfig> = {
      ...uniqueSandbox(node, 'web'),
      ...row.sandbox,
      linux: { ...row.sandbox?.linux, security_context: { namespace_options: namespaces, privileged } },
    };
    const { pod_sandbox_id: sandbox } = await client.call(runtime.RunPodSandbox, { config });
    const linux = { security_context: { namespace_options: namespaces, privileged, ...row.security } };
    const request = {
      pod_sandbox_id: sandbox,
      config: shellContainer(image, { ...row.container, linux: { ...row.container?.linux, ...linux } }),
      sandbox_config: config,
    };
    const { container_id: id } = await client.call(runtime.CreateContainer, request);
    await client.call(runtime.StartContainer, { container_id: id });
    return { id, sandbox };
  };
  const output = async (id: string, script: string): Promise<string> => {
    const cmd = ['/bin/sh', '-c', `{ ${script}; } 2>&1`];
    const { stdout } = await node.client.call(node.runtime.ExecSync, { container_id: id, cmd, timeout: 100 });
    return String(stdout);
  };
  const end = async (sandbox: string): Promise<void> => {
    await node.client.call(node.runtime.StopPodSandbox, { pod_sandbox_id: sandbox });
    await node.client.call(node.runtime.RemovePodSandbox, { pod_sandbox_id: sandbox });
  };
  const check = async ({ script = 'true', want = '', refused, ...row }: Omit<Row, 'name'>): Promise<void> => {
    if (refused !== undefined) {
      await expect(begin(row)).rejects.toMatchObject({ detail: { status: refused } });
      return;
    }
    const { id, sandbox } = await begin(row);
    expect(await output(id, script)).toMatch(want);
    await end(sandbox);
  };
  const own = (kind: string): string => readlinkSync(`/proc/self/ns/${kind}`);

  describe('namespaces', () => {
    const space = (kind: string): string => `readlink /proc/self/ns/${kind}`;
    const rows: readonly Row[] = [
      {
        ...{ name: 'HostPID', namespaces: { pid: 'NODE' }, script: space('pid') },
        want: own('pid'),
      },
      {
        ...{ name: 'HostIpc is true', namespaces: { ...ownPid, ipc: 'NODE' } },
        script: space('ipc'),
        want: own('ipc'),
      },
      {
        name: 'HostIpc is false',
        script: `[ "$(${space('ipc')})" != "${own('ipc')}" ] && echo other`,
        want: /^other\n$/,
      },
      {
        ...{ name: 'PodPID', namespaces: { pid: 'POD' } },
        script: 'grep -c trap /proc/1/cmdline',
        want: /^0\n$/,
      },
      { ...{ name: 'ContainerPID', script: 'grep -c trap /proc/1/cmdline' }, want: /^1\n$/ },
      {
        ...{ name: 'HostNetwork is true', namespaces: { ...ownPid, network: 'NODE' }, script: space('net') },
        want: own('net'),
      },
      {
        name: 'HostNetwork is false',
        script: `[ "$(${space('net')})" != "${own('net')}" ] && echo other`,
        want: /^other\n$/,
      },
    ];
    it.each(rows)('$name', check);
  });

  describe('user namespaces', () => {
    const range = [{ container_id: 0, host_id: 1000, length: 100_000 }];
    const isPossible =
      isRoot && userNamespaceProblem(readUserNamespaceFacts(release()), defaultIdSpace) === undefined;
    const user = (options: NonNullable<Namespaces['userns_options']>): Namespaces => ({
      ...ownPid,
      userns_options: options,
    });
    const refused = 'INVALID_ARGUMENT';
    const twice = [...range, { container_id: 0, host_id: 2000, length: 100_000 }];
    const notRoot = [{ container_id: 1, host_id: 1000, length: 100_000 }];
    const map = "sed 's/  */ /g' /proc/self/uid_map";
    const rows: readonly Row[] = [
      ...(isPossible
        ? [
            {
              name: 'NamespaceMode_POD',
              namespaces: user({ mode: 'POD', uids: range, gids: range }),
              ...{ script: map, want: ' 0 1000 100000\n' },
            },
          ]
        : []),
      {
        ...{ name: 'NamespaceMode_NODE', namespaces: user({ mode: 'NODE' }), script: map },
        want: ' 0 0 4294967295',
      },
      {
        ...{ name: 'more than one mapping', refused },
        namespaces: user({ mode: 'POD', uids: twice, gids: twice }),
      },
      {
        ...{ name: 'ID 0 is not mapped', refused },
        namespaces: user({ mode: 'POD', uids: notRoot, gids: notRoot }),
      },
      { ...{ name: 'NamespaceMode_CONTAINER', refused }, namespaces: user({ mode: 'CONTAINER' }) },
      { ...{ name: 'NamespaceMode_TARGET', refused }, namespaces: user({ mode: 'TARGET' }) },
    ];
    it.each(rows)('$name', check);
  });

  describe('security context', () => {
    const cap = (name: string): string => `grep ${name} /proc/self/status`;
    const linkUp = 'ip link set lo down && echo managed';
    const rows: readonly Row[] = [
      {
        ...{ name: 'SupplementalGroups', security: { supplemental_groups: [1234, 5678] } },
        script: 'id -G',
        want: /\b1234 5678\b/,
      },
      {
        ...{ name: 'RunAsUser', security: { run_as_user: { value: 1001 } }, script: 'id -u' },
        want: /^1001\n$/,
      },
      {
        ...{ name: 'RunAsUserName', security: { run_as_username: 'nobody' }, script: 'id -nu' },
        ...{ container: { image: { image: accounts } }, want: /^nobody\n$/ },
      },
      {
        ...{ name: 'RunAsGroup', security: { run_as_user: { value: 1001 }, run_as_group: { value: 1002 } } },
        ...{ script: 'echo $(id -u):$(id -g)', want: /^1001:1002\n$/ },
      },
      {
        ...{ name: 'RunAsGroup without RunAsUser', security: { run_as_group: { value: 1002 } } },
        refused: 'INVALID_ARGUMENT',
      },
      { name: 'ReadonlyRootfs is false', script: 'touch x && [ -f x ] && echo found', want: /^found\n$/ },
      {
        ...{ name: 'ReadonlyRootfs is true', security: { readonly_rootfs: true }, script: 'touch x' },
        want: 'touch: x: Read-only file system\n',
      },
      { ...{ name: 'Privileged is true', isPrivileged: true, script: linkUp }, want: /^managed\n$/ },
      { ...{ name: 'Privileged is false', script: linkUp }, want: 'Operation not permitted' },
      {
        ...{ name: 'adding a capability', security: { capabilities: { add_capabilities: ['NET_ADMIN'] } } },
        script: linkUp,
        want: /^managed\n$/,
      },
      {
        ...{
          name: 'adding ALL',
          security: { capabilities: { add_capabilities: ['ALL'] } },
          script: cap('CapBnd'),
        },
        want: readFileSync('/proc/self/status', 'utf8').match(/CapBnd:\t\w+/)?.[0] ?? '',
      },
      {
        ...{
          name: 'dropping ALL',
          security: { capabilities: { drop_capabilities: ['ALL'] } },
          script: cap('CapBnd'),
        },
        want: /CapBnd:\s0000000000000000\n/,
      },
      {
        ...{ name: 'MaskedPaths', security: { masked_paths: ['/bin/serve'] }, script: '/bin/serve' },
        want: 'Permission denied\n',
      },
      {
        ...{ name: 'ReadonlyPaths', security: { readonly_paths: ['/tmp'] }, script: 'touch /tmp/test' },
        want: 'touch: /tmp/test: Read-only file system\n',
      },
      {
        ...{ name: 'NoNewPrivs is true', security: { no_new_privs: true }, script: cap('NoNewPrivs') },
        want: /\t1\n/,
      },
      { ...{ name: 'NoNewPrivs is false', script: cap('NoNewPrivs') }, want: /\t0\n/ },
    ];
    it.each(rows)('$name', check);

    it.each([
      ['Merge', [1000, 1234, 50_000]],
      ['Strict', [1000, 1234]],
    ] as const)('SupplementalGroupsPolicy %s', async (policy, groups) => {
      const security = {
        ...{ run_as_user: { value: 1000 }, supplemental_groups: [1234] },
        supplemental_groups_policy: policy,
      };
      const { id, sandbox } = await begin({ container: { image: { image: accounts } }, security });
      const { status } = await node.client.call(node.runtime.ContainerStatus, { container_id: id });
      const { supplemental_groups: told = [], ...ids } = status?.user?.linux ?? {};
      expect(ids).toEqual({ uid: 1000, gid: 1000 });
      expect(told.toSorted((a, b) => a - b)).toEqual(groups);
      expect(await output(id, 'id -G')).toBe(`${groups.join(' ')}\n`);
      await end(sandbox);
    });
  });

  describe('seccomp', () => {
    const profile = (rule: string): string => {
      const path = place(`${rule}.json`);
      const names = rule === 'chmod' ? ['chmod', 'fchmod', 'fchmodat', 'fchmodat2'] : [rule];
      const syscalls = [{ names, action: 'SCMP_ACT_ERRNO' }];
      writeFileSync(path, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
      return path;
    };
    const at = (rule: string): Outgoing<SecurityProfile> => ({
      profile_type: 'Localhost',
      localhost_ref: profile(rule),
    });
    const mode = 'grep Seccomp: /proc/self/status';
    const rename = 'hostname other && hostname';
    const admin = { add_capabilities: ['SYS_ADMIN'] };
    const rows: readonly (Omit<Row, 'security'> & { readonly make: () => NonNullable<Row['security']> })[] = [
      {
        ...{ name: 'unconfined', make: () => ({ seccomp: { profile_type: 'Unconfined' } }) },
        script: mode,
        want: /\t0\n/,
      },
      {
        ...{ name: 'of a file', make: () => ({ seccomp: at('chmod') }) },
        script: 'chmod 400 /tmp',
        want: 'Operation not permitted',
      },
      { ...{ name: 'default', make: () => ({ seccomp: {} }) }, script: mode, want: /\t2\n/ },
      { ...{ name: 'none', make: () => ({}) }, script: mode, want: /\t0\n/ },
      {
        ...{ name: 'unconfined with SYS_ADMIN', script: rename, want: /^other\n$/ },
        make: () => ({ seccomp: { profile_type: 'Unconfined' }, capabilities: admin }),
      },
      {
        ...{ name: 'of a file with SYS_ADMIN', script: rename, want: 'Operation not permitted' },
        make: () => ({ seccomp: at('sethostname'), capabilities: admin }),
      },
      {
        ...{ name: 'of a file, and privileged', isPrivileged: true, script: rename, want: /^other\n$/ },
        make: () => ({ seccomp: at('sethostname') }),
      },
      {
        ...{ name: 'default with SYS_ADMIN', script: rename, want: /^other\n$/ },
        make: () => ({ seccomp: {}, capabilities: admin }),
      },
      {
        ...{ name: 'default, without', script: rename, want: 'Operation not permitted' },
        make: () => ({ seccomp: {} }),
      },
      {
        ...{ name: 'docker/default', make: () => ({ seccomp_profile_path: 'docker/default' }) },
        script: mode,
        want: /\t2\n/,
      },
      {
        ...{ name: 'localhost/', script: mode, want: /\t2\n/ },
        make: () => ({ seccomp_profile_path: `localhost/${profile('chmod')}` }),
      },
      {
        ...{ name: 'a file without localhost/', refused: 'INVALID_ARGUMENT' },
        make: () => ({ seccomp_profile_path: profile('chmod') }),
      },
      {
        ...{ name: 'of no file', refused: 'INVALID_ARGUMENT' },
        make: () => ({ seccomp: { profile_type: 'Localhost' } }),
      },
    ];
    it.each(rows)('$name', ({ make, ...row }) => check({ ...row, security: make() }));
  });

  describe('mounts', () => {
    const of = (mount: Outgoing<Mount>): Outgoing<ContainerConfig> => ({
      mounts: [{ container_path: '/mnt', ...mount }],
    });
    it.each([
      ['a directory', 'plain'],
      ['a symbolic link', 'linked'],
    ])('of the host: %s', async (_what, name) => {
      mkdirSync(place('plain'), { recursive: true });
      writeFileSync(place('plain/file'), 'x');
      if (name === 'linked') symlinkSync(place('plain'), place('linked'));
      await check({ container: of({ host_path: place(name) }), script: 'ls /mnt', want: /^file\n$/ });
    });

    it.each([
      { propagation: 'PROPAGATION_PRIVATE', inside: false, outside: false },
      { propagation: 'PROPAGATION_HOST_TO_CONTAINER', inside: true, outside: false },
      { propagation: 'PROPAGATION_BIDIRECTIONAL', inside: true, outside: true },
    ] as const)('$propagation', async ({ propagation, inside, outside }) => {
      const root = place(propagation);
      for (const name of ['mnt/in', 'mnt/out', 'source']) mkdirSync(`${root}/${name}`, { recursive: true });
      writeFileSync(`${root}/source/flag`, 'x');
      mounts.mount(`${root}/mnt`, { kind: 'bind', source: `${root}/mnt` }, []);
      mounts.setPropagation(`${root}/mnt`, 'shared');
      try {
        const container = of({ host_path: `${root}/mnt`, propagation });
        const { id, sandbox } = await begin({ container, isPrivileged: true });
        mounts.mount(`${root}/mnt/in`, { kind: 'bind', source: `${root}/source` }, []);
        expect(await output(id, 'ls /mnt/in')).toBe(inside ? 'flag\n' : '');
        expect(await output(id, 'mount --bind /bin /mnt/out && echo done')).toBe('done\n');
        const table = readFileSync('/proc/self/mountinfo', 'utf8');
        expect(table.includes(` ${root}/mnt/out `)).toBe(outside);
        const { status } = await node.client.call(node.runtime.ContainerStatus, { container_id: id });
        expect(status?.mounts).toMatchObject([{ host_path: `${root}/mnt`, propagation, readonly: false }]);
        await end(sandbox);
      } finally {
        for (const name of ['mnt/out', 'mnt/in', 'mnt']) mounts.unmount(`${root}/${name}`);
      }
    });

    describe('read-only', () => {
      beforeAll(() => {
        mkdirSync(place('rro/tmpfs'), { recursive: true });
        mounts.mount(place('rro/tmpfs'), { kind: 'tmpfs', sizeBytes: 65_536, mode: 0o755 }, []);
      });
      afterAll(() => mounts.unmount(place('rro/tmpfs')));
      const rro = (mount: Outgoing<Mount>): Outgoing<ContainerConfig> =>
        of({ host_path: place('rro'), ...mount });
      const touch = 'touch /mnt/tmpfs/file && echo done';
      const recursive = { recursive_read_only: true } as const;
      const rows: readonly (Omit<Row, 'container'> & { readonly mount: Outgoing<Mount> })[] = [
        { ...{ name: 'not below', mount: { readonly: true }, script: touch }, want: /^done\n$/ },
        {
          ...{ name: 'below, too', mount: { readonly: true, ...recursive }, script: touch },
          want: 'Read-only file system',
        },
        ...(['PROPAGATION_HOST_TO_CONTAINER', 'PROPAGATION_BIDIRECTIONAL'] as const).map((propagation) => ({
          ...{ name: `below, and ${propagation}`, refused: 'INVALID_ARGUMENT' },
          mount: { readonly: true, ...recursive, propagation },
        })),
        { ...{ name: 'below, and not itself', mount: recursive }, refused: 'INVALID_ARGUMENT' },
      ];
      it.each(rows)('$name', ({ mount, ...row }) => check({ ...row, container: rro(mount) }));
    });
  });

  describe('image volumes', () => {
    const of = (mount: Outgoing<Mount>): Outgoing<ContainerConfig> => ({
      mounts: [
        { container_path: '/mnt', image: { image: accounts, user_specified_image: accounts }, ...mount },
      ],
    });
    const rows: readonly Row[] = [
      {
        ...{ name: 'its files', container: of({ readonly: true }) },
        script: 'ls -A /mnt/bin/sh',
        want: /^\/mnt\/bin\/sh\n$/,
      },
      {
        ...{ name: 'not written to', container: of({ readonly: true }) },
        script: 'touch /mnt/x',
        want: 'Read-only file system',
      },
      {
        ...{ name: 'its programs', container: of({ readonly: true }) },
        script: '/mnt/bin/busybox echo run',
        want: /^run\n$/,
      },
      { ...{ name: 'not read-only', container: of({}) }, refused: 'INVALID_ARGUMENT' },
      {
        ...{ name: 'a part', container: of({ readonly: true, image_sub_path: 'etc' }) },
        script: 'ls /mnt',
        want: /^group\npasswd\n$/,
      },
      {
        ...{
          name: 'a part that is not there',
          container: of({ readonly: true, image_sub_path: 'not-existing' }),
        },
        refused: 'NOT_FOUND',
      },
    ];
    it.each(rows)('$name', check);

    it('says which image it is', async () => {
      const { id, sandbox } = await begin({ container: of({ readonly: true }) });
      const { image } = await node.client.call(node.images.ImageStatus, { image: { image: accounts } });
      const { status } = await node.client.call(node.runtime.ContainerStatus, { container_id: id });
      expect(status?.mounts[0]?.image).toMatchObject({ image: accounts, image_ref: image?.id });
      await end(sandbox);
    });
  });

  describe('sandboxes', () => {
    const rows: readonly Row[] = [
      {
        ...{ name: 'safe sysctls', sandbox: { linux: { sysctls: { 'kernel.shm_rmid_forced': '1' } } } },
        ...{ script: 'cat /proc/sys/kernel/shm_rmid_forced', want: /^1\n$/ },
      },
      {
        ...{ name: 'unsafe sysctls', sandbox: { linux: { sysctls: { 'fs.mqueue.msg_max': '100' } } } },
        ...{ script: 'cat /proc/sys/fs/mqueue/msg_max', want: /^100\n$/ },
      },
      {
        name: 'DNS',
        sandbox: { dns_config: { servers: ['10.10.10.10'], searches: ['google.com'], options: ['ndots:8'] } },
        script: 'cat /etc/resolv.conf',
        want: /search google.com\n[^]*nameserver 10.10.10.10\n[^]*options ndots:8\n/,
      },
      { name: 'a port of the container alone', sandbox: { port_mappings: [{ container_port: 80 }] } },
    ];
    it.each(rows)('$name', check);
  });
});
