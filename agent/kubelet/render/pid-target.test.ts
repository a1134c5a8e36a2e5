import { expect, test } from 'vitest';
import type { EphemeralContainer } from '#api/generated/objects.ts';
import type { ContainerObservation, ContainerState } from '#agent/runtime/runtime.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { findPidTarget, pidTargetName } from './pid-target.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';

const debug: EphemeralContainer = { name: 'd', image: 'i', targetContainerName: 'c' };

test.each([
  { name: 'the one it names', container: debug, more: {}, want: 'c' },
  { name: 'none by default', container: { name: 'c', image: 'i' }, more: {}, want: undefined },
  { name: 'none for ""', container: { ...debug, targetContainerName: '' }, more: {}, want: undefined },
  { name: 'all of the pod', container: debug, more: { shareProcessNamespace: true }, want: undefined },
  { name: 'all of the host', container: debug, more: { hostPID: true }, want: undefined },
])('pidTargetName(): $name', ({ container, more, want }) => {
  expect(pidTargetName(container, { containers: [], ...more })).toBe(want);
});

const running: ContainerState = { state: 'running', startedAtMs: 0, pid: 7 };
const created: ContainerState = { state: 'created' };
const run = (id: string, state: ContainerState): ContainerObservation => ({
  id,
  name: id.slice(0, 1),
  attempt: 0,
  image: 'i',
  imageId: 'i',
  logPath: undefined,
  state,
});

test('findPidTarget() is the last run of the container', () => {
  expect(findPidTarget('c', [run('c0', created), run('c1', running), run('d0', created)])).toBe('c1');
});

test.each([
  { name: 'one that never ran', runs: [run('d0', running)], want: 'unable to find target container "c"' },
  {
    name: 'one that does not run now',
    runs: [run('c0', running), run('c1', created)],
    want: 'target container "c" is not running',
  },
])('findPidTarget() refuses $name', ({ runs, want }) => {
  expect(() => findPidTarget('c', runs)).toThrow(want);
});

test('kubelet waits with a debug container for its target, and starts it beside that', async () => {
  const exits = [3, 3]; // The second time it waits for its back-off.
  await using node = await startTestNode({
    behave: ({ name }) =>
      name === 'main' && exits.length > 0 ? { exitAfterMs: 0, exitCode: exits.pop() ?? 0 } : undefined,
  });

  const pod = node.create('web', {});
  await node.settle();
  await node.advance(0);
  await node.advance(0);
  const body = {
    spec: { ephemeralContainers: [{ ...debug, image: 'busybox', targetContainerName: 'main' }] },
  };
  await node.client.patch(pods, { namespace: 'default', name: 'web' }, { kind: 'merge', body });
  await node.settle();
  const stateOf = (): unknown => node.get('web')?.status?.ephemeralContainerStatuses?.[0]?.state;
  expect(stateOf()).toEqual({
    waiting: {
      reason: 'CreateContainerConfigError',
      message: 'target container "main" is not running',
    },
  });
  for (let seconds = 0; seconds < 30; seconds += 5) await node.advance(5000);
  expect(stateOf()).toHaveProperty('running');
  const target = node.runtime
    .observe(pod.metadata?.uid ?? '')
    ?.containers.findLast(({ name }) => name === 'main');
  expect(node.startedConfigs.find(({ name }) => name === 'd')?.pidTarget).toBe(target?.id);
});
