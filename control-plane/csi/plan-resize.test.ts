import { expect, it } from 'vitest';
import { planResize } from './resize.ts';

const failedAt = '2026-01-01T00:00:00Z';
const [atOnce, later] = [0, Date.parse(failedAt) + 300_000];

it.each<{
  readonly name: string;
  readonly state?: string;
  readonly sizes: readonly [asked: string, volume: string, begun?: string];
  readonly refused?: string;
  readonly isOfNodes?: boolean;
  readonly want: readonly [size: string, notBeforeMs: number] | undefined;
}>([
  { name: 'it is as large as is asked', sizes: ['1Gi', '1Gi'], want: undefined },
  { name: 'it is smaller', sizes: ['3Gi', '1Gi'], want: ['3Gi', atOnce] },
  {
    name: 'more may have begun',
    ...{ state: 'ControllerResizeInProgress', sizes: ['2Gi', '1Gi', '3Gi'], want: ['3Gi', atOnce] },
  },
  {
    name: 'more was refused',
    ...{ state: 'ControllerResizeInProgress', sizes: ['2Gi', '1Gi', '3Gi'], refused: '3Gi' },
    want: ['2Gi', atOnce],
  },
  {
    name: 'more was wrong',
    ...{ state: 'ControllerResizeInfeasible', sizes: ['2Gi', '1Gi', '3Gi'], want: ['2Gi', atOnce] },
  },
  {
    name: 'a node has its part to do, whatever is asked meanwhile',
    ...{ state: 'NodeResizePending', sizes: ['5Gi', '3Gi', '3Gi'], want: undefined },
  },
  {
    name: 'a node is at it',
    ...{ state: 'NodeResizeInProgress', sizes: ['5Gi', '3Gi', '3Gi'], want: undefined },
  },
  {
    name: 'the volume was not told before a node may begin',
    ...{ state: 'NodeResizePending', sizes: ['2Gi', '1Gi', '3Gi'], want: ['3Gi', atOnce] },
  },
  {
    name: 'a node cannot, and the driver has made it so',
    ...{ state: 'NodeResizeInfeasible', sizes: ['2Gi', '3Gi', '3Gi'], want: ['3Gi', later] },
  },
  {
    name: 'a node cannot, and only nodes have to do with it',
    ...{
      state: 'NodeResizeInfeasible',
      sizes: ['2Gi', '3Gi', '3Gi'],
      isOfNodes: true,
      want: ['2Gi', atOnce],
    },
  },
  {
    name: 'a node cannot, and nothing else is asked for',
    ...{ state: 'NodeResizeInfeasible', sizes: ['3Gi', '3Gi', '3Gi'], isOfNodes: true, want: ['3Gi', later] },
  },
])('a volume is enlarged by what is asked, begun and refused: $name', (row) => {
  const { state, sizes, refused, isOfNodes = false, want } = row;
  const [asked, size, begun] = sizes;
  const step = planResize(
    {
      spec: { resources: { requests: { storage: asked } } },
      status: {
        conditions: [{ type: 'NodeResizeError', status: 'True', lastTransitionTime: failedAt }],
        ...(begun === undefined ? {} : { allocatedResources: { storage: begun } }),
        ...(state === undefined ? {} : { allocatedResourceStatuses: { storage: state } }),
      },
    },
    { spec: { capacity: { storage: size } } },
    { refused, canExpand: !isOfNodes },
  );
  expect(step === undefined ? undefined : [step.size, step.notBeforeMs]).toEqual(want);
});
