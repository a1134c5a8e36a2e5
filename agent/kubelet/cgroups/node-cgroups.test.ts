import { expect, test } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { cpuWeight } from '#agent/kubelet/render/resources.ts';
import { readSettings } from '#agent/kubelet/config/settings.ts';
import { createFakeCgroups } from '#native/cgroup/cgroup.fake.ts';
import { applyNodeCgroups, createClassWeights, planNodeCgroups } from './node-cgroups.ts';

const machine = {
  cpuCount: 4,
  memoryBytes: 4 * 2 ** 30,
  pidsMax: 1000,
  hugePages: new Map([['hugepages-2Mi', 2 ** 22]]),
};
const reserved = {
  kubeReserved: { cpu: '500m', memory: '1Gi', pid: '100' },
  systemReserved: { cpu: '500m', memory: '1Gi' },
};
const cgroups = { kubeReservedCgroup: '/kube.slice', systemReservedCgroup: '/system.slice' };

test('what pods have together is what is left of the machine', () => {
  expect(planNodeCgroups(machine, readSettings(reserved))).toEqual({
    own: [
      {
        path: 'kubepods',
        resources: {
          cpuWeight: cpuWeight(3000),
          memoryMaxBytes: 2 * 2 ** 30,
          pidsMax: 900,
          hugePages: { '2MB': 2 ** 22 },
        },
      },
    ],
    host: [],
  });
  expect(planNodeCgroups(machine, readSettings({ ...reserved, enforceNodeAllocatable: ['none'] }))).toEqual({
    own: [],
    host: [],
  });
});

test('the system is limited to what is kept for it, or is weighed by it', () => {
  const settings = (enforceNodeAllocatable: readonly string[]): ReturnType<typeof readSettings> =>
    readSettings({ ...reserved, ...cgroups, enforceNodeAllocatable });
  expect(planNodeCgroups(machine, settings(['system-reserved', 'kube-reserved-compressible'])).host).toEqual([
    { path: 'system.slice', resources: { cpuWeight: 59, memoryMaxBytes: 2 ** 30 } },
    { path: 'kube.slice', resources: { cpuWeight: 59 } },
  ]);
});

test('is written where it is to be, and a cgroup that is not there is said', async () => {
  const [own, host] = [createFakeCgroups(), createFakeCgroups()];
  const plan = planNodeCgroups(
    machine,
    readSettings({ ...reserved, ...cgroups, enforceNodeAllocatable: ['pods', 'system-reserved'] }),
  );
  const trees = { own, host: () => host };
  await expect(applyNodeCgroups(plan, trees)).rejects.toThrow('limit cgroup /system.slice: it is not there');
  await host.ensure('system.slice', ['cpu', 'memory']);
  await applyNodeCgroups(plan, trees);
  expect(own.files('kubepods').get('memory.max')).toBe(String(2 * 2 ** 30));
  expect(host.files('system.slice').get('memory.max')).toBe(String(2 ** 30));
});

test('classes weigh what their pods ask for', async () => {
  const tree = createFakeCgroups();
  const weigh = createClassWeights(tree);
  const asking: Pod = {
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] },
  };
  await weigh([]);
  expect(tree.files('kubepods/burstable').get('cpu.weight')).toBe('1');
  await weigh([asking, { spec: { containers: [{ name: 'c', image: 'i' }] } }]);
  expect(tree.files('kubepods/burstable').get('cpu.weight')).toBe('100');
  expect(tree.files('kubepods/besteffort').get('cpu.weight')).toBe('1');
});
