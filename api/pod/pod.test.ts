import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Container, Node, NodeSelectorTerm, Pod, Taint, Toleration } from '#api/generated/objects.ts';
import { formatQuantity } from '#api/meta/quantity.ts';
import { expandVariables } from './expand.ts';
import { matchesNodeAffinity, nodeAffinityScore } from './node-affinity.ts';
import { qosClass } from './qos.ts';
import { podLimits, podRequestNumbers, podRequests, podTakenNumbers } from './requests.ts';
import { belongsInEndpoints, endpointReadiness, isPodAvailable, isPodReady, isTerminal } from './state.ts';
import { findUntoleratedTaint, toleratesTaint } from './tolerations.ts';

const container = (requests?: Record<string, string>, more: Partial<Container> = {}): Container => ({
  name: 'c',
  ...(requests === undefined ? {} : { resources: { requests } }),
  ...more,
});
const sidecar = (cpu: string): Container => container({ cpu }, { restartPolicy: 'Always' });

describe('podRequests()', () => {
  it.each<{ name: string; spec: NonNullable<Pod['spec']>; want: Record<string, string> }>([
    { name: 'nothing', spec: { containers: [container()] }, want: {} },
    {
      name: 'containers together',
      spec: { containers: [container({ cpu: '100m', memory: '1Gi' }), container({ cpu: '1' })] },
      want: { cpu: '1100m', memory: '1Gi' },
    },
    {
      name: 'a larger init container',
      spec: {
        containers: [container({ cpu: '1' })],
        initContainers: [container({ cpu: '3' }), container({ cpu: '2' })],
      },
      want: { cpu: '3' },
    },
    {
      name: 'a smaller init container',
      spec: {
        containers: [container({ cpu: '1' })],
        initContainers: [container({ cpu: '500m', memory: '1' })],
      },
      want: { cpu: '1', memory: '1' },
    },
    {
      name: 'sidecars beside containers',
      spec: { containers: [container({ cpu: '1' })], initContainers: [sidecar('1')] },
      want: { cpu: '2' },
    },
    {
      name: 'an init container beside the sidecars started before it',
      spec: {
        containers: [container({ cpu: '1' })],
        initContainers: [sidecar('1'), container({ cpu: '3' }), sidecar('1')],
      },
      want: { cpu: '4' },
    },
    {
      name: 'overhead',
      spec: { containers: [container({ cpu: '1' })], overhead: { cpu: '250m', memory: '10Mi' } },
      want: { cpu: '1250m', memory: '10Mi' },
    },
    {
      name: 'requests of the pod itself',
      spec: { containers: [container({ cpu: '1', memory: '1Gi' })], resources: { requests: { cpu: '5' } } },
      want: { cpu: '5', memory: '1Gi' },
    },
  ])('$name', ({ spec, want }) => {
    const amounts = [...podRequests({ spec })].map(([name, amount]) => [name, formatQuantity(amount)]);
    expect(Object.fromEntries(amounts)).toEqual(want);
  });

  it('are thousandths of cpu and whole units of the rest', () => {
    const spec = { containers: [container({ cpu: '1500m', memory: '1Ki' })] };
    expect(podRequestNumbers({ spec })).toEqual(
      new Map([
        ['cpu', 1500],
        ['memory', 1024],
      ]),
    );
  });

  it('add no overhead to limits that are none', () => {
    expect(podLimits({ spec: { containers: [container()], overhead: { cpu: '1' } } }).size).toBe(0);
  });
});

describe('podTakenNumbers()', () => {
  const status = (given: string, has: string, reason?: string): NonNullable<Pod['status']> => ({
    containerStatuses: [
      {
        name: 'c',
        image: '',
        imageID: '',
        ready: true,
        restartCount: 0,
        allocatedResources: { cpu: given },
        resources: { requests: { cpu: has } },
      },
    ],
    ...(reason === undefined ? {} : { conditions: [{ type: 'PodResizePending', status: 'True', reason }] }),
  });
  it.each<[string, Pod['status'], number]>([
    ['what it asks for, before it runs', undefined, 2000],
    ['what it asks for, where that is most', status('1', '1', 'Deferred'), 2000],
    ['what it was given', status('3', '1'), 3000],
    ['what it still has', status('1', '3'), 3000],
    ['not what it never gets', status('1', '500m', 'Infeasible'), 1000],
  ])('%s', (_name, held, want) => {
    const pod: Pod = {
      spec: { containers: [container({ cpu: '2' })] },
      ...(held === undefined ? {} : { status: held }),
    };
    expect(podTakenNumbers(pod).get('cpu')).toBe(want);
  });
});

describe('qosClass()', () => {
  const withResources = (...resources: readonly NonNullable<Container['resources']>[]): Pod => ({
    spec: { containers: resources.map((each) => ({ name: 'c', resources: each })) },
  });
  const full = { cpu: '1', memory: '1Gi' };
  it.each([
    ['BestEffort', withResources({})],
    ['BestEffort', withResources({ requests: { 'x.io/gpu': '1' } })],
    ['BestEffort', withResources({ requests: { cpu: '0' } })],
    ['Burstable', withResources({ requests: { cpu: '1' } })],
    ['Burstable', withResources({ limits: { cpu: '1' } })],
    ['Burstable', withResources({ limits: full }, {})],
    ['Burstable', withResources({ limits: full, requests: { cpu: '500m', memory: '1Gi' } })],
    ['Guaranteed', withResources({ limits: full })],
    ['Guaranteed', withResources({ limits: full, requests: { cpu: '1000m', memory: '1024Mi' } })],
  ])('%s', (want, pod) => {
    expect(qosClass(pod)).toBe(want);
  });
});

describe('toleratesTaint()', () => {
  const taint: Taint = { key: 'k', value: 'v', effect: 'NoSchedule' };
  it.each<[Toleration, boolean]>([
    [{ key: 'k', value: 'v', effect: 'NoSchedule' }, true],
    [{ key: 'k', operator: 'Equal', value: 'v' }, true],
    [{ key: 'k', value: 'w' }, false],
    [{ key: 'k', operator: 'Exists' }, true],
    [{ operator: 'Exists' }, true],
    [{}, false],
    [{ key: 'k', operator: 'Exists', effect: 'NoExecute' }, false],
    [{ key: 'j', operator: 'Exists' }, false],
  ])('%j is %s', (toleration, want) => {
    expect(toleratesTaint(toleration, taint)).toBe(want);
  });

  it('compares numbers by Lt and Gt', () => {
    const numbered: Taint = { key: 'k', value: '5', effect: 'NoSchedule' };
    expect(toleratesTaint({ key: 'k', operator: 'Lt', value: '6' }, numbered)).toBe(true);
    expect(toleratesTaint({ key: 'k', operator: 'Gt', value: '6' }, numbered)).toBe(false);
    expect(toleratesTaint({ key: 'k', operator: 'Gt', value: '1' }, taint)).toBe(false);
  });

  it('leaves the first taint that nothing covers', () => {
    const soft: Taint = { key: 's', effect: 'PreferNoSchedule' };
    expect(findUntoleratedTaint([], [soft, taint], ['NoSchedule', 'NoExecute'])).toBe(taint);
    expect(findUntoleratedTaint([{ operator: 'Exists' }], [taint], ['NoSchedule'])).toBeUndefined();
  });
});

describe('matchesNodeAffinity()', () => {
  const node: Node = { metadata: { name: 'n1', labels: { zone: 'a', cores: '8' } } };
  const required = (...nodeSelectorTerms: readonly NodeSelectorTerm[]): Pod => ({
    spec: {
      containers: [],
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    },
  });
  const zone = (value: string): NodeSelectorTerm => ({
    matchExpressions: [{ key: 'zone', operator: 'In', values: [value] }],
  });

  it.each<[string, Pod, boolean]>([
    ['no wish', { spec: { containers: [] } }, true],
    ['a label that is there', { spec: { containers: [], nodeSelector: { zone: 'a' } } }, true],
    ['a label that is not', { spec: { containers: [], nodeSelector: { zone: 'b' } } }, false],
    ['one of two terms', required(zone('b'), zone('a')), true],
    ['no term', required(zone('b')), false],
    ['an empty term', required({}), false],
    ['a number', required({ matchExpressions: [{ key: 'cores', operator: 'Gt', values: ['4'] }] }), true],
    ['the name', required({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }), true],
    [
      'another name',
      required({ matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['n1'] }] }),
      false,
    ],
  ])('%s', (_name, pod, want) => {
    expect(matchesNodeAffinity(pod, node)).toBe(want);
  });

  it('adds up the weights of what is preferred', () => {
    const preferred = [
      { weight: 5, preference: zone('a') },
      { weight: 7, preference: zone('b') },
      { weight: 2, preference: zone('a') },
    ];
    const nodeAffinity = { preferredDuringSchedulingIgnoredDuringExecution: preferred };
    expect(nodeAffinityScore({ spec: { containers: [], affinity: { nodeAffinity } } }, node)).toBe(7);
  });
});

describe('the state of a pod', () => {
  const ready = (status: string, more: Pod = {}): Pod => ({
    ...more,
    status: {
      phase: 'Running',
      podIP: '10.0.0.1',
      conditions: [{ type: 'Ready', status, lastTransitionTime: '1970-01-01T00:01:00Z' }],
    },
  });

  it('is ready by its condition, and available some time after', () => {
    expect([isPodReady(ready('True')), isPodReady(ready('False')), isPodReady({})]).toEqual([
      true,
      false,
      false,
    ]);
    expect(isPodAvailable(ready('True'), 30, 80_000)).toBe(false);
    expect(isPodAvailable(ready('True'), 30, 90_000)).toBe(true);
    expect(isPodAvailable(ready('True'), 0, 0)).toBe(true);
  });

  it('shows in EndpointSlices while it has an address and runs', () => {
    expect(belongsInEndpoints(ready('False'))).toBe(true);
    expect(belongsInEndpoints({ status: { phase: 'Succeeded', podIP: '10.0.0.1' } })).toBe(false);
    expect(belongsInEndpoints({})).toBe(false);
    expect(isTerminal({ status: { phase: 'Failed' } })).toBe(true);
  });

  it.each([
    ['ready', ready('True'), false, { ready: true, serving: true, terminating: false }],
    ['not ready', ready('False'), false, { ready: false, serving: false, terminating: false }],
    ['not ready but published', ready('False'), true, { ready: true, serving: false, terminating: false }],
    [
      'terminating',
      ready('True', { metadata: { deletionTimestamp: '1970-01-01T00:00:00Z' } }),
      false,
      { ready: false, serving: true, terminating: true },
    ],
  ])('is an endpoint that is %s', (_name, pod, publish, want) => {
    expect(endpointReadiness(pod, publish)).toEqual(want);
  });
});

describe('expandVariables()', () => {
  const variables: Readonly<Record<string, string>> = { A: 'x', B: '$(A)', EMPTY: '' };
  const expand = (text: string): string | undefined => expandVariables(text, (name) => variables[name], 1000);

  it.each([
    ['plain', 'plain'],
    ['$(A)', 'x'],
    ['-$(A)-$(A)-', '-x-x-'],
    ['$(EMPTY)', ''],
    ['$(NOPE)', '$(NOPE)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$x'],
    ['$$$$(A)', '$$(A)'],
    ['$(B)', '$(A)'],
    ['$A', '$A'],
    ['$', '$'],
    ['x$', 'x$'],
    ['$(', '$('],
    ['$(A', '$(A'],
    ['$()', '$()'],
    ['$(A)$', 'x$'],
  ])('%s is %s', (text, want) => {
    expect(expand(text)).toBe(want);
  });

  it.each([
    ['$(A)$(A)', 2, 'xx'],
    ['$(A)$(A)', 1, undefined],
    ['', 0, ''],
    ['ä', 1, undefined],
    ['ä', 2, 'ä'],
    ['$$$$', 1, undefined],
    ['$(EMPTY)'.repeat(100), 0, ''],
  ])('%s within %d bytes is %s', (text, bytesMax, want) =>
    expect(expandVariables(text, (name) => variables[name], bytesMax)).toBe(want),
  );

  it('makes no more than was asked for, however much the text stands for', () => {
    const big = 'x'.repeat(100_000);
    let asked = 0;
    const valueOf = (): string => (asked++, big);
    expect(expandVariables('$(BIG)'.repeat(1_000_000), valueOf, 131_071)).toBeUndefined();
    expect(asked).toBe(2);
  });

  it('reads text that never ends a name once', () => {
    const text = '$('.repeat(2_000_000);
    expect(expandVariables(text, () => undefined, 5_000_000)).toBe(text);
  });

  it('never gives more bytes than it may, and what it gives does not depend on how many those are', () => {
    const piece = fc.constantFrom('$(A)', '$(B)', '$(EMPTY)', '$(NO)', '$$', '$', '(', ')', 'ü', '😀', 'x');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.nat(80), (pieces, bytesMax) => {
        const whole = expandVariables(pieces.join(''), (name) => variables[name], 1_000_000) ?? '';
        const within = expandVariables(pieces.join(''), (name) => variables[name], bytesMax);
        expect(within).toBe(Buffer.byteLength(whole) > bytesMax ? undefined : whole);
      }),
    );
  });

  it('leaves text without $ alone', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('$')),
        (text) => expand(text) === text,
      ),
    );
  });
});
