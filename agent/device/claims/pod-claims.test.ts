import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { resourceClaims } from '#api/schema/kind-ref.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { startTestDriver } from '#agent/plugin/driver.fixture.ts';
import { startPluginWatcher } from '#agent/plugin/plugin-watcher.ts';
import { encodeClaimRecords, parseClaimRecords } from './claim-record.ts';
import { createTestDraDriver } from './dra-driver.fixture.ts';
import { DraDrivers, type DraDriver, type DriverDevice } from './dra-plugin.ts';
import { cdiIdsOf, openPodClaims, type PodClaims } from './pod-claims.ts';

const root = scratchDirectory('claims-');
const { signal } = new AbortController();

const podOf = (name: string, ...claims: readonly string[]): Pod => ({
  metadata: { name, namespace: 'ns', uid: `uid-${name}` },
  spec: {
    containers: [{ name: 'c', image: 'i' }],
    resourceClaims: claims.map((claim) => ({ name: claim, resourceClaimName: claim })),
  },
});

function claimOf(name: string, users: readonly Pod[], drivers = ['gpu.example']): ResourceClaim {
  return {
    metadata: { name, namespace: 'ns', uid: `uid-${name}` },
    spec: {},
    status: {
      allocation: {
        devices: {
          results: drivers.map((driver) => ({ request: 'r', driver, pool: 'p', device: 'd' })),
        },
      },
      reservedFor: users.map(({ metadata }) => ({
        resource: 'pods',
        name: metadata?.name ?? '',
        uid: metadata?.uid ?? '',
      })),
    },
  };
}

let count = 0;
let path: string;
let client: FakeApiClient;
let calls: string[];
/** Thrown by drivers, one after the other. */
let failures: string[];
/** Drivers that are not there. */
let missing: Set<string>;

beforeEach(() => {
  path = join(root, String(count++), 'claims.json');
  client = createFakeApiClient(createFakeClock());
  [calls, failures, missing] = [[], [], new Set()];
});

const open = (): Promise<PodClaims> =>
  openPodClaims({ path, client, logger: silentLogger, drivers: { find: driverOf } });

function driverOf(name: string): DraDriver {
  if (missing.has(name)) throw new Error(`DRA driver ${name} is not registered`);
  const call = async (what: string): Promise<void> => {
    calls.push(`${name} ${what}`);
    const failure = failures.shift();
    if (failure !== undefined) throw new Error(failure);
  };
  return {
    prepare: async (claim) => {
      await call(`prepare ${claim.name}`);
      return [{ pool: 'p', device: 'd', requests: ['r'], cdiIds: [`${name}/x=${claim.name}`] }];
    },
    unprepare: (claim) => call(`unprepare ${claim.name}`),
    watchHealths: async function* () {},
    [Symbol.dispose]: () => undefined,
  };
}

describe('openPodClaims()', () => {
  it('prepares what each claim was given once, also over a restart, and undoes it once', async () => {
    const pod = podOf('a', 'one', 'two');
    client.seed(resourceClaims, claimOf('one', [pod]));
    client.seed(resourceClaims, claimOf('two', [pod], ['gpu.example', 'nic.example']));
    const claims = await open();
    const prepared = await claims.prepare(pod, signal);
    expect([...prepared]).toMatchObject([
      ['one', [{ driver: 'gpu.example', cdiIds: ['gpu.example/x=one'] }]],
      ['two', [{ driver: 'gpu.example' }, { driver: 'nic.example', cdiIds: ['nic.example/x=two'] }]],
    ]);
    const next = await open();
    expect(await next.prepare(pod, signal)).toEqual(prepared);
    expect(next.podUids()).toEqual(new Set(['uid-a']));
    await next.unprepare('uid-a', signal);
    await next.unprepare('uid-a', signal);
    expect(calls).toEqual([
      'gpu.example prepare one',
      'gpu.example prepare two',
      'nic.example prepare two',
      'gpu.example unprepare one',
      'gpu.example unprepare two',
      'nic.example unprepare two',
    ]);
    expect((await open()).podUids().size).toBe(0);
  });

  it('keeps a claim for the pod that still uses it', async () => {
    const [a, b] = [podOf('a', 'one'), podOf('b', 'one')];
    client.seed(resourceClaims, claimOf('one', [a, b]));
    const claims = await open();
    await Promise.all([claims.prepare(a, signal), claims.prepare(b, signal)]);
    expect(calls).toEqual(['gpu.example prepare one']);
    await claims.unprepare('uid-a', signal);
    expect(calls.length).toBe(1);
    await claims.unprepare('uid-b', signal);
    expect(calls.at(-1)).toBe('gpu.example unprepare one');
  });

  it('undoes what a driver only began, and tries again what it could not', async () => {
    const pod = podOf('a', 'one');
    client.seed(resourceClaims, claimOf('one', [pod]));
    failures.push('no power');
    const claims = await open();
    await expect(claims.prepare(pod, signal)).rejects.toThrow('no power');
    const next = await open();
    failures.push('busy');
    await expect(next.unprepare('uid-a', signal)).rejects.toThrow('busy');
    await next.unprepare('uid-a', signal);
    expect(calls).toEqual(['gpu.example prepare one', ...Array(2).fill('gpu.example unprepare one')]);
    expect(next.podUids().size).toBe(0);
  });

  it('asks no driver to undo what none was asked to do', async () => {
    const pod = podOf('a', 'one', 'two');
    client.seed(resourceClaims, claimOf('one', [pod], ['gpu.example', 'nic.example']));
    client.seed(resourceClaims, claimOf('two', [pod], ['gpu.example', 'nic.example']));
    const claims = await open();
    missing.add('nic.example');
    await expect(claims.prepare(pod, signal)).rejects.toThrow('nic.example is not registered');
    missing.add('gpu.example');
    await claims.unprepare('uid-a', signal);
    missing.clear();
    failures.push('no power');
    await expect(claims.prepare(pod, signal)).rejects.toThrow('no power');
    missing.add('nic.example');
    await claims.unprepare('uid-a', signal);
    expect(calls).toEqual(['gpu.example prepare one', 'gpu.example unprepare one']);
    expect(claims.podUids().size).toBe(0);
  });

  it('says why a pod cannot have a claim', async () => {
    const pod = podOf('a', 'one');
    const claims = await open();
    await expect(claims.prepare(pod, signal)).rejects.toThrow('"one" not found');
    client.seed(resourceClaims, claimOf('one', []));
    await expect(claims.prepare(pod, signal)).rejects.toThrow(
      'pod a (uid-a) is not allowed to use ResourceClaim one (uid-one)',
    );
    client.seed(resourceClaims, claimOf('two', [podOf('b', 'two')]));
    missing.add('gpu.example');
    await expect(claims.prepare(podOf('b', 'two'), signal)).rejects.toThrow(
      'DRA driver gpu.example is not registered',
    );
    expect(calls).toEqual([]);
  });

  it('does nothing by a record that is damaged, and says what to do', async () => {
    const pod = podOf('a', 'one');
    client.seed(resourceClaims, claimOf('one', [pod]));
    await (await open()).prepare(pod, signal);
    writeFileSync(path, readFileSync(path, 'utf8').replace('uid-one', 'uid-two'));
    const claims = await open();
    await expect(claims.prepare(pod, signal)).rejects.toThrow('remove it');
    expect(calls.length).toBe(1);
  });
});

it('records are read as they were written, and cut short or changed not at all', () => {
  const record = { uid: 'u', namespace: 'n', name: 'c', podUids: ['p'], drivers: { d: null } };
  const text = encodeClaimRecords([record]);
  expect(parseClaimRecords(text)).toEqual([record]);
  for (let length = 0; length < text.length - 1; length++)
    expect(() => parseClaimRecords(text.slice(0, length))).toThrow();
});

it('a container gets what its claims are for, by the requests that it names', () => {
  const device = (requests: readonly string[], id: string) => ({ driver: 'd', requests, cdiIds: [id] });
  const prepared = new Map([['gpu', [device(['r'], 'x=1'), device(['s/big'], 'x=2'), device([], 'x=0')]]]);
  const idsOf = (...claims: readonly { readonly name: string; readonly request?: string }[]) =>
    cdiIdsOf({ name: 'c', resources: { claims } }, prepared);
  expect(idsOf({ name: 'gpu' })).toEqual(['x=1', 'x=2', 'x=0']);
  expect(idsOf({ name: 'gpu', request: 's' })).toEqual(['x=2', 'x=0']);
  expect(idsOf({ name: 'gpu', request: 'r' }, { name: 'gpu', request: 'r' })).toEqual(['x=1', 'x=0']);
  expect(idsOf({ name: 'nic' })).toEqual([]);
  expect(cdiIdsOf({ name: 'c' }, prepared)).toEqual([]);
});

describe('a driver', () => {
  const directory = (): string => join(root, `plugins-${count}`);
  const claim = { namespace: 'ns', name: 'one', uid: 'uid-one' };
  const device: DriverDevice = { pool: 'p', device: 'd', requests: ['r'], cdiIds: ['gpu.example/x=1'] };

  it('registers by its socket, is asked, and goes', async () => {
    const seen: string[] = [];
    using drivers = new DraDrivers({
      onChange: (name, isThere) => seen.push(`${isThere ? '+' : '-'}${name}`),
    });
    const watch = { directory: directory(), clock: systemClock, logger: silentLogger };
    await using _watcher = await startPluginWatcher({ ...watch, handlers: { DRAPlugin: drivers.handler } });
    const driver = await createTestDraDriver({
      devicesOf: ({ uid }) => (uid === 'uid-one' ? [device] : 'no such device'),
    });
    {
      await using _served = await startTestDriver(join(directory(), 'gpu.sock'), {
        info: { type: 'DRAPlugin', name: 'gpu.example', supported_versions: ['v1.DRAPlugin'] },
        services: [driver.service],
      });
      await expect.poll(() => seen).toEqual(['+gpu.example']);
      const found = drivers.find('gpu.example');
      expect(await found.prepare(claim, signal)).toEqual([device]);
      await expect(found.prepare({ ...claim, uid: 'other' }, signal)).rejects.toThrow(
        'NodePrepareResources failed for ResourceClaim one: no such device',
      );
      await found.unprepare(claim, signal);
      expect(driver.calls).toEqual(['prepare uid-one', 'prepare other', 'unprepare uid-one']);
    }
    await expect.poll(() => seen).toEqual(['+gpu.example', '-gpu.example']);
    expect(() => drivers.find('gpu.example')).toThrow('DRA driver gpu.example is not registered');
  });

  it('of no version that is known is refused', () => {
    using drivers = new DraDrivers({ onChange: () => undefined });
    const plugin = { type: 'DRAPlugin', name: 'x', endpoint: '/x', socket: '/x', identity: '1' };
    expect(() => drivers.handler.validate({ ...plugin, versions: ['v2.DRAPlugin'] })).toThrow(
      'none of the services v1.DRAPlugin, v1beta1.DRAPlugin is among v2.DRAPlugin',
    );
  });
});
