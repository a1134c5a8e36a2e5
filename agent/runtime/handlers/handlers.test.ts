import { describe, expect, it } from 'vitest';
import type { ContainerLaunch } from '#native/launch/launch.ts';
import { deviceRulesOf } from '#native/bpf/device-rules.ts';
import { compileMade } from '#native/launch/made/compile-made.ts';
import { renderProgram } from '#native/launch/program.ts';
import { mountPointOf } from './handler-host.linux.ts';
import { ownHandler } from './handler.ts';
import { createHandlers } from './handlers.ts';
import { parseWords } from './oci-handler.ts';
import { parseFeatures } from './open-handlers.ts';
import { parseHandler } from './parse-handler.ts';
import { renderBundleConfig, type BundleFacts } from './render-bundle.ts';
import { placeUsers } from './users-place.ts';

const launch: Omit<ContainerLaunch, 'cgroup'> = {
  root: {
    kind: 'overlay',
    lower: ['/l'],
    upper: '/c/upper',
    work: '/c/work',
    merged: '/run/s0',
    make: undefined,
  },
  mounts: [
    { type: 'proc', source: 'proc', target: '/proc', options: ['nosuid'] },
    { type: 'tmpfs', source: 'tmpfs', target: '/dev', options: ['nosuid'], data: 'mode=755,size=65536k' },
    { type: 'cgroup2', source: 'cgroup', target: '/sys/fs/cgroup', options: ['ro'] },
    { type: 'bind', source: '/v', target: '/v', options: ['rbind', 'rprivate', 'rro'] },
  ],
  devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, mode: 0o20666 }],
  args: ['sh', '-c', 'true'],
  env: ['A=1'],
  cwd: '/work',
  user: { uid: 1, gid: 2, additionalGids: [3] },
  security: {
    ...{ capabilities: ['CAP_KILL', 'CAP_MKNOD', 'CAP_SYS_BOOT'], noNewPrivileges: true, privileged: false },
    ...{
      seccomp: 'unconfined',
      readonlyRoot: true,
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
    },
    nodev: true,
  },
  rlimits: [{ name: 'RLIMIT_NOFILE', soft: 1, hard: 2 }],
  sysctls: {},
  oomScoreAdj: 5,
  pidNamespace: 'private',
};
const facts: BundleFacts = {
  ...{ root: '/run/s0', pidNamespacePath: undefined, cgroupsPath: '/pods/c', architecture: 'x86_64' },
  devices: deviceRulesOf({ isPrivileged: false, devices: launch.devices }).slice(-1),
  resources: { memoryMaxBytes: 1000, cpuQuotaUs: 5, cpuPeriodUs: 10, pidsMax: 7 },
  missing: ['pids'],
  permitted: ['CAP_KILL', 'CAP_MKNOD'],
  isTerminal: false,
  userNamespacePath: undefined,
};

const ids = { first: 131_072, count: 65_536 };

describe('renderBundleConfig()', () => {
  it('says all of a launch', async () => {
    const config = renderBundleConfig(launch, facts);
    await expect(`${JSON.stringify(config, undefined, 1)}\n`).toMatchFileSnapshot('golden/bundle.json');
  });

  it.each<[string, Partial<typeof launch>, Partial<BundleFacts>, object]>([
    [
      'the host’s processes',
      { pidNamespace: 'host' },
      {},
      { linux: { namespaces: [{ type: 'mount' }, { type: 'cgroup' }] } },
    ],
    [
      'the pod’s processes',
      { pidNamespace: 'pod' },
      { pidNamespacePath: '/proc/7/ns/pid' },
      {
        linux: {
          namespaces: [{ type: 'mount' }, { type: 'cgroup' }, { type: 'pid', path: '/proc/7/ns/pid' }],
        },
      },
    ],
    [
      'a volume that is shared',
      { mounts: [{ type: 'bind', source: '/v', target: '/v', options: ['rbind', 'rshared'] }] },
      {},
      { linux: { rootfsPropagation: 'rshared' } },
    ],
  ])('%s', (_name, change, more, want) =>
    expect(renderBundleConfig({ ...launch, ...change }, { ...facts, ...more })).toMatchObject(want),
  );

  it('leaves cgroups out where they are not the runtime’s', () => {
    const { linux } = renderBundleConfig(launch, { ...facts, cgroupsPath: undefined });
    expect(linux).not.toHaveProperty('resources');
    expect(linux).not.toHaveProperty('cgroupsPath');
  });

  it('has the pod’s user namespace, and what was placed for its root', async () => {
    const placed = placeUsers(launch, ids);
    const config = renderBundleConfig(
      { ...launch, ids, mounts: placed.mounts },
      { ...facts, root: placed.root, userNamespacePath: '/proc/7/fd/9' },
    );
    await expect(`${JSON.stringify(config, undefined, 1)}\n`).toMatchFileSnapshot('golden/users-bundle.json');
  });

  it('refuses filters that are no profile', () => {
    const seccomp = { name: 'localhost/x', program: '', flags: 0 };
    const security = { ...launch.security, seccomp };
    expect(() => renderBundleConfig({ ...launch, security }, facts)).toThrow('seccomp profile localhost/x');
  });
});

describe('compileMade()', () => {
  it('has a root, a terminal and two runs of the program', async () => {
    const program = compileMade(
      {
        ...{ program: '/usr/bin/crun', directory: '/run/oci/c', env: ['PATH=/bin'], pidFile: 'pid' },
        ...{ make: ['crun', 'create', 'c'], start: ['crun', 'start', 'c'], consoleSocket: 'tty' },
        ...{ root: launch.root, isNodev: true, privateMounts: ['/run'], cgroup: '/c', oomScoreAdj: 5 },
        cgroupMount: '/sys/fs/cgroup/unified',
      },
      { tty: true },
    );
    await expect(renderProgram(program)).toMatchFileSnapshot('golden/made.txt');
  });

  it('puts together what the root of a user namespace is to find', async () => {
    const { place } = placeUsers(launch, ids);
    const program = compileMade(
      {
        ...{ program: '/usr/bin/crun', directory: '/run/oci/c', env: [], pidFile: 'pid' },
        ...{ make: ['crun', 'create', 'c'], start: ['crun', 'start', 'c'], consoleSocket: undefined },
        ...{ root: launch.root, isNodev: true, privateMounts: ['/run'], cgroup: '/c' },
        ...{ cgroupMount: undefined, oomScoreAdj: undefined, place },
      },
      { tty: false },
    );
    await expect(renderProgram(program)).toMatchFileSnapshot('golden/users-made.txt');
  });
});

describe('parseHandler()', () => {
  const find = (name: string): string | undefined => (name === 'crun' ? '/usr/bin/crun' : undefined);

  it.each([
    ['crun', { name: 'crun', program: '/usr/bin/crun' }],
    ['my-runtime=/opt/a=b', { name: 'my-runtime', program: '/opt/a=b' }],
  ])('%s', (text, want) => expect(parseHandler(text, find)).toEqual(want));

  it.each([
    ['runc', 'no such program is installed'],
    ['kata', 'write NAME=/path/to/program'],
    ['x=', 'write NAME=/path/to/program'],
    ['x=crun', 'the absolute path'],
    ['X=/crun', 'lower case'],
    ['podwright=/crun', 'the runtime itself'],
  ])('refuses %s', (text, why) => expect(() => parseHandler(text, find)).toThrow(why));
});

describe('what programs say', () => {
  it.each([
    ['{"level":"warning","msg":"a"}\n{"level":"error","msg":"b"}\n', 'b'],
    ['{"msg":"no level"}\nplain\n', 'plain'],
    ['', undefined],
  ])('parseWords(%j)', (text, want) => expect(parseWords(text)).toBe(want));

  it.each([
    ['{"mountOptions":["ro","rro"],"linux":{"namespaces":["pid"]}}', true, false],
    ['{"mountOptions":["ro"],"linux":{"namespaces":["pid","user"]}}', false, true],
    ['{"linux":{}}', false, false],
    ['not JSON', false, false],
  ])('parseFeatures(%j)', (text, recursiveReadOnlyMounts, userNamespaces) =>
    expect(parseFeatures(text)).toEqual({ recursiveReadOnlyMounts, userNamespaces }),
  );

  it('mountPointOf() is the nearest around a path', () => {
    const mounts = ['/', '/run', '/run/a', '/run/ab'].map((target) => ({ target }));
    expect(mountPointOf(mounts, '/run/abc')).toBe('/run');
    expect(mountPointOf(mounts, '/run/a/s0')).toBe('/run/a');
    expect(mountPointOf(mounts, '/var')).toBe('/');
  });
});

describe('createHandlers()', () => {
  const sandbox = { uid: 'u' } as Parameters<ReturnType<typeof createHandlers>['of']>[0];

  it('knows its own by two names and none by others', () => {
    const handlers = createHandlers();
    expect(handlers.of({ ...sandbox, runtimeHandler: 'podwright' })).toBe(handlers.of(sandbox));
    expect(() => handlers.of({ ...sandbox, runtimeHandler: 'x' })).toThrow(
      'RuntimeHandler "x" not supported',
    );
    expect(handlers.thatIs({ ...sandbox, runtimeHandler: 'x' })).toBe(handlers.of(sandbox));
  });

  it('refuses of user namespaces what a handler has not', () => {
    const features = { recursiveReadOnlyMounts: false, userNamespaces: true };
    const able = ownHandler(features);
    const unable = ownHandler({ ...features, userNamespaces: false });
    const handlers = createHandlers(new Map(Object.entries({ able, unable })));
    const ask = (runtimeHandler: string, change: Partial<typeof sandbox> = {}) =>
      handlers.of({ ...sandbox, runtimeHandler, hasOwnUsers: true, ...change });
    expect(ask('able')).toBe(able);
    expect(() => ask('unable')).toThrow('handler "unable" does not support user namespaces');
    expect(() => ask('able', { sharePidNamespace: true })).toThrow('with shareProcessNamespace');
    expect(ask('', { sharePidNamespace: true })).toBe(handlers.of(sandbox));
  });
});
