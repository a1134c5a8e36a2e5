import { describe, expect, test } from 'vitest';
import type { Pod, ResourceRequirements } from '#api/generated/objects.ts';
import {
  defaultCgroupRules,
  ruledContainer,
  ruledPod,
  type CgroupFacts,
  type CgroupRules,
} from './cgroup-rules.ts';
import { cgroupOf } from './resources.ts';

const Mi = 2 ** 20;
const burstable = { requests: { cpu: '100m', memory: '100Mi' }, limits: { cpu: '500m', memory: '200Mi' } };
const guaranteed = { limits: { cpu: '2', memory: '100Mi' }, requests: { cpu: '2', memory: '100Mi' } };
const alone = (): { cpus: string; mems: string; isAlone: boolean } => ({
  cpus: '2-3',
  mems: '0',
  isAlone: true,
});

/** Rules and resources, and what of the cgroup that is about. */
const rows: readonly (readonly [
  name: string,
  {
    readonly rules?: Partial<CgroupRules>;
    readonly node?: Partial<CgroupFacts>;
    readonly resources?: ResourceRequirements;
    readonly priority?: number;
  },
  object,
])[] = [
  ['nothing said: no swap, and all of it ends', {}, { swapMaxBytes: 0, isOomGroup: true }],
  ['singleProcessOOMKill', { rules: { isSingleOomKill: true } }, { isOomGroup: false }],
  ['no quota', { rules: { hasQuota: false }, resources: burstable }, { cpuQuotaUs: -1 }],
  [
    'another period',
    { rules: { periodUs: 10_000 }, resources: burstable },
    { cpuQuotaUs: 5000, cpuPeriodUs: 10_000 },
  ],
  [
    'CPUs alone need no quota',
    { resources: guaranteed, node: { placementOf: alone } },
    { cpuQuotaUs: -1, unified: { 'cpuset.cpus': '2-3', 'cpuset.mems': '0' } },
  ],
  [
    'LimitedSwap: of a Burstable container, by its request',
    { rules: { swap: 'LimitedSwap' }, resources: burstable },
    { swapMaxBytes: 50 * Mi },
  ],
  [
    'LimitedSwap: none of a Guaranteed one',
    { rules: { swap: 'LimitedSwap' }, resources: guaranteed },
    { swapMaxBytes: 0 },
  ],
  ['LimitedSwap: none of a BestEffort one', { rules: { swap: 'LimitedSwap' } }, { swapMaxBytes: 0 }],
  [
    'LimitedSwap: none of what the cluster needs',
    { rules: { swap: 'LimitedSwap' }, resources: burstable, priority: 2_000_001_000 },
    { swapMaxBytes: 0 },
  ],
  [
    'memory.high is between request and limit',
    { rules: { throttlingFactor: 0.9 }, resources: burstable },
    { memoryHighBytes: 190 * Mi },
  ],
  [
    'memory.high without a limit is of the node',
    { rules: { throttlingFactor: 0.5 } },
    { memoryHighBytes: 400 * Mi },
  ],
  [
    'no memory.high of a Guaranteed one',
    { rules: { throttlingFactor: 0.9 }, resources: guaranteed },
    { memoryMaxBytes: 100 * Mi },
  ],
  [
    'reservation: memory.min',
    { rules: { isReserving: true }, resources: guaranteed },
    { memoryMinBytes: 100 * Mi },
  ],
  [
    'reservation: memory.low',
    { rules: { isReserving: true }, resources: burstable },
    { memoryLowBytes: 100 * Mi },
  ],
  [
    'huge pages of every size',
    {
      node: { hugePageSizes: ['2Mi', '1Gi'] },
      resources: { limits: { ...guaranteed.limits, 'hugepages-2Mi': '4Mi' } },
    },
    { hugePages: { '2MB': 4 * Mi, '1GB': 0 } },
  ],
];

describe('the cgroup of a container', () => {
  test.each(rows)('%s', (_name, { rules, node, resources, priority }, want) => {
    const container = { name: 'c', image: 'i', ...(resources === undefined ? {} : { resources }) };
    const pod: Pod = {
      metadata: { uid: 'u' },
      spec: { containers: [container], ...(priority === undefined ? {} : { priority }) },
    };
    const facts: CgroupFacts = {
      memoryBytes: 1000 * Mi,
      allocatable: { memoryBytes: 800 * Mi },
      swapBytes: 500 * Mi,
      cgroupRules: { ...defaultCgroupRules, ...rules },
      ...node,
    };
    const ruled = ruledContainer(cgroupOf(resources ?? {}), { pod, container }, facts);
    expect(ruled).toMatchObject(want);
    for (const name of ['memoryHighBytes', 'memoryMinBytes', 'memoryLowBytes', 'hugePages', 'unified'])
      expect([name, name in ruled]).toEqual([name, name in want]);
    const own = ruledPod({ cpuQuotaUs: 100_000 }, pod, facts);
    expect(own.cpuQuotaUs).toBe(
      rules?.hasQuota === false || node?.placementOf !== undefined ? -1 : (rules?.periodUs ?? 100_000),
    );
  });
});
