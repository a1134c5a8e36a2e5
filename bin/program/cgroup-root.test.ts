import { describe, expect, it } from 'vitest';

import { chooseClusterParent, type CgroupPlace } from './cgroup-root.ts';

const session: CgroupPlace = {
  mount: '/sys/fs/cgroup',
  own: '/user.slice/user-0.slice/session-3.scope',
  hasSystemd: true,
  isDelegated: false,
};

describe('chooseClusterParent()', () => {
  it.each<{ readonly name: string; readonly given: Partial<CgroupPlace>; readonly want: string }>([
    { name: 'a session of systemd, which is not delegated', given: {}, want: '/sys/fs/cgroup' },
    {
      name: 'a delegated unit',
      given: { own: '/system.slice/ci.service', isDelegated: true },
      want: '/sys/fs/cgroup/system.slice/ci.service',
    },
    {
      name: 'a container that sees the whole hierarchy',
      given: { own: '/podwright-1/node-1/pod/c', hasSystemd: false },
      want: '/sys/fs/cgroup/podwright-1/node-1/pod/c',
    },
    {
      name: 'a container in a cgroup namespace',
      given: { own: '/', hasSystemd: false },
      want: '/sys/fs/cgroup',
    },
    {
      name: 'a process from outside of the namespace',
      given: { own: '/../x', hasSystemd: false },
      want: '/sys/fs/cgroup',
    },
    {
      name: 'a hybrid host',
      given: { mount: '/sys/fs/cgroup/unified', own: '/', hasSystemd: false },
      want: '/sys/fs/cgroup/unified',
    },
    { name: 'no line of cgroup v2', given: { own: undefined, hasSystemd: false }, want: '/sys/fs/cgroup' },
  ])('of $name', ({ given, want }) => {
    expect(chooseClusterParent({ ...session, ...given })).toBe(want);
  });
});
