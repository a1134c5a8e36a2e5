import { expect, it } from 'vitest';
import {
  allocateOn,
  claim,
  counts,
  device,
  deviceClass,
  driver,
  multi,
  named,
  request,
  shared,
  slice,
  zone,
} from './devices.fixture.ts';
import { renderAllocation } from './render-allocation.ts';

it('says in the status of a claim what it was given, with what is for the driver and for which nodes that is', () => {
  const opaque = (parameters: object) => ({ opaque: { driver, parameters } });
  const asked = claim(
    'c',
    [request('r'), request('s', { tolerations: [{ key: 'k', operator: 'Exists' }] })],
    {
      config: [
        { requests: ['s'], ...opaque({ of: 'claim' }) },
        { requests: ['gone'], ...opaque({}) },
        opaque({ of: 'all' }),
      ],
    },
  );
  const allocated = allocateOn({
    slices: [
      slice([device('a')], { ...named('x'), nodeSelector: zone('a') }),
      slice([{ ...shared, bindingConditions: ['Ready'] }], { ...named('y'), allNodes: true }),
    ],
    claims: [asked],
    classes: [deviceClass('gpu', { config: [opaque({ of: 'class' })] })],
  });
  if (allocated.kind !== 'allocated') throw new Error(allocated.reason);
  const [picks] = allocated.claims;
  if (picks === undefined) throw new Error('no claim');
  expect(renderAllocation(picks, { nodeName: 'n1', nowMs: 0, newId: () => 'uuid' })).toEqual({
    devices: {
      results: [
        { request: 'r', driver, pool: 'x', device: 'a' },
        {
          ...{ request: 's', driver, pool: 'y', device: 'nic' },
          tolerations: [{ key: 'k', operator: 'Exists' }],
          bindingConditions: ['Ready'],
          shareID: 'uuid',
          consumedCapacity: { bandwidth: '1' },
        },
      ],
      config: [
        { source: 'FromClass', requests: ['r', 's'], ...opaque({ of: 'class' }) },
        { source: 'FromClaim', requests: ['s'], ...opaque({ of: 'claim' }) },
        { source: 'FromClaim', ...opaque({ of: 'all' }) },
      ],
    },
    nodeSelector: zone('a'),
    allocationTimestamp: '1970-01-01T00:00:00Z',
  });
});

it('says which alternatives a configuration is for, however many there are, and nothing of what is not divided', () => {
  const names = ['r/1', 'r/2'];
  const asked = claim('c', [counts('r', 1, 2), request('s')], {
    config: [{ requests: names, opaque: { driver, parameters: {} } }],
  });
  const allocated = allocateOn({ slices: [slice([multi('x')])], claims: [asked] });
  const [picks] = allocated.kind === 'allocated' ? allocated.claims : [];
  if (picks === undefined) throw new Error('no claim');
  const { devices } = renderAllocation(picks, { nodeName: 'n1', nowMs: 0, newId: () => 'uuid' });
  expect(devices?.config?.map(({ requests }) => requests)).toEqual([names]);
  expect(devices?.results?.[0]).toEqual({ request: 'r/1', driver, pool: 'n1', device: 'x', shareID: 'uuid' });
});
