import { describe, expect, it } from 'vitest';
import type { Node } from '#api/generated/objects.ts';
import { nodeEventsOf } from './node-events.ts';

const nodeOf = (
  verdicts: Readonly<Record<string, string>>,
  more: { readonly bootID?: string; readonly unschedulable?: boolean } = {},
): Node => ({
  metadata: { name: 'n' },
  ...(more.unschedulable === undefined ? {} : { spec: { unschedulable: more.unschedulable } }),
  status: {
    conditions: Object.entries(verdicts).map(([type, status]) => ({ type, status })),
    nodeInfo: {
      ...{ architecture: '', containerRuntimeVersion: '', kernelVersion: '', kubeProxyVersion: '' },
      ...{ kubeletVersion: '', machineID: '', operatingSystem: '', osImage: '', systemUUID: '' },
      bootID: more.bootID ?? 'b',
    },
  },
});

const well = { MemoryPressure: 'False', DiskPressure: 'False', PIDPressure: 'False', Ready: 'True' };
const enough = ['NodeHasSufficientMemory', 'NodeHasNoDiskPressure', 'NodeHasSufficientPID'];

describe('nodeEventsOf()', () => {
  it.each([
    { name: 'a new node', before: undefined, after: nodeOf(well), want: enough },
    { name: 'nothing new', before: nodeOf(well), after: nodeOf(well), want: [] },
    {
      name: 'too little memory',
      before: nodeOf(well),
      after: nodeOf({ ...well, MemoryPressure: 'True' }),
      want: ['NodeHasInsufficientMemory'],
    },
    {
      name: 'what is full, and not ready',
      before: nodeOf(well),
      after: nodeOf({ ...well, DiskPressure: 'True', PIDPressure: 'True', Ready: 'False' }),
      want: ['NodeHasDiskPressure', 'NodeHasInsufficientPID', 'NodeNotReady'],
    },
    {
      name: 'one that was silent',
      before: nodeOf(Object.fromEntries(Object.keys(well).map((type) => [type, 'Unknown']))),
      after: nodeOf(well),
      want: [...enough, 'NodeReady'],
    },
    {
      name: 'another boot',
      before: nodeOf(well, { bootID: 'a' }),
      after: nodeOf(well),
      want: ['Rebooted'],
    },
    {
      name: 'a cordon',
      before: nodeOf(well),
      after: nodeOf(well, { unschedulable: true }),
      want: ['NodeNotSchedulable'],
    },
    {
      name: 'its end',
      before: nodeOf(well, { unschedulable: true }),
      after: nodeOf(well),
      want: ['NodeSchedulable'],
    },
  ])('tells of $name', ({ before, after, want }) => {
    expect(nodeEventsOf(before, after).map(({ reason }) => reason)).toEqual(want);
  });

  it('in words of kubelets', () => {
    const after = nodeOf({ ...well, Ready: 'False' });
    expect(nodeEventsOf(nodeOf(well, { bootID: 'a' }), after)).toEqual([
      { type: 'Warning', reason: 'Rebooted', message: 'Node n has been rebooted, boot id: b' },
      { type: 'Normal', reason: 'NodeNotReady', message: 'Node n status is now: NodeNotReady' },
    ]);
  });
});
