import { describe, expect, it } from 'vitest';
import { chooseControllers, controllerListProblems, controllerNames } from './controller-names.ts';

const on = (...list: string[]): readonly string[] => controllerNames.filter(chooseControllers(list));
const allBut = (...names: string[]): readonly string[] =>
  controllerNames.filter((one) => !names.includes(one));

describe('chooseControllers()', () => {
  it.each([
    { list: ['*'], want: controllerNames },
    { list: [], want: [] },
    { list: ['*', '-job-controller'], want: allBut('job-controller') },
    { list: ['-job', '*'], want: allBut('job-controller') },
    {
      list: ['deployment', 'replicaset-controller'],
      want: ['deployment-controller', 'replicaset-controller'],
    },
    { list: ['job', '-job'], want: ['job-controller'] },
    { list: ['-job'], want: [] },
    { list: ['*', '-ttl'], want: allBut('ttl-controller') },
    { list: ['*', '-selinux-warning-controller'], want: controllerNames },
  ])('$list', ({ list, want }) => {
    expect(on(...list)).toEqual(want);
  });

  it('without a list is all', () => {
    expect(controllerNames.filter(chooseControllers())).toEqual(controllerNames);
  });
});

describe('controllerListProblems()', () => {
  it.each([
    { list: ['*', '-job', 'deployment-controller', '-route'], want: [] },
    {
      list: ['*', '-jobs'],
      want: [/^"-jobs" is not in the list of known controllers: .*, job-controller, /],
    },
    { list: ['route'], want: [/^podwright has no route$/] },
    { list: ['*', '-persistentvolume-binder'], want: [/switch off both, or neither/] },
    { list: ['*', '-persistentvolume-binder', '-persistentvolume-expander'], want: [] },
    { list: [''], want: [/^"" is not in the list/] },
  ])('$list', ({ list, want }) => {
    expect(controllerListProblems(list)).toEqual(want.map((one) => expect.stringMatching(one)));
  });
});
