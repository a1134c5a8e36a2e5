import { expect, it } from 'vitest';
import type { Container } from '#api/generated/objects.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';

const stays = ['sh', '-c', 'sleep 100000'];
const startupProbe = { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 2 };
const side: Container = {
  name: 'side',
  image: 'busybox',
  command: stays,
  restartPolicy: 'Always',
  startupProbe,
};
const main: Container = { name: 'main', image: 'busybox', command: stays };

it('a sidecar that starts at its second run lets the others begin, though the pod restarts nothing (kubernetes#132826)', async () => {
  let isUp = false;
  await using node = await startTestNode({ onExec: () => ({ exitCode: isUp ? 0 : 1 }) });
  node.create('web', {
    restartPolicy: 'Never',
    initContainers: [side, { ...side, name: 'other' }],
    containers: [main],
  });
  await node.settle();
  await node.advance(4000);
  isUp = true;
  for (let seconds = 0; seconds < 60; seconds++) await node.advance(1000);
  const { initContainerStatuses = [], containerStatuses = [] } = node.get('web')?.status ?? {};
  expect(initContainerStatuses.map(({ started }) => started)).toEqual([true, true]);
  expect(initContainerStatuses[0]?.restartCount).toBeGreaterThan(0);
  expect(containerStatuses[0]?.state?.running).toBeDefined();
});

it('a container that ends after the agent came back is run again beside a sidecar with a startup probe (kubernetes#137146)', async () => {
  let isUp = true;
  await using node = await startTestNode({ onExec: () => ({ exitCode: isUp ? 0 : 1 }) });
  const { uid = '' } = node.create('web', { initContainers: [side], containers: [main] }).metadata ?? {};
  await node.settle();
  await node.advance(2000);
  isUp = false; // Whoever asks again would not let it begin.
  await node.restart();
  await node.settle();
  node.runtime.exit(uid, 'main', 1);
  await node.settle();
  for (let seconds = 0; seconds < 20; seconds++) await node.advance(1000);
  const { initContainerStatuses = [], containerStatuses = [] } = node.get('web')?.status ?? {};
  expect(initContainerStatuses[0]).toMatchObject({ started: true, restartCount: 0 });
  expect(containerStatuses[0]).toMatchObject({ restartCount: 1, ready: true });
});
