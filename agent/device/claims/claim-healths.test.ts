import { beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { DeviceHealth } from '#proto/dra-health/api.ts';
import { ClaimHealths, followHealths, healthRetryMs, parseReport } from './claim-healths.ts';
import type { ClaimRecord } from './claim-record.ts';
import { claimHealthsOf, dynamicResourcesOf } from './container-claims.ts';

let clock: FakeClock;
let changes: string[];
let healths: ClaimHealths;

beforeEach(() => {
  clock = createFakeClock();
  changes = [];
  healths = new ClaimHealths({
    clock,
    onChange: (driver, devices) => changes.push(`${driver} ${[...devices].toSorted().join(',')}`),
  });
});

const told = (
  device: string,
  health: DeviceHealth['health'],
  more: Partial<DeviceHealth> = {},
): DeviceHealth => ({
  ...{ device: { pool_name: 'p', device_name: device }, health, message: '' },
  ...{ last_updated_time: 0, health_check_timeout_seconds: 0, ...more },
});
const report = (...devices: readonly DeviceHealth[]): void => healths.report('d', parseReport(devices));
const of = (device: string): unknown => healths.of('d', 'p', device);

describe('health of devices of claims', () => {
  it('is what the driver said last, with its words', () => {
    report(told('a', 'HEALTHY'), told('b', 'UNHEALTHY', { message: 'too hot' }), told('c', 'UNKNOWN'));
    expect([of('a'), of('b'), of('c'), of('other')]).toEqual([
      { health: 'Healthy' },
      { health: 'Unhealthy', message: 'too hot' },
      { health: 'Unknown' },
      { health: 'Unknown' },
    ]);
    report(told('a', 'HEALTHY'), told('b', 'HEALTHY'));
    expect(of('b')).toEqual({ health: 'Healthy' });
    expect(changes).toEqual(['d p/a,p/b', 'd p/b']);
  });

  it('is not known any more when it is not repeated in its time', () => {
    report(told('a', 'HEALTHY'), told('b', 'HEALTHY', { health_check_timeout_seconds: 60 }));
    clock.advance(29_000);
    report(told('b', 'HEALTHY', { health_check_timeout_seconds: 60 }));
    expect(of('a')).toEqual({ health: 'Healthy' });
    clock.advance(1000);
    expect(of('a')).toEqual({ health: 'Unknown' });
    expect(of('b')).toEqual({ health: 'Healthy' });
    clock.advance(59_000);
    expect(of('b')).toEqual({ health: 'Unknown' });
    expect(changes).toEqual(['d p/a,p/b', 'd p/a', 'd p/b']);
  });

  it('is nothing that a driver cannot say', () => {
    expect(() => parseReport([told('', 'HEALTHY')])).toThrow('without a name');
    expect(() => parseReport([{ ...told('a', 'HEALTHY'), device: null }])).toThrow('without a name');
    expect(() => parseReport(Array.from({ length: 65_537 }, () => told('a', 'HEALTHY')))).toThrow('at most');
    const [long] = parseReport([told('a', 'UNHEALTHY', { message: 'x'.repeat(2000) })]);
    expect(long?.message.length).toBe(1024);
    // A number that no status has, and a time before the last.
    const odd = told('a', 7 as unknown as DeviceHealth['health'], { health_check_timeout_seconds: -1 });
    expect(parseReport([odd])).toMatchObject([{ health: 'Unknown', timeoutMs: 30_000 }]);
  });

  it('is forgotten with the stream, which is opened again; a driver that does not say is not asked again', async () => {
    let asked = 0;
    const ended = new AbortController();
    const answers: (() => AsyncIterable<readonly DeviceHealth[]>)[] = [
      async function* () {
        yield [told('a', 'HEALTHY')];
        throw new PodwrightError('E_CONNECTION', 'it crashed');
      },
      async function* () {
        yield [told('', 'HEALTHY')];
      },
      () => {
        throw new PodwrightError('E_UNSUPPORTED', 'UNIMPLEMENTED');
      },
    ];
    const watch = (): AsyncIterable<readonly DeviceHealth[]> => {
      const answer = answers[asked++];
      if (answer === undefined) throw new Error('asked once more');
      return answer();
    };
    const options = { driver: 'd', watch, healths, clock, logger: silentLogger };
    const followed = followHealths(options, ended.signal);
    await untilQuiet();
    expect(changes).toEqual(['d p/a', 'd p/a']);
    for (let turn = 0; turn < 3; turn++) {
      clock.advance(healthRetryMs);
      await untilQuiet();
    }
    await followed;
    expect(asked).toBe(3);
  });
});

const record: ClaimRecord = {
  ...{ uid: 'u', namespace: 'ns', name: 'mine', podUids: ['p'] },
  drivers: {
    d: [
      { pool: 'p', device: 'a', requests: ['r'], cdiIds: ['d/x=a', 'd/x=more'] },
      { pool: 'p', device: 'b', requests: ['s/big'], cdiIds: [], shareId: 'share' },
    ],
    late: null,
  },
};
const pod: Pod = {
  metadata: { name: 'p', namespace: 'ns', uid: 'p' },
  spec: {
    containers: [
      { name: 'all', resources: { claims: [{ name: 'gpu' }] } },
      { name: 'one', resources: { claims: [{ name: 'gpu', request: 's' }, { name: 'lost' }] } },
      { name: 'none' },
    ],
    resourceClaims: [
      { name: 'gpu', resourceClaimName: 'mine' },
      { name: 'lost', resourceClaimName: 'other' },
    ],
  },
};

it('containers have of their claims what their status, and pod-resources, say', () => {
  const statuses = claimHealthsOf(pod, [record], ({ device }) => ({ health: device }));
  expect([...statuses]).toEqual([
    [
      'all',
      [
        {
          name: 'claim:gpu',
          resources: [
            { resourceID: 'd/x=a', health: 'a' },
            { resourceID: 'd/p/b', health: 'b' },
          ],
        },
      ],
    ],
    ['one', [{ name: 'claim:gpu/s', resources: [{ resourceID: 'd/p/b', health: 'b' }] }]],
  ]);
  const dynamic = (pod.spec?.containers ?? []).map((each) => dynamicResourcesOf(pod, each, [record]));
  const claim_resources = [
    {
      cdi_devices: [{ name: 'd/x=a' }, { name: 'd/x=more' }],
      ...{ driver_name: 'd', pool_name: 'p', device_name: 'a' },
    },
    { cdi_devices: [], driver_name: 'd', pool_name: 'p', device_name: 'b', share_id: 'share' },
  ];
  const whole = [{ claim_name: 'mine', claim_namespace: 'ns', claim_resources }];
  expect(dynamic).toEqual([whole, whole, []]);
});
