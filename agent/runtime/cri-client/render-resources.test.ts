import { expect, it } from 'vitest';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { LinuxContainerResources } from '#proto/cri/api.ts';
import { resourcesRequest } from './render-resources.ts';

const files = ['memory.min', 'memory.low', 'memory.high', 'memory.oom.group', 'memory.swap.max'];

const cases: readonly [string, CgroupResources, Outgoing<LinuxContainerResources>][] = [
  ['nothing', {}, { unified: {} }],
  ['CPUs', { cpuQuotaUs: 5000, cpuPeriodUs: 10_000 }, { cpu_quota: 5000, cpu_period: 10_000, unified: {} }],
  ['memory', { memoryMaxBytes: 4096 }, { memory_limit_in_bytes: 4096, unified: {} }],
  ['no swap', { swapMaxBytes: 0 }, { unified: { 'memory.swap.max': '0' } }],
  [
    'a part of the swap beside a limit',
    { memoryMaxBytes: 4096, swapMaxBytes: 8192 },
    { memory_limit_in_bytes: 4096, unified: { 'memory.swap.max': '8192' } },
  ],
  ['the end of all of it', { isOomGroup: true }, { unified: { 'memory.oom.group': '1' } }],
  ['the end of one', { isOomGroup: false }, { unified: { 'memory.oom.group': '0' } }],
  [
    'what is protected',
    { memoryMinBytes: 1, memoryLowBytes: 2, memoryHighBytes: 3 },
    { unified: { 'memory.min': '1', 'memory.low': '2', 'memory.high': '3' } },
  ],
  [
    'huge pages, none among them',
    { hugePages: { '2MB': 2_097_152, '1GB': 0 } },
    {
      hugepage_limits: [
        { page_size: '2MB', limit: 2_097_152 },
        { page_size: '1GB', limit: 0 },
      ],
      unified: {},
    },
  ],
  [
    'CPUs and memory of its own',
    { unified: { 'cpuset.cpus': '1-2', 'cpuset.mems': '0', 'io.weight': '50' } },
    { cpuset_cpus: '1-2', cpuset_mems: '0', unified: { 'io.weight': '50' } },
  ],
  ['processes', { pidsMax: 7 }, { unified: { 'pids.max': '7' } }],
];

it.each(cases)('a runtime is asked for %s', (_name, asked, want) => {
  expect(resourcesRequest(asked, new Set(files))).toEqual(want);
});

it('a runtime is not asked for files that the kernel has not got', () => {
  expect(resourcesRequest({ swapMaxBytes: 0, isOomGroup: true }, new Set(['memory.oom.group']))).toEqual({
    unified: { 'memory.oom.group': '1' },
  });
});
