import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import { withRules } from '#api/device/device-taints.ts';
import type { DeviceTaintRule, DeviceToleration, Pod, ResourceSlice } from '#api/generated/objects.ts';
import { deviceTaintRules, namespaces, pods, resourceClaims, resourceSlices } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { runDeviceTaintEviction } from './reconcile.ts';
import { planRuleStatus, type RuleFacts } from './rule-status.ts';

const startMs = Date.parse('2026-01-01T00:00:00Z');
const facts: RuleFacts = { published: 0, allocated: 0, pods: 0, namespaces: 0, evicted: 0 };

function rule(
  effect: DeviceTaintRule['spec']['taint']['effect'],
  deviceSelector: DeviceTaintRule['spec']['deviceSelector'] = {},
): DeviceTaintRule {
  const taint = { key: 'broken', effect, timeAdded: '2026-01-01T00:00:00Z' };
  return { metadata: { name: 'r', generation: 1 }, spec: { deviceSelector, taint } };
}

const slice: ResourceSlice = {
  metadata: { name: 's' },
  spec: {
    driver: 'd',
    nodeName: 'n',
    pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
    devices: [{ name: 'x' }, { name: 'y' }],
  },
};

describe('withRules()', () => {
  it.each([
    ['without a selector', undefined, []],
    ['with one of nothing', {}, ['x', 'y']],
    ['of a device', { device: 'x' }, ['x']],
    ['of a pool', { driver: 'd', pool: 'p' }, ['x', 'y']],
    ['of another driver', { driver: 'e', device: 'x' }, []],
  ] as const)('a rule %s', (_name, selector, want) => {
    const { taint } = rule('NoSchedule').spec;
    const one = { spec: selector === undefined ? { taint } : { deviceSelector: selector, taint } };
    const devices = withRules([slice], [one]).flatMap(({ spec }) => spec.devices ?? []);
    expect(devices.filter(({ taints = [] }) => taints.length > 0).map(({ name }) => name)).toEqual(want);
  });
});

describe('planRuleStatus()', () => {
  const conditionOf = (...asked: Parameters<typeof planRuleStatus>) =>
    planRuleStatus(...asked)?.status?.conditions?.map(({ status, reason, message }) => [
      status,
      reason,
      message,
    ]);

  it.each([
    ['NoExecute', {}, ['False', 'NotStarted', '']],
    [
      'NoExecute',
      { pods: 1, namespaces: 1 },
      ['True', 'PodsPendingEviction', '1 pod needs to be evicted in 1 namespace.'],
    ],
    [
      'NoExecute',
      { pods: 3, namespaces: 2, evicted: 1 },
      [
        'True',
        'PodsPendingEviction',
        '3 pods need to be evicted in 2 different namespaces. 1 pod evicted since starting the controller.',
      ],
    ],
    ['NoExecute', { evicted: 2 }, ['False', 'Completed', '2 pods evicted since starting the controller.']],
    [
      'None',
      { published: 2, allocated: 1, pods: 1, namespaces: 1 },
      [
        'False',
        'NoEffect',
        '2 published devices selected. 1 allocated device selected. 1 pod would be evicted in 1 namespace if the effect was NoExecute. This information will not be updated again. Recreate the DeviceTaintRule to trigger an update.',
      ],
    ],
    ['NoSchedule', {}, ['False', 'OtherEffect', 'Eviction only happens for the NoExecute effect.']],
  ] as const)('of %s with %j', (effect, some, want) => {
    expect(conditionOf(rule(effect), { ...facts, ...some }, startMs)).toEqual([want]);
  });

  it('is silent where it is said', () => {
    const told = planRuleStatus(rule('NoSchedule'), facts, startMs);
    expect(told && planRuleStatus(told, facts, startMs + 60_000)).toBeUndefined();
    const moved = told && { ...told, metadata: { ...told.metadata, generation: 2 } };
    expect(moved && planRuleStatus(moved, facts, startMs)).toBeDefined();
  });
});

describe('runDeviceTaintEviction() with rules', () => {
  it('ends the pods of devices that a rule names, after their time, and says so', async () => {
    const clock = createFakeClock(startMs);
    const client = createFakeApiClient(clock);
    await using informers = createInformers({ client, clock });
    const recorder = { record: () => undefined, [Symbol.asyncDispose]: async () => undefined };
    await client.create(namespaces, { metadata: { name: 'ns' } });
    await client.create(resourceSlices, slice);
    const use = async (name: string, tolerations: readonly DeviceToleration[]): Promise<void> => {
      const pod: Pod = {
        metadata: { name, namespace: 'ns' },
        spec: {
          nodeName: 'n',
          containers: [{ name: 'c', image: 'i' }],
          resourceClaims: [{ name: 'r', resourceClaimName: name }],
        },
      };
      const { metadata } = await client.create(pods, pod);
      const result = { request: 'r', driver: 'd', pool: 'p', device: 'x', tolerations };
      const claim = await client.create(resourceClaims, { metadata: { name, namespace: 'ns' }, spec: {} });
      const status = {
        allocation: { devices: { results: [result] } },
        reservedFor: [{ resource: 'pods', name, uid: metadata?.uid ?? '' }],
      };
      await client.update(resourceClaims, { ...claim, status }, { subresource: 'status' });
    };
    const tolerated = { key: 'broken', operator: 'Exists' } as const;
    await use('plain', []);
    await use('later', [{ ...tolerated, tolerationSeconds: 60 }]);
    await use('always', [tolerated]);
    await using _loop = runDeviceTaintEviction(
      { ...{ informers, client, clock, logger: silentLogger }, recorder: () => recorder } as never,
      true,
    );
    const staying = () =>
      client
        .all(pods)
        .flatMap(({ metadata = {} }) => (metadata.deletionTimestamp === undefined ? [metadata.name] : []));
    const told = () => client.all(deviceTaintRules)[0]?.status?.conditions?.[0];
    const after = async (ms: number): Promise<void> => {
      clock.advance(ms);
      await untilQuiet();
    };
    await untilQuiet();
    await client.create(deviceTaintRules, rule('None'));
    await untilQuiet();
    expect(told()?.message).toContain(
      '2 published devices selected. 3 allocated devices selected. 2 pods would',
    );
    const found = await client.get(deviceTaintRules, { name: 'r' });
    await client.update(deviceTaintRules, { ...found, spec: rule('NoExecute', { device: 'x' }).spec });
    await untilQuiet();
    expect(staying()).toEqual(['always', 'later']);
    await after(10_000);
    expect(told()).toMatchObject({ status: 'True', reason: 'PodsPendingEviction' });
    expect(told()?.message).toMatch(/^1 pod needs .* 1 pod evicted since/);
    await after(49_000);
    expect(staying()).toEqual(['always', 'later']);
    await after(1000);
    expect(staying()).toEqual(['always']);
    await after(10_000);
    expect(told()).toMatchObject({ status: 'False', reason: 'Completed' });
  });
});
