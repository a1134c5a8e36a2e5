import { describe, expect, it } from 'vitest';
import type { IPAddress, Pod, ServiceCIDR } from '#api/generated/objects.ts';
import { claimsOf, holdsAddresses, planProtection } from './plan.ts';

describe('planProtection()', () => {
  const [gone, on] = [{ deletionTimestamp: '2026-01-01T00:00:00Z' }, { finalizers: ['a/b', 'c/d'] }];
  it.each([
    ['adds it', {}, false, 'add'],
    ['adds it beside another', { finalizers: ['c/d'] }, true, 'add'],
    ['leaves it on what stays', on, false, 'none'],
    ['takes it off what goes unused', { ...gone, ...on }, false, 'remove'],
    ['leaves it on what goes and is used', { ...gone, ...on }, true, 'none'],
    ['adds nothing to what goes', { ...gone, finalizers: ['c/d'] }, false, 'none'],
  ] as const)('%s', (_name, metadata, isUsed, want) => {
    expect(planProtection({ metadata }, 'a/b', () => isUsed)).toBe(want);
  });
});

describe('claimsOf()', () => {
  const pod = (nodeName: string, phase: 'Pending' | 'Running' | 'Succeeded'): Pod => ({
    metadata: { namespace: 'n', name: 'p' },
    spec: {
      nodeName,
      containers: [],
      volumes: [
        { name: 'a', persistentVolumeClaim: { claimName: 'data' } },
        { name: 'b', ephemeral: {} },
        { name: 'c', emptyDir: {} },
      ],
    },
    status: { phase },
  });
  it.each([
    ['without a node', pod('', 'Pending'), []],
    ['on a node', pod('m', 'Pending'), ['n/data', 'n/p-b']],
    ['running', pod('m', 'Running'), ['n/data', 'n/p-b']],
    ['ended', pod('m', 'Succeeded'), ['n/data']],
  ])('of a pod %s', (_name, given, want) => expect(claimsOf(given)).toEqual(want));
});

describe('holdsAddresses()', () => {
  const cidr = (name: string, blocks: string[], fields: Partial<ServiceCIDR> = {}): ServiceCIDR => ({
    metadata: { name },
    spec: { cidrs: blocks },
    ...fields,
  });
  const ready = {
    status: {
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '', reason: '', message: '' }],
    },
  };
  const own = cidr('own', ['10.96.0.0/16', 'fd00::/112']);
  const addresses = (...names: string[]): IPAddress[] =>
    names.map((name) => ({ metadata: { name }, spec: { parentRef: { resource: 'services', name: 's' } } }));
  const wide = cidr('wide', ['10.0.0.0/8'], ready);
  const going = { metadata: { name: 'wide', deletionTimestamp: '2026-01-01T00:00:00Z' } };
  it.each([
    ['none', addresses(), [own], false],
    ['one of it', addresses('10.96.0.1'), [own], true],
    ['one of its second block', addresses('fd00::1'), [own], true],
    ['one of another range', addresses('10.97.0.1'), [own], false],
    ['one that another ready one has', addresses('10.96.0.1'), [own, wide], false],
    [
      'one that another one has that is not ready',
      addresses('10.96.0.1'),
      [own, cidr('wide', ['10.0.0.0/8'])],
      true,
    ],
    ['one that another one has that goes', addresses('10.96.0.1'), [own, { ...wide, ...going }], true],
    ['one that another has, and one that none has', addresses('10.96.0.1', 'fd00::1'), [own, wide], true],
    ['what is none', addresses('x'), [own], false],
  ])('%s', (_name, given, cidrs, want) => {
    expect(holdsAddresses(own, { addresses: given, cidrs })).toBe(want);
  });
});
