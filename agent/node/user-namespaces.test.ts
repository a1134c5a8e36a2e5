import { describe, expect, test } from 'vitest';
import { defaultIdSpace } from '#agent/runtime/id-ranges.ts';
import { idSpaceOf, userNamespaceProblem, type UserNamespaceFacts } from './user-namespaces.ts';

const able: UserNamespaceFacts = {
  max: '96364\n',
  uidMap: '         0          0 4294967295\n',
  kernelRelease: '6.1.0-18-amd64',
};

describe('user namespaces of a host', () => {
  test.each<[string, Partial<UserNamespaceFacts>, string | undefined]>([
    ['a host with them', {}, undefined],
    ['without', { max: undefined }, 'CONFIG_USER_NS'],
    ['switched off', { max: '0\n' }, 'max_user_namespaces is 0'],
    ['an old kernel', { kernelRelease: '5.15.0' }, '5.19'],
    ['the first that can', { kernelRelease: '5.19.0' }, undefined],
    ['a container with few ids', { uidMap: '0 100000 65536\n' }, 'does not have the ids 65536 to 7274495'],
    ['one with enough', { uidMap: '0 100000 65536\n65536 200000 10000000\n' }, undefined],
  ])('%s', (_name, more, want) => {
    const problem = userNamespaceProblem({ ...able, ...more }, defaultIdSpace);
    if (want === undefined) expect(problem).toBeUndefined();
    else expect(problem).toContain(want);
  });

  test.each<[string, string, string, unknown]>([
    ['nobody has a line', 'root:1:2\n', '', { first: 65_536, count: 131_072, idsPerPod: 65_536 }],
    [
      'the kubelet has one',
      'kubelet:131072:655360\n',
      'kubelet:131072:655360',
      { first: 131_072, count: 655_360, idsPerPod: 65_536 },
    ],
    ['different ones', 'kubelet:131072:655360\n', 'kubelet:196608:655360', 'the same ids'],
    ['in one alone', 'kubelet:131072:655360\n', '', 'the same ids'],
    ['two', 'kubelet:131072:65536\nkubelet:655360:65536\n', 'kubelet:131072:655360', 'one line'],
    ['not at a multiple', 'kubelet:100000:655360', 'kubelet:100000:655360', 'no multiple of 65536'],
    ['too few', 'kubelet:131072:65536', 'kubelet:131072:65536', 'too few for 2 pods'],
    ['no numbers', 'kubelet:a:b', 'kubelet:a:b', 'not FIRST:COUNT'],
  ])('ids where %s', (_name, subuid, subgid, want) => {
    const read = (): unknown => idSpaceOf({ subuid, subgid }, { podsMax: 2 });
    if (typeof want === 'string') expect(read).toThrow(want);
    else expect(read()).toEqual(want);
  });
});
