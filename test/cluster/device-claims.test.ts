/** Claims of devices from template to container and back, with a driver that registers at the node, over a kill of its agent. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { createTestDraDriver } from '#agent/device/claims/dra-driver.fixture.ts';
import { startTestDriver } from '#agent/plugin/driver.fixture.ts';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { canTestClusters, eventually, startCluster } from './cluster.ts';
import { pidsOf } from './processes.ts';

const image = 'podwright/demo:1';
const driver = 'gpu.example';
const group = { apiVersion: 'resource.k8s.io/v1' };
const condition = `device.attributes['${driver}'].memory >= 40`;
const objects = [
  {
    ...{ ...group, kind: 'DeviceClass', metadata: { name: 'gpu' } },
    spec: {
      selectors: [{ cel: { expression: `device.driver == '${driver}'` } }],
      extendedResourceName: 'example.com/gpu',
    },
  },
  {
    ...{ ...group, kind: 'ResourceSlice', metadata: { name: 'node-1-gpus' } },
    spec: {
      driver,
      nodeName: 'node-1',
      pool: { name: 'node-1', generation: 1, resourceSliceCount: 1 },
      devices: [16, 80].map((memory) => ({
        name: `gpu-${memory}`,
        attributes: { memory: { int: memory } },
      })),
    },
  },
  {
    ...{ ...group, kind: 'ResourceClaimTemplate', metadata: { name: 'large-gpu' } },
    spec: {
      spec: {
        devices: {
          requests: [
            {
              name: 'gpu',
              exactly: { deviceClassName: 'gpu', selectors: [{ cel: { expression: condition } }] },
            },
          ],
        },
      },
    },
  },
];
const pod = (name: string): object => ({
  ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'c', image, command: ['sleep', '3600'], resources: { claims: [{ name: 'gpu' }] } }],
    resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'large-gpu' }],
  },
});

describe.skipIf(!canTestClusters())('claims of devices (needs kubectl)', () => {
  it('a pod gets the device that its claim asks for; the next waits until it is gone', async () => {
    await using cluster = await startCluster({
      more: ['--server-option', 'runtime-config=resource.k8s.io/v1beta2=true'],
    });
    const get = async <T>(what: string): Promise<T> => JSON.parse(await cluster.must(`get ${what} -o json`));
    const create = (object: object): Promise<string> =>
      cluster.must('create -f -', { input: JSON.stringify(object) });
    const dra = await createTestDraDriver({
      devicesOf: () => [{ pool: 'node-1', device: 'gpu-80', requests: [], cdiIds: [`${driver}/gpu=large`] }],
    });
    const cdi = join(cluster.dataDir, 'node-1', 'kubelet', 'cdi');
    mkdirSync(cdi);
    const edits = { env: ['GPU=80'], mounts: [{ hostPath: cdi, containerPath: '/cdi', options: ['ro'] }] };
    const spec = {
      cdiVersion: '0.6.0',
      kind: `${driver}/gpu`,
      devices: [{ name: 'large', containerEdits: edits }],
    };
    writeFileSync(join(cdi, 'gpu.json'), JSON.stringify(spec));
    const registry = join(cluster.dataDir, 'node-1', 'kubelet', 'plugins_registry');
    await using _driver = await startTestDriver(join(registry, 'gpu.sock'), {
      info: {
        ...{ type: 'DRAPlugin', name: driver },
        supported_versions: ['v1.DRAPlugin', 'v1alpha1.DRAResourceHealth'],
      },
      services: [dra.service, dra.health],
    });
    for (const object of objects) await create(object);
    await create(pod('first'));
    await eventually(
      'first runs',
      async () => (await get<Pod>('pod first')).status?.phase === 'Running',
      30_000,
    );
    const {
      items: [claim],
    } = await get<{ readonly items: readonly ResourceClaim[] }>('resourceclaims');
    expect(claim?.status?.allocation?.devices?.results?.map(({ device }) => device)).toEqual(['gpu-80']);
    expect(await cluster.must('get resourceclaims --no-headers')).toContain('allocated,reserved');
    expect(await cluster.must('exec first -- sh -c "echo $GPU; ls /cdi"')).toBe('80\ngpu.json\n');
    expect(dra.calls).toEqual([`prepare ${claim?.metadata?.uid ?? ''}`]);
    // What it has is said to whoever monitors the node, and how that is, in its status.
    const contract = await loadContract('podresources-v1');
    const endpoint = join(cluster.dataDir, 'node-1', 'kubelet', 'pod-resources', 'kubelet.sock');
    {
      using client = createUnixClient(contract, { endpoint, timeoutMs: 30_000 });
      const { Get } = contract.services['v1.PodResourcesLister'];
      const said = await client.call(Get, { pod_name: 'first', pod_namespace: 'default' });
      const resources = said.pod_resources?.containers[0]?.dynamic_resources;
      expect(resources).toMatchObject([
        { claim_resources: [{ device_name: 'gpu-80', cdi_devices: [{ name: `${driver}/gpu=large` }] }] },
      ]);
    }
    const health = async (): Promise<string | undefined> => {
      const { status } = await get<Pod>('pod first');
      return status?.containerStatuses?.[0]?.allocatedResourcesStatus?.[0]?.resources?.[0]?.health;
    };
    expect(await health()).toBe('Unknown');
    for (const [told, shown] of [
      ['HEALTHY', 'Healthy'],
      ['UNHEALTHY', 'Unhealthy'],
    ] as const) {
      dra.tell([{ device: { pool_name: 'node-1', device_name: 'gpu-80' }, health: told }]);
      await eventually(shown, async () => (await health()) === shown);
    }

    await create(pod('second'));
    const refusal = '0/1 nodes are available: 1 cannot allocate all claims.';
    await eventually('second waits', async () =>
      (await get<Pod>('pod second')).status?.conditions?.some(({ message }) => message?.startsWith(refusal)),
    );
    const [agent = 0] = pidsOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/node-1 `));
    process.kill(agent, 'SIGKILL');
    await cluster.must('delete pod first --wait=false');
    await eventually('second runs', async () => (await get<Pod>('pod second')).status?.phase === 'Running');
    expect(dra.calls.slice(1, 2)).toEqual([`unprepare ${claim?.metadata?.uid ?? ''}`]);
    expect(dra.calls.length).toBe(3);

    // As of a device plugin, which the node does not have: the other device of the class.
    const limits = { 'example.com/gpu': 1 };
    const command = ['sh', '-c', 'echo $GPU; exec sleep 3600'];
    await create({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'extended' } },
      spec: { containers: [{ name: 'c', image, command, resources: { limits } }] },
    });
    await eventually(
      'extended runs',
      async () => (await get<Pod>('pod extended')).status?.phase === 'Running',
    );
    const { status } = await get<Pod>('pod extended');
    const { resourceClaimName = '' } = status?.extendedResourceClaimStatus ?? {};
    const made = await get<ResourceClaim>(`resourceclaim ${resourceClaimName}`);
    expect(made.status?.allocation?.devices?.results?.map(({ device }) => device)).toEqual(['gpu-16']);
    expect(await cluster.must('logs extended')).toBe('80\n');
    expect(dra.calls.at(-1)).toBe(`prepare ${made.metadata?.uid ?? ''}`);
    await cluster.must('delete pod extended --grace-period=1');
    await eventually(
      'its claim is gone',
      async () => (await cluster.kubectl(`get resourceclaim ${resourceClaimName}`)).code !== 0,
    );
    expect(dra.calls.at(-1)).toBe(`unprepare ${made.metadata?.uid ?? ''}`);

    // Somebody says that the device is not to be used, and takes it back.
    const taint = { key: 'example.com/broken', effect: 'NoExecute' };
    await create({
      ...{ apiVersion: 'resource.k8s.io/v1beta2', kind: 'DeviceTaintRule', metadata: { name: 'broken' } },
      spec: { deviceSelector: { driver, device: 'gpu-80' }, taint },
    });
    await eventually('second is gone', async () => (await cluster.kubectl('get pod second')).code !== 0);
    await create(pod('third'));
    await eventually('third waits', async () =>
      (await get<Pod>('pod third')).status?.conditions?.some(({ message }) => message?.startsWith(refusal)),
    );
    await cluster.must(
      'wait devicetaintrule/broken --for=jsonpath={.status.conditions[0].reason}=Completed --timeout=60s',
    );
    await cluster.must('delete devicetaintrule broken');
    await eventually('third runs', async () => (await get<Pod>('pod third')).status?.phase === 'Running');
  });
});
