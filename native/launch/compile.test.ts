import { describe, expect, it } from 'vitest';
import { compileContainer, defaultMounts } from './compile-container.ts';
import { compileExec } from './compile-exec.ts';
import { overlayData, parseMountOptions } from './compile-mount.ts';
import { encodeProgram, renderProgram } from './program.ts';
import type { ContainerLaunch, LaunchMount, LaunchStdio } from './launch.ts';

const stdio: Pick<LaunchStdio, 'stdin' | 'tty'> = { stdin: false, tty: false };

const minimal: ContainerLaunch = {
  root: { kind: 'directory', path: '/images/busybox' },
  mounts: [],
  devices: [],
  args: ['/bin/true'],
  env: [],
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [] },
  security: {
    capabilities: [],
    noNewPrivileges: false,
    privileged: true,
    seccomp: 'unconfined',
    readonlyRoot: false,
    maskedPaths: [],
    readonlyPaths: [],
  },
  rlimits: [],
  sysctls: {},
  oomScoreAdj: undefined,
  pidNamespace: 'private',
  cgroup: undefined,
};

const typical: ContainerLaunch = {
  ...minimal,
  root: {
    kind: 'overlay',
    lower: ['/l/2', '/l/1'],
    upper: '/c/upper',
    work: '/c/work',
    merged: '/m',
    make: { directory: '/c', mode: 0o2755, uid: 0, gid: 7 },
  },
  mounts: [
    ...defaultMounts,
    {
      type: 'tmpfs',
      source: 'shm',
      target: '/dev/shm',
      options: ['nosuid', 'nodev', 'noexec'],
      data: 'mode=1777,size=65536k',
    },
    {
      type: 'bind',
      source: '/pods/1/hosts',
      target: '/etc/hosts',
      isFile: true,
      options: ['rbind', 'rprivate', 'ro'],
    },
    { type: 'bind', source: '/shared', target: '/shared', options: ['rbind', 'rshared'] },
  ],
  devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, mode: 0o666 }],
  args: ['server', '--port', '80'],
  env: ['PATH=/usr/bin:/bin', 'TOKEN=secret'],
  cwd: '/srv',
  user: { uid: 101, gid: 102, additionalGids: [103] },
  security: {
    capabilities: ['CAP_NET_BIND_SERVICE'],
    noNewPrivileges: true,
    privileged: false,
    seccomp: 'runtime-default',
    appArmor: 'web',
    readonlyRoot: true,
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
  },
  rlimits: [{ name: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 }],
  sysctls: { 'net.core.somaxconn': '512' },
  oomScoreAdj: -997,
};

describe('compileContainer()', () => {
  it('compiles a privileged container to little more than a root', async () => {
    await expect(renderProgram(compileContainer(minimal, stdio, 'x86_64'))).toMatchFileSnapshot(
      'golden/minimal.txt',
    );
  });

  it('compiles a typical container', async () => {
    await expect(renderProgram(compileContainer(typical, stdio, 'x86_64'))).toMatchFileSnapshot(
      'golden/typical.txt',
    );
  });

  it('leaves devices to its own /dev where no filter of devices is', () => {
    const security = { ...typical.security, capabilities: ['CAP_MKNOD', 'CAP_CHOWN'], nodev: true };
    const program = renderProgram(compileContainer({ ...typical, security }, stdio, 'x86_64'));
    expect(program.match(/mount_setattr.*MOUNT_ATTR_NODEV/g)).toEqual(
      [
        'mount_setattr(r8, "", AT_EMPTY_PATH|AT_RECURSIVE, MOUNT_ATTR_NODEV',
        'mount_setattr(r0, "", AT_EMPTY_PATH, MOUNT_ATTR_NODEV',
        'mount_setattr(r2, "", AT_EMPTY_PATH|AT_RECURSIVE, MOUNT_ATTR_NODEV',
      ].toSorted((a, b) => program.indexOf(a) - program.indexOf(b)),
    );
    expect(program).toContain('keepCaps(0x1, 0x0)');
    const privileged = { ...security, privileged: true };
    const all = renderProgram(compileContainer({ ...typical, security: privileged }, stdio, 'x86_64'));
    expect(all).not.toMatch(/mount_setattr.*MOUNT_ATTR_NODEV/);
  });

  it('makes an empty directory for an overlay without layers', () => {
    const root = { ...typical.root, lower: [] };
    const program = renderProgram(compileContainer({ ...typical, root }, stdio, 'x86_64'));
    expect(program).toContain('mkdirat(-100, "/c/empty", 0755)');
    expect(program).toContain('"lowerdir=/c/empty,upperdir=/c/upper,workdir=/c/work,volatile"');
  });

  it('prints no value of the environment', () => {
    expect(renderProgram(compileContainer(typical, stdio, 'x86_64'))).not.toContain('secret');
  });

  it.each([
    {
      name: 'an unknown option',
      change: { mounts: [mount({ options: ['fast'] })] },
      want: 'option fast is unknown',
    },
    {
      name: 'a relative target',
      change: { mounts: [mount({ target: 'x' })] },
      want: 'the target is not absolute',
    },
    {
      name: 'an unknown limit',
      change: { rlimits: [{ name: 'RLIMIT_X', soft: 1, hard: 1 }] },
      want: 'RLIMIT_X: unknown',
    },
    { name: 'no args', change: { args: [] }, want: 'args are empty' },
    { name: 'a NUL', change: { args: ['a\0b'] }, want: 'it holds a NUL' },
    { name: 'a sysctl that climbs', change: { sysctls: { '../x': '1' } }, want: 'not a name' },
    {
      name: 'a long value',
      change: { mounts: [mount({ type: 'tmpfs', data: `x=${'y'.repeat(256)}` })] },
      want: 'longer than',
    },
  ])('refuses $name', ({ change, want }) => {
    expect(() => compileContainer({ ...typical, ...change }, stdio, 'x86_64')).toThrow(want);
  });

  it('refuses an unknown capability', () => {
    const security = { ...typical.security, capabilities: ['CAP_FLY'] };
    expect(() => compileContainer({ ...typical, security }, stdio, 'x86_64')).toThrow(
      'CAP_FLY is not a capability',
    );
  });
});

describe('compileExec()', () => {
  it('compiles an exec with a terminal', async () => {
    const { args, env, user, security } = typical;
    const exec = { targetPid: 7, args, env, cwd: '/', user, security, cgroup: undefined };
    const program = compileExec(exec, { stdin: true, tty: true }, 'x86_64');
    await expect(renderProgram(program)).toMatchFileSnapshot('golden/exec.txt');
  });
});

describe('encodeProgram()', () => {
  it('lays out header, ops, relocations and data without a gap, on both processors', () => {
    for (const architecture of ['x86_64', 'aarch64'] as const) {
      const program = compileContainer(typical, stdio, architecture);
      const encoded = encodeProgram(program, architecture);
      const [ops, relocations, data] = [
        encoded.readUInt16LE(6),
        encoded.readUInt32LE(8),
        encoded.readUInt32LE(12),
      ];
      expect(ops).toBe(program.ops.length);
      expect(encoded.length).toBe(16 + ops * 64 + Math.ceil(relocations / 2) * 8 + data);
      // argv and envp with one pointer an entry, and the filter's.
      expect(relocations).toBe(3 + 2 + 1);
    }
  });

  it('writes negative numbers in 64 bits', () => {
    const encoded = encodeProgram(compileContainer(minimal, stdio, 'x86_64'), 'x86_64');
    const first = encoded.subarray(16 + 64); // mount_setattr(AT_FDCWD, …), after umask
    expect(first.readBigInt64LE(16)).toBe(-100n);
  });
});

describe('parseMountOptions()', () => {
  it.each([
    { options: ['rbind', 'ro'], want: { isRecursiveBind: true, attributes: ['MOUNT_ATTR_RDONLY'] } },
    {
      options: ['bind', 'rro'],
      want: { isRecursiveBind: false, recursiveAttributes: ['MOUNT_ATTR_RDONLY'] },
    },
    { options: ['rslave'], want: { propagation: 'MS_SLAVE', isRecursivePropagation: true } },
    { options: ['slave'], want: { propagation: 'MS_SLAVE', isRecursivePropagation: false } },
    {
      options: ['rw', 'relatime', 'exec'],
      want: { attributes: [], recursiveAttributes: [], propagation: undefined },
    },
  ])('reads $options', ({ options, want }) => {
    expect(parseMountOptions(mount({ options }))).toMatchObject(want);
  });
});

describe('overlayData()', () => {
  it('escapes what means something to the kernel', () => {
    const { data } = overlayData({ lower: ['/a:b', '/c,d'], upper: '/u', work: '/w' });
    expect(data).toBe('lowerdir=/a\\:b:/c\\,d,upperdir=/u,workdir=/w,volatile');
  });

  it('gives layers short names where theirs would not fit a page', () => {
    const lower = Array.from({ length: 500 }, (_, index) => `/layers/${String(index).padStart(64, '0')}`);
    const { links, data } = overlayData({ lower, upper: '/u', work: '/w' });
    expect(links[499]).toEqual({ name: 'dv', target: lower[499] });
    expect(data).toMatch(/^lowerdir=0:1:.*:du:dv,upperdir=/);
    const program = renderProgram(
      compileContainer({ ...typical, root: { ...typical.root, ...{ lower } } }, stdio, 'x86_64'),
    );
    expect(program).toMatch(
      /mkdirat\(-100, "\/c\/layers", 0700\).*\n.*chdir\("\/c\/layers"\).*\n.*symlinkat\("\/layers\/0+", -100, "0"\)/,
    );
    const many = [...lower, '/layers/one-more'];
    expect(() => overlayData({ lower: many, upper: '/u', work: '/w' })).toThrow('501 layers do not fit');
  });
});

function mount(change: Partial<LaunchMount>): LaunchMount {
  return { type: 'bind', source: '/s', target: '/t', options: [], ...change };
}
