import { describe, expect, test } from 'vitest';
import type { OciConfig } from '#api/oci/runtime/config.ts';
import { capabilityNames } from '#native/launch/capabilities.ts';
import { bundleCloneFlags, compileBundle, compilePrologue } from '#native/launch/runner/compile-bundle.ts';
import { renderProgram } from '#native/launch/program.ts';
import { renderBundle, type BundleFacts } from './render-launch.ts';
import { isDefault, renderDeviceRules, renderResources } from './render-resources.ts';

const facts: BundleFacts = {
  bundle: '/bundle',
  isFile: (path) => path.endsWith('.conf'),
  isEmpty: (target) => target !== '/full',
  isOwnNamespace: (path) => path === '/proc/1/ns/mnt',
  permitted: capabilityNames.filter((name) => name !== 'CAP_SYS_RESOURCE'),
  hasAppArmor: false,
  kernelRelease: '6.1.0',
  ownStreams: [1, 2],
  isNodev: false,
  hasOwnKeyring: true,
  warn: () => undefined,
};

const healthy = {
  ociVersion: '1.2.0',
  root: { path: 'rootfs', readonly: true },
  process: {
    args: ['/bin/sh'],
    cwd: '/work',
    user: { uid: 1000, gid: 1000 },
    capabilities: { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'] },
    noNewPrivileges: true,
  },
  hostname: 'box',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/etc/x.conf', source: 'x.conf', options: ['rbind', 'ro'] },
  ],
  linux: {
    namespaces: [
      { type: 'mount' },
      { type: 'pid' },
      { type: 'uts' },
      { type: 'network', path: '/run/netns/a' },
    ],
    maskedPaths: ['/proc/kcore'],
    rootfsPropagation: 'rprivate',
  },
} satisfies OciConfig;

const linux = (change: object): OciConfig => ({ ...healthy, linux: { ...healthy.linux, ...change } });
const processOf = (change: object): OciConfig => ({ ...healthy, process: { ...healthy.process, ...change } });
const mount = (change: object): OciConfig => ({ ...healthy, mounts: [{ destination: '/m', ...change }] });

describe('renderBundle()', () => {
  test('is what the launch takes', async () => {
    const launch = renderBundle(healthy, facts);
    const text = `${renderProgram(compilePrologue(launch))}--\n${renderProgram(compileBundle(launch, 'x86_64'))}`;
    await expect(text).toMatchFileSnapshot('golden/typical.txt');
    expect(bundleCloneFlags(launch)).toEqual({ clone: 0x2402_0000, user: 0 });
  });

  test('gives a user namespace what it owns', () => {
    const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const namespaces = [...['mount', 'user', 'network', 'ipc', 'pid', 'uts'].map((type) => ({ type }))];
    const launch = renderBundle(linux({ namespaces, uidMappings: mapping, gidMappings: mapping }), facts);
    expect(bundleCloneFlags(launch)).toEqual({ clone: 0x2002_0000, user: 0x4c00_0000 });
    expect(launch.users?.ids).toEqual({ first: 100_000, count: 65_536 });
  });

  test.each([
    ['no mount namespace', linux({ namespaces: [] }), 'linux.namespaces: mount is needed'],
    [
      'a namespace twice',
      linux({ namespaces: [{ type: 'mount' }, { type: 'mount' }] }),
      'mount is there twice',
    ],
    ["the host's root", linux({ namespaces: [{ type: 'mount', path: '/proc/1/ns/mnt' }] }), "is the host's"],
    [
      'ids of nobody',
      linux({ uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] }),
      'they need a namespace user',
    ],
    [
      'a sysctl of the host',
      linux({ sysctl: { 'vm.swappiness': '1' } }),
      'linux.sysctl.vm.swappiness: it is of no namespace',
    ],
    [
      'offsets without clocks',
      linux({ timeOffsets: { monotonic: { secs: 1 } } }),
      'linux.timeOffsets: they need',
    ],
    ['AppArmor where there is none', processOf({ apparmorProfile: 'x' }), 'AppArmor is not enabled'],
    ['a relative directory', processOf({ cwd: 'x' }), 'process.cwd: x is not an absolute path'],
    ['a policy of nobody', processOf({ scheduler: { policy: 'SCHED_LATER' } }), 'SCHED_LATER is unknown'],
    [
      'a listener',
      linux({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/s' } }),
      'linux.seccomp.listenerPath',
    ],
    [
      'files to be copied',
      { ...mount({ type: 'tmpfs', destination: '/full', options: ['tmpcopyup'] }) },
      'are not copied',
    ],
    [
      'an unknown option of a bind',
      mount({ type: 'bind', source: '/a', options: ['moon'] }),
      'moon is no option',
    ],
    ['remount', mount({ type: 'tmpfs', options: ['remount'] }), 'mounts[0].options: remount'],
  ])('refuses %s by name', (_name, config, message) =>
    expect(() => renderBundle(config, facts)).toThrow(message),
  );
});

describe('renderResources()', () => {
  const text = (resources: Parameters<typeof renderResources>[0]): readonly string[] =>
    renderResources(resources, 'linux.resources').map(({ file, value }) => `${file}=${value}`);

  test.each([
    [{ cpu: { shares: 1024, quota: 50_000, period: 100_000 } }, ['cpu.weight=100', 'cpu.max=50000 100000']],
    [
      { memory: { limit: 100, swap: 150, reservation: 50 } },
      ['memory.low=50', 'memory.swap.max=50', 'memory.max=100'],
    ],
    [{ memory: { limit: -1, swap: -1 } }, ['memory.swap.max=max', 'memory.max=max']],
    [{ pids: { limit: 7 }, unified: { 'memory.high': '5' } }, ['pids.max=7', 'memory.high=5']],
    [
      { blockIO: { weight: 10, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 5 }] } },
      ['io.weight=default 1', 'io.max=8:0 rbps=5'],
    ],
  ])('%j', (resources, want) => expect(text(resources)).toEqual(want));

  test('refuses swap without memory, and files that are no limits', () => {
    expect(() => text({ memory: { swap: 5 } })).toThrow('linux.resources.memory.swap');
    expect(() => text({ unified: { 'cgroup.procs': '1' } })).toThrow('linux.resources.unified.cgroup.procs');
  });

  test('knows what is so without a controller', () => {
    expect(renderResources({ cpu: { shares: 1024 }, memory: { limit: -1 } }, '').every(isDefault)).toBe(true);
    expect(renderResources({ pids: { limit: 5 } }, '').some(isDefault)).toBe(false);
  });

  test('has devices of the document first, and negative numbers as any', () => {
    const [first] = renderDeviceRules([{ allow: false, major: -1, minor: -1, access: 'rwm' }], []);
    expect(first).toEqual({ isAllowed: false, type: 'a', major: undefined, minor: undefined, access: 'rwm' });
  });
});
