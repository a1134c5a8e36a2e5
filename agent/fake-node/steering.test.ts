import { describe, expect, it } from 'vitest';
import type { ContainerConfig } from '#agent/runtime/runtime.ts';
import { planBehaviour, probeFailure, steeringNames, usageOf } from './steering.ts';
import { createPodAddresses } from './pod-addresses.ts';
import { nodeAsked } from './fleet.ts';

const place = { hostname: 'p', env: [] };
const podWith = (said: Record<string, string>): object => ({
  metadata: {
    annotations: {
      'other.example/x': 'y',
      ...Object.fromEntries(Object.entries(said).map(([name, value]) => [`fake.podwright/${name}`, value])),
    },
  },
});
const base = { name: 'main', command: [], args: [], resources: {} } as unknown as ContainerConfig;

describe('planBehaviour()', () => {
  it.each<[string, Record<string, string>, Partial<ContainerConfig>, object]>([
    ['nothing: runs until it is stopped', {}, {}, { onTerm: 143 }],
    [
      'as its command says',
      {},
      { command: ['sh', '-c', 'echo a; exit 2'] },
      { exitAfterMs: 0, exitCode: 2, output: 'a\n' },
    ],
    ['how long', { 'run-for': '2s' }, {}, { exitAfterMs: 2000, exitCode: 0 }],
    ['an exit code alone ends it at once', { 'exit-code': '7' }, {}, { exitAfterMs: 0, exitCode: 7 }],
    ['of one container', { 'run-for': '2s', 'run-for.main': '1h' }, {}, { exitAfterMs: 3_600_000 }],
    ['of another container', { 'run-for.side': '1h' }, {}, { onTerm: 143 }],
    ['a slow start', { 'start-after': '1s' }, {}, { startAfterMs: 1000 }],
    ['deaf to SIGTERM', { 'ignore-term': 'true' }, {}, { onTerm: 'ignore' }],
    ['what it says', { log: 'x' }, {}, { output: 'x\n' }],
    [
      'a loop says nothing',
      {},
      { command: ['sh', '-c', 'while true; do echo x; sleep 1; done'] },
      { onTerm: 'ignore' },
    ],
    [
      'more memory than its limit',
      { memory: '2Mi' },
      { resources: { memoryMaxBytes: 1_048_576 } },
      { exitCode: 137, exitReason: 'OOMKilled' },
    ],
    [
      'no duration',
      { 'run-for': 'soon' },
      {},
      { startError: expect.stringContaining('run-for: "soon": write a duration') },
    ],
    ['no code', { 'exit-code': '256' }, {}, { startError: expect.stringContaining('write 0 to 255') }],
    [
      'no quantity',
      { cpu: 'much' },
      {},
      { startError: expect.stringContaining('cpu: "much": write a quantity') },
    ],
    [
      'neither true nor false',
      { 'ignore-term': '1' },
      {},
      { startError: expect.stringContaining('write true or false') },
    ],
    ['no readiness', { ready: 'maybe' }, {}, { startError: expect.stringContaining('ready: "maybe"') }],
    [
      'no name',
      { 'run-fro': '1s' },
      {},
      { startError: expect.stringContaining(`there are ${steeringNames.join(', ')}`) },
    ],
  ])('%s', (_name, said, config, want) => {
    expect(planBehaviour(podWith(said), { ...base, ...config }, place)).toMatchObject(want);
  });
});

describe('probeFailure()', () => {
  it.each<[Record<string, string>, 'readiness' | 'liveness' | 'startup', number, boolean]>([
    [{}, 'readiness', 0, true],
    [{ ready: 'false' }, 'readiness', 1e9, false],
    [{ ready: 'false' }, 'liveness', 1e9, true],
    [{ ready: '10s' }, 'readiness', 9_999, false],
    [{ ready: '10s' }, 'readiness', 10_000, true],
    [{ 'live-for': '10s' }, 'liveness', 9_999, true],
    [{ 'live-for': '10s' }, 'liveness', 10_000, false],
    [{ ready: 'false', 'live-for': '0s' }, 'startup', 1e9, true],
  ])('%j: %s after %d ms passes: %s', (said, kind, ranMs, passes) => {
    expect(probeFailure(podWith(said), 'main', kind, ranMs) === undefined).toBe(passes);
  });
});

describe('usageOf()', () => {
  it.each([
    [
      { cpu: '250m', memory: '64Mi' },
      { cpuMilli: 250, memoryBytes: 67_108_864 },
    ],
    [{ 'cpu.main': '2' }, { cpuMilli: 2000, memoryBytes: 1_048_576 }],
    [{ cpu: 'much' }, { cpuMilli: 1, memoryBytes: 1_048_576 }],
  ])('%j', (said, want) => {
    expect(usageOf(podWith(said), 'main')).toEqual(want);
  });
});

describe('createPodAddresses()', () => {
  it('gives each pod one of each range, the same again, and takes them back', () => {
    const addresses = createPodAddresses();
    expect(addresses.isReady).toBe(false);
    addresses.setRanges(['10.0.0.0/29', 'fd00::/64']);
    expect(addresses.take('a')).toEqual(['10.0.0.2', 'fd00::2']);
    expect(addresses.take('a')).toEqual(['10.0.0.2', 'fd00::2']);
    expect(['b', 'c', 'd', 'e'].map((uid) => addresses.take(uid)[0])).toEqual(
      ['3', '4', '5', '6'].map((end) => `10.0.0.${end}`),
    );
    expect(() => addresses.take('f')).toThrow('no IP addresses available in range set: 5 are taken');
    addresses.free('c');
    addresses.free('never');
    expect(addresses.take('f')[0]).toBe('10.0.0.4');
  });
});

describe('nodeAsked()', () => {
  const pods = {
    find: (namespace: string, name: string) =>
      namespace === 'ns' && name === 'p' ? { spec: { nodeName: 'fake-3', containers: [] } } : undefined,
  };
  it.each<[string, string | undefined, string | undefined]>([
    ['/containerLogs/ns/p/c?follow=1', undefined, 'fake-3'],
    ['/exec/ns/p/uid/c?command=x', undefined, 'fake-3'],
    ['/exec/ns/q/c', undefined, undefined],
    ['/stats/summary', '/api/v1/nodes/fake-1/proxy/stats/summary', 'fake-1'],
    ['/pods', '/api/v1/nodes/fake-1:10250/proxy/pods', 'fake-1'],
    ['/nodes/fake-2/metrics/resource', undefined, 'fake-2'],
    ['/nodes/fake-2/metrics/probes', undefined, undefined],
    ['/pods', undefined, undefined],
    ['/pods', '/api/v1/namespaces/x/pods/y/proxy/pods', undefined],
  ])('%s by %s', (url, forwarded, want) => {
    expect(nodeAsked({ url, headers: { 'x-forwarded-uri': forwarded } }, pods)).toBe(want);
  });
});
