import { expect, test } from 'vitest';
import type { Container } from '#api/generated/objects.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';

const stays = ['sh', '-c', 'sleep 100000'];
const rule = { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } };
const containers: readonly Container[] = [
  { name: 'watcher', image: 'busybox', command: stays, restartPolicy: 'Never', restartPolicyRules: [rule] },
  { name: 'work', image: 'busybox', command: stays },
  { name: 'once', image: 'busybox', command: ['sh', '-c', 'exit 0'] },
];

test('an exit that is said to restart all: init containers again, then all others, in the same sandbox', async () => {
  await using node = await startTestNode();
  const initContainers = [{ name: 'setup', image: 'busybox', command: ['sh', '-c', 'exit 0'] }];
  node.create('web', { containers, initContainers, restartPolicy: 'Never' });
  await node.settle();
  await node.advance(1000);
  await node.advance(1000);
  const uid = node.get('web')?.metadata?.uid ?? '';
  const sandbox = node.runtime.observe(uid)?.sandbox?.id;
  const before = node.runtime.calls.length;
  node.runtime.exit(uid, 'watcher', 88);
  await node.settle();
  // The grace of the one that runs, the init container, the status.
  for (let seconds = 0; seconds < 4; seconds++) await node.advance(1000);
  const calls = node.runtime.calls.slice(before).map((call) => call.replace(` ${uid}`, ''));
  // With as little grace as there is, and without hooks.
  expect(calls.filter((call) => call.startsWith('stop'))).toEqual(['stopContainer work 1']);
  const starts = calls.filter((call) => call.startsWith('startContainer'));
  expect(starts[0]).toBe('startContainer setup');
  expect(starts.slice(1).toSorted()).toEqual([
    'startContainer once',
    'startContainer watcher',
    'startContainer work',
  ]);
  expect(node.runtime.observe(uid)?.sandbox?.id).toBe(sandbox);
  const {
    phase,
    containerStatuses = [],
    initContainerStatuses = [],
    conditions = [],
  } = node.get('web')?.status ?? {};
  expect(phase).toBe('Running');
  expect([...initContainerStatuses, ...containerStatuses].map(({ restartCount }) => restartCount)).toEqual([
    1, 1, 1, 1,
  ]);
  expect(conditions.some(({ type }) => type === 'AllContainersRestarting')).toBe(false);

  // Another agent decides on the same, and again only for another such end.
  await node.restart();
  await node.settle();
  expect(node.runtime.calls.slice(before + calls.length).filter((call) => call.startsWith('st'))).toEqual([]);
  node.runtime.exit(uid, 'watcher', 1);
  node.runtime.exit(uid, 'work', 0);
  await node.settle();
  expect(node.get('web')?.status?.phase).toBe('Failed');
});

test('is told while it is under way, and waits as any restart does', async () => {
  await using node = await startTestNode();
  node.create('web', { containers, restartPolicy: 'Never' });
  await node.settle();
  await node.advance(1000);
  await node.advance(1000);
  const uid = node.get('web')?.metadata?.uid ?? '';
  for (let times = 0; times < 2; times++) {
    node.runtime.exit(uid, 'watcher', 88);
    await node.settle();
    await node.advance(1000);
  }
  const { phase, conditions = [] } = node.get('web')?.status ?? {};
  expect(phase).toBe('Running');
  expect(conditions.find(({ type }) => type === 'AllContainersRestarting')?.status).toBe('True');
  await node.advance(10_000);
  const running =
    node.runtime.observe(uid)?.containers.filter(({ state }) => state.state === 'running') ?? [];
  expect(running.map(({ name }) => name).toSorted()).toEqual(['watcher', 'work']);
});
