import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { createFakeClock } from '#base/clock.ts';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import { startTestNode, startMs } from '#agent/kubelet/test-node.fixture.ts';
import { startFakeBus } from '#native/dbus/bus.fixture.ts';
import { createLogindSource } from './logind-source.ts';
import { NodeShutdown, type ShutdownSource } from './node-shutdown.ts';
import { planShutdown } from './plan-shutdown.ts';

const groups = [
  { priority: 0, seconds: 20 },
  { priority: 1000, seconds: 10 },
];

test('pods end by the group that their priority is in, the least important first', () => {
  const podOf = (name: string, priority?: number): Pod => ({
    metadata: { name },
    spec: { containers: [], ...(priority === undefined ? {} : { priority }) },
  });
  const pods = [
    podOf('high', 5000),
    podOf('none'),
    podOf('below', -7),
    podOf('edge', 1000),
    podOf('low', 999),
  ];
  const names = planShutdown(groups, pods).map(({ seconds, pods: of }) => [
    seconds,
    of.map(({ metadata }) => metadata?.name),
  ]);
  expect(names).toEqual([
    [20, ['none', 'below', 'low']],
    [10, ['high', 'edge']],
  ]);
  expect(planShutdown(groups, [podOf('high', 5000)])).toHaveLength(1);
});

/** A source that a test speaks for. */
function createSource(): ShutdownSource & { tell(isGoingDown: boolean): void; released: number } {
  let onChange = (_isGoingDown: boolean): void => undefined;
  return {
    released: 0,
    tell: (isGoingDown) => onChange(isGoingDown),
    start: async (listener) => void (onChange = listener),
    async release() {
      this.released++;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

describe('a node that goes down', () => {
  const stubborn = { name: 'main', image: 'busybox', command: ['sh', '-c', 'sleep 1000'] };
  const quick = { name: 'main', image: 'busybox', command: ['sh', '-c', "trap 'exit 0' TERM; sleep 1000"] };

  test('ends its pods in turns, takes no other, says why, and lets the machine go then', async () => {
    const source = createSource();
    const clock = createFakeClock(startMs);
    let refreshed = 0;
    const { log } = createRecordedLog();
    const shutdown = new NodeShutdown({
      groups,
      sources: [source],
      clock,
      logger: log,
      refreshNode: () => refreshed++,
    });
    await using node = await startTestNode({
      workers: { shutdown },
      facts: { isGoingDown: () => shutdown.isGoingDown },
    });
    node.create('first', { containers: [quick] });
    node.create('last', { containers: [quick], priority: 2000 });
    await node.settle();
    source.tell(true);
    await node.settle();
    node.create('late', { containers: [quick] });
    await node.settle();
    expect(node.get('late')?.status).toMatchObject({
      phase: 'Failed',
      reason: 'NodeShutdown',
      message: 'Pod was rejected: Pod was rejected as the node is shutting down.',
    });
    for (const name of ['first', 'last']) {
      expect(node.get(name)?.status).toMatchObject({
        phase: 'Failed',
        reason: 'Terminated',
        message: 'Pod was terminated in response to imminent node shutdown.',
      });
      expect(
        node.get(name)?.status?.conditions?.find(({ type }) => type === 'DisruptionTarget'),
      ).toMatchObject({
        status: 'True',
        reason: 'TerminationByKubelet',
      });
    }
    const stops = node.runtime.calls.filter((call) => call.startsWith('stopContainer'));
    expect(stops).toHaveLength(2);
    expect([source.released, refreshed]).toEqual([1, 1]);
    expect(shutdown.endedAt).toBeGreaterThan(0);
  });

  test('waits for who does not end as long as its turn is, and no longer', async () => {
    const source = createSource();
    const clock = createFakeClock(startMs);
    const { log } = createRecordedLog();
    const shutdown = new NodeShutdown({
      groups,
      sources: [source],
      clock,
      logger: log,
      refreshNode: () => undefined,
    });
    await using node = await startTestNode({ workers: { shutdown } });
    node.create('first', { containers: [stubborn], terminationGracePeriodSeconds: 300 });
    node.create('last', { containers: [quick], priority: 2000 });
    await node.settle();
    source.tell(true);
    await node.settle();
    expect([node.get('first')?.status?.phase, node.get('last')?.status?.phase]).toEqual([
      'Running',
      'Running',
    ]);
    await node.advance(20_000);
    expect([node.get('first')?.status?.phase, node.get('last')?.status?.phase]).toEqual(['Failed', 'Failed']);
    expect(source.released).toBe(1);
  });

  test('holds the machine until it is told that its pods have ended, and not for ever', async () => {
    const source = createSource();
    const { log } = createRecordedLog();
    const clock = createFakeClock(startMs);
    const shutdown = new NodeShutdown({
      ...{ groups, sources: [source], clock, logger: log },
      refreshNode: () => undefined,
    });
    await using node = await startTestNode({ workers: { shutdown } });
    node.create('first', { containers: [quick] });
    node.create('last', { containers: [quick], priority: 2000 });
    await node.settle();
    let isSilent = true;
    node.client.intercept = ({ verb, resource }) =>
      isSilent && verb === 'patch' && resource === 'pods' ? new Error('connection refused') : undefined;
    source.tell(true);
    await node.settle();
    const stops = (): number => node.runtime.calls.filter((call) => call.startsWith('stopContainer')).length;
    expect([stops(), source.released]).toEqual([1, 0]);
    isSilent = false;
    await node.advance(2000);
    expect([stops(), source.released]).toEqual([2, 1]);
    for (const name of ['first', 'last']) expect(node.get(name)?.status?.phase).toBe('Failed');
    source.tell(false);
    node.create('third', { containers: [quick] });
    await node.settle();
    isSilent = true;
    source.tell(true);
    await node.settle();
    expect(source.released).toBe(1);
    await node.advance(5000);
    expect(source.released).toBe(2);
  });

  test('that does not after all takes pods again', async () => {
    const source = createSource();
    const clock = createFakeClock(startMs);
    const { log } = createRecordedLog();
    const shutdown = new NodeShutdown({
      groups,
      sources: [source],
      clock,
      logger: log,
      refreshNode: () => undefined,
    });
    await using node = await startTestNode({
      workers: { shutdown },
      facts: { isGoingDown: () => shutdown.isGoingDown },
    });
    source.tell(true);
    await node.settle();
    source.tell(false);
    node.create('web', {});
    await node.settle();
    expect(node.get('web')?.status?.phase).toBe('Running');
  });
});

describe('logind', () => {
  test('is told how long to wait, held, and heard', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'logind-'));
    using _directory = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };

    let waits = 5_000_000n;
    await using bus = await startFakeBus(path.join(directory, 'bus'), ({ member }) => {
      if (member === 'KillUnit') waits = 30_000_000n;
      return member === 'Get' ? [{ type: 't', value: waits }] : [];
    });
    const locks: string[] = [];
    const { log, lines } = createRecordedLog();
    const source = createLogindSource({
      seconds: 30,
      logger: log,
      clock: createFakeClock(startMs),
      busPath: bus.path,
      configDirectory: path.join(directory, 'logind.conf.d'),
      inhibit: async () => {
        locks.push('held');
        return { [Symbol.asyncDispose]: async () => void locks.push('let go') };
      },
    });
    const heard: boolean[] = [];
    await source.start((isGoingDown) => heard.push(isGoingDown));
    expect(readFileSync(path.join(directory, 'logind.conf.d/99-kubelet.conf'), 'utf8')).toContain(
      'InhibitDelayMaxSec=30',
    );
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    const prepare = {
      path: '/org/freedesktop/login1',
      interface: 'org.freedesktop.login1.Manager',
      member: 'PrepareForShutdown',
    };
    bus.signal({ ...prepare, body: [{ type: 'b', value: true }] });
    await expect.poll(() => heard).toEqual([true]);
    await source.release();
    bus.signal({ ...prepare, body: [{ type: 'b', value: false }] });
    await expect.poll(() => locks).toEqual(['held', 'let go', 'held']);
    await source[Symbol.asyncDispose]();
    expect(heard).toEqual([true, false]);
    expect(bus.calls.map(({ member }) => member)).toEqual(['Hello', 'AddMatch', 'Get', 'KillUnit', 'Get']);
  });
});
