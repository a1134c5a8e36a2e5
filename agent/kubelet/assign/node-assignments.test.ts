import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { isPodwrightError } from '#base/errors.ts';
import { createRandom } from '#base/random.fixture.ts';
import type { AssignRules } from './assignment.ts';
import { parseCheckpoint, renderCheckpoint } from './checkpoint.ts';
import { formatCpuList, parseCpuList } from './cpu-list.ts';
import { inputOf, machineOf } from './machine.fixture.ts';
import { readTopology } from './machine-topology.ts';
import { NodeAssignments } from './node-assignments.ts';
import { rulesOn, defaultAssign } from './rules.ts';
import { renderAssignments } from '#agent/kubelet/stats/assign-metrics.ts';

const topology = machineOf({ sockets: 1, cores: 4 });
const podOf = (uid: string, cpu: string): Pod => ({
  metadata: { uid },
  spec: { containers: [{ name: 'c', image: 'i', resources: { limits: { cpu, memory: '100' } } }] },
});

describe('what a node assigned', () => {
  let directory = '';
  beforeEach(() => void (directory = mkdtempSync(path.join(tmpdir(), 'assign-'))));
  afterEach(() => rmSync(directory, { recursive: true }));
  const open = (rules: Partial<AssignRules> = {}): Promise<NodeAssignments> =>
    NodeAssignments.open({ ...inputOf(topology, { memoryPolicy: 'Static', ...rules }), directory });

  test('is there again when the agent is, and free when its pod is gone', async () => {
    const first = await open();
    expect(first.admit(podOf('a', '2'), new Set(['a']))).toBe(undefined);
    expect(first.placementOf('a', 'c')).toEqual({ cpus: '1-2', mems: '0', isAlone: true });
    expect(first.placementOf('b', 'c')).toEqual({ cpus: '0,3', mems: undefined, isAlone: false });
    await first.written();
    const again = await open();
    expect(again.placementOf('a', 'c')).toEqual({ cpus: '1-2', mems: '0', isAlone: true });
    expect(again.admit(podOf('b', '2'), new Set(['a', 'b']))?.message).toContain('requested=2, available=1');
    expect(again.admit(podOf('b', '2'), new Set(['b']))).toBe(undefined);
    await again.written();
    expect(JSON.parse(readFileSync(path.join(directory, 'cpu_manager_state'), 'utf8'))).toMatchObject({
      policyName: 'static',
      defaultCpuSet: '0,3',
      entries: { b: { c: '1-2' } },
    });
  });

  test('is told with what could be assigned at all', async () => {
    const node = await open();
    node.admit(podOf('a', '2'), new Set(['a']));
    expect(node.ofContainer('a', 'c')).toMatchObject({ cpus: [1, 2], memory: [{ bytes: 100, nodes: 1 }] });
    expect(node.ofContainer('b', 'c')).toBeUndefined();
    const memory = [{ resource: 'memory', bytes: 1000, nodes: 1 }];
    expect(node.allocatable()).toEqual({ cpus: [1, 2, 3], memory });
    const none = await open({ cpuPolicy: 'none', memoryPolicy: 'None' });
    expect(none.allocatable()).toEqual({ cpus: [], memory: [] });
  });

  test('is counted, with what could not be given', async () => {
    const node = await open();
    expect(node.admit(podOf('a', '2'), new Set(['a']))).toBe(undefined);
    expect(node.admit(podOf('b', '2'), new Set(['a', 'b']))).toEqual({
      reason: 'UnexpectedAdmissionError',
      message: expect.stringContaining('not enough cpus available'),
    });
    expect(node.admit(podOf('c', '500m'), new Set(['a', 'c']))).toBe(undefined);
    const text = renderAssignments(node);
    for (const line of [
      'kubelet_topology_manager_admission_requests_total 3',
      'kubelet_topology_manager_admission_errors_total 1',
      'kubelet_topology_manager_admission_duration_ms_count 3',
      'kubelet_cpu_manager_pinning_requests_total 2',
      'kubelet_cpu_manager_pinning_errors_total 1',
      'kubelet_cpu_manager_shared_pool_size_millicores 2000',
      'kubelet_cpu_manager_exclusive_cpu_allocation_count 2',
      'kubelet_cpu_manager_allocation_per_numa{numa_node="0"} 2',
      'kubelet_memory_manager_pinning_requests_total 2',
      'kubelet_memory_manager_pinning_errors_total 0',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).not.toContain('aligned_compute_resources_count{');
    const near = await open({ topologyPolicy: 'single-numa-node' });
    near.admit(podOf('d', '1'), new Set(['d']));
    near.admit(podOf('e', '64'), new Set(['d', 'e']));
    const aligned = renderAssignments(near);
    const labels = '{boundary="numa_node",scope="container"} 1';
    expect(aligned).toContain(`kubelet_container_aligned_compute_resources_count${labels}`);
    expect(aligned).toContain(`kubelet_container_aligned_compute_resources_failure_count${labels}`);
  });

  test('is of this machine, and whole, or the agent says what to do', async () => {
    const first = await open();
    first.admit(podOf('a', '2'), new Set(['a']));
    await first.written();
    await expect(open({ reservedCpus: [0, 1] })).rejects.toThrow(
      'take on assigned CPUs: 1 of cpu_manager_state',
    );
    const file = path.join(directory, 'cpu_manager_state');
    writeFileSync(file, readFileSync(file, 'utf8').replace('1-2', '1-3'));
    await expect(open()).rejects.toThrow(
      'read cpu_manager_state: its checksum is another; drain the node, remove the file',
    );
    // Under policies that give nothing it has no meaning.
    expect((await open({ cpuPolicy: 'none', memoryPolicy: 'None' })).placementOf('a', 'c').cpus).toBe(
      undefined,
    );
    expect((await open()).placementOf('a', 'c').isAlone).toBe(false);
  });

  test('that is damaged in any way is refused in words', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 5);
    const random = createRandom(seed);
    const assigned = new Map([
      ['u', new Map([['c', { cpus: [1, 2], memory: [{ resource: 'memory', bytes: 5, nodes: 1 }] }]])],
    ]);
    const texts = renderCheckpoint(assigned, { cpuPolicy: 'static', memoryPolicy: 'Static' }, [0, 3]);
    expect(parseCheckpoint(texts)).toEqual(assigned);
    for (let run = 0; run < 1000; run++) {
      const bytes = Buffer.from(texts.memory);
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 128);
      try {
        parseCheckpoint({ ...texts, memory: bytes.toString() });
      } catch (error) {
        if (!isPodwrightError(error, 'E_DAMAGED'))
          throw new Error(`seed ${seed}, run ${run}`, { cause: error });
      }
    }
  });
});

test('lists of CPUs come back as they went', () => {
  expect(parseCpuList(' 0-2,5\n')).toEqual([0, 1, 2, 5]);
  expect(formatCpuList([5, 0, 1, 2, 5])).toBe('0-2,5');
  expect(parseCpuList('')).toEqual([]);
  for (const text of ['3-1', '1,', 'a', '0-99999', '1-2-3'])
    expect([text, parseCpuList(text)]).toEqual([text, undefined]);
});

test('a machine is read of sysfs, and reserves its first CPUs', async () => {
  const machine = await readTopology();
  expect(machine.cpus.length).toBeGreaterThan(0);
  expect(machine.nodes.length).toBeGreaterThan(0);
  const settings = { ...defaultAssign, rules: { ...defaultAssign.rules, cpuPolicy: 'static' as const } };
  expect(rulesOn(settings, topology, { cpuMilli: 1500, memoryBytes: 0 }).reservedCpus).toEqual([0, 1]);
  const named = { ...settings, reservedCpus: [9] };
  expect(() => rulesOn(named, topology, { cpuMilli: 0, memoryBytes: 0 })).toThrow(
    'reservedSystemCPUs: the machine has no CPU 9',
  );
  const memory = { ...settings, rules: { ...settings.rules, memoryPolicy: 'Static' as const } };
  expect(() => rulesOn(memory, topology, { cpuMilli: 0, memoryBytes: 7 })).toThrow('reservedMemory: 0 bytes');
});
