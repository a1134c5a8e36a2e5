import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { events, pods } from '#api/schema/kind-ref.ts';
import { PodwrightError } from '#base/errors.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';
import { inputOf, machineOf } from './machine.fixture.ts';
import { NodeAssignments } from './node-assignments.ts';

const limits = (
  cpu: string,
): { readonly limits: Record<string, string>; readonly requests: Record<string, string> } => ({
  limits: { cpu, memory: '1Mi' },
  requests: { cpu, memory: '1Mi' },
});

test('a pod with CPUs alone moves the others off them, keeps them over a restart, and gives them back', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'place-'));
  using _directory = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  const input = inputOf(machineOf({ sockets: 1, cores: 4 }));
  const given = await NodeAssignments.open({ ...input, directory });
  await using node = await startTestNode({
    workers: { assignments: { given, everyMs: 10_000 } },
    facts: {
      allocatable: { cpuMilli: 4000, memoryBytes: 4e9, storageBytes: 1e10 },
      placementOf: (uid, container) => given.placementOf(uid, container),
    },
  });
  const cpusOf = (name: string): string | undefined => {
    const uid = node.get(name)?.metadata?.uid ?? '';
    const [container] = node.runtime.observe(uid)?.containers ?? [];
    return container === undefined
      ? undefined
      : node.runtime.resourcesOf(uid, container.id)?.unified?.['cpuset.cpus'];
  };
  node.create('shared', {});
  await node.settle();
  expect(cpusOf('shared')).toBe('0-3');
  // The first write of a placement fails: the next look does it.
  node.runtime.failNext.set(
    'updateContainerResources',
    new PodwrightError('E_KERNEL', 'write cpuset.cpus: EBUSY'),
  );
  node.create('alone', { containers: [{ name: 'main', image: 'busybox', resources: limits('2') }] });
  await node.settle();
  await node.advance(10_000);
  expect([cpusOf('alone'), cpusOf('shared')]).toEqual(['1-2', '0,3']);
  node.create('more', { containers: [{ name: 'main', image: 'busybox', resources: limits('2') }] });
  await node.settle();
  expect(node.get('more')?.status).toMatchObject({ phase: 'Failed', reason: 'UnexpectedAdmissionError' });
  await node.restart();
  await node.settle();
  expect([cpusOf('alone'), cpusOf('shared')]).toEqual(['1-2', '0,3']);
  await node.client.delete(pods, { namespace: 'default', name: 'alone' }, { gracePeriodSeconds: 1 });
  await node.settle();
  await node.advance(10_000);
  expect(cpusOf('shared')).toBe('0-3');
  expect(
    node.client
      .all(events)
      .filter(({ type }) => type === 'Warning')
      .map(({ reason }) => reason),
  ).toEqual(['UnexpectedAdmissionError']);
});
