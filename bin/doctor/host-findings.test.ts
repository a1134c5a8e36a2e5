import { describe, expect, it } from 'vitest';

import { examine, type HostFacts } from './host-findings.ts';

const healthy: HostFacts = {
  isRoot: true,
  kernelRelease: '6.1.0-56-amd64',
  filesystems: 'nodev\toverlay\n',
  cgroupControllers: ['cpu', 'memory', 'pids'],
  namespaces: ['net', 'mnt', 'pid', 'ipc', 'uts', 'cgroup', 'user'],
  programs: { unshare: true },
  hasNftables: true,
  seccomp: true,
  deviceRefusal: undefined,
  flowRefusal: undefined,
  socketRefusal: undefined,
  connectedRefusal: undefined,
  redirectRefusal: undefined,
};

describe('examine()', () => {
  it('finds nothing wrong with a healthy host', () => {
    expect(examine(healthy).filter(({ state }) => state !== 'ok')).toEqual([]);
  });

  it.each<{ name: string; facts: Partial<HostFacts>; what: string; state: string; remedy: RegExp }>([
    { name: 'no root', facts: { isRoot: false }, what: 'root', state: 'missing', remedy: /sudo/ },
    {
      name: 'an old kernel',
      facts: { kernelRelease: '5.10.0-30-amd64' },
      what: 'kernel',
      state: 'missing',
      remedy: /5\.14/,
    },
    {
      name: 'no cgroup v2',
      facts: { cgroupControllers: undefined },
      what: 'cgroup v2',
      state: 'missing',
      remedy: /mount -t cgroup2/,
    },
    {
      name: 'no memory controller',
      facts: { cgroupControllers: ['cpu', 'pids'] },
      what: 'cgroup v2',
      state: 'limited',
      remedy: /without memory limits/,
    },
    {
      name: 'no user namespaces',
      facts: { namespaces: ['net', 'mnt', 'pid', 'ipc', 'uts', 'cgroup'] },
      what: 'namespaces',
      state: 'missing',
      remedy: /CONFIG/,
    },
    {
      name: 'no programs of addresses',
      facts: { socketRefusal: 'balance connections: load program pw_connect4: EINVAL' },
      what: 'fast path',
      state: 'limited',
      remedy: /--fast-path services does nothing/,
    },
    {
      name: 'no right to trace',
      facts: { connectedRefusal: 'take descriptor 0 of a process: EPERM' },
      what: 'fast path',
      state: 'limited',
      remedy: /connected sockets of UDP go by rules/,
    },
    {
      name: 'no tcx',
      facts: { redirectRefusal: 'load program pw_redirect: EINVAL' },
      what: 'fast path',
      state: 'limited',
      remedy: /--fast-path pods does nothing/,
    },
    {
      name: 'no overlayfs',
      facts: { filesystems: 'ext4\n' },
      what: 'overlayfs',
      state: 'missing',
      remedy: /modprobe overlay/,
    },
    {
      name: 'no nftables',
      facts: { hasNftables: false },
      what: 'nftables',
      state: 'missing',
      remedy: /modprobe nf_tables/,
    },
    {
      name: 'no busybox',
      facts: { programs: { busybox: false } },
      what: 'busybox',
      state: 'limited',
      remedy: /demo image.*apt-get install busybox-static/,
    },
    {
      name: 'no filter of devices',
      facts: { deviceRefusal: 'load program of 2 instructions: EPERM' },
      what: 'devices',
      state: 'limited',
      remedy: /without CAP_MKNOD/,
    },
    {
      name: 'no list of connections',
      facts: { flowRefusal: 'dump conntrack: EINVAL' },
      what: 'policies',
      state: 'limited',
      remedy: /modprobe nf_conntrack_netlink/,
    },
    { name: 'no seccomp', facts: { seccomp: false }, what: 'seccomp', state: 'limited', remedy: /kernel/ },
  ])('says what to do about $name', ({ facts, what, state, remedy }) => {
    const finding = examine({ ...healthy, ...facts }).find((each) => each.what === what);
    expect(finding).toMatchObject({ state, remedy: expect.stringMatching(remedy) });
  });
});
