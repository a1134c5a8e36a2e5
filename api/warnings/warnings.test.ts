import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { env, items, volumes } from './objects.fixture.ts';
import { podRows } from './pod-rows.fixture.ts';
import { otherRows } from './rows.fixture.ts';
import { deprecationWarning, objectWarnings, updateWarnings } from './warnings.ts';

function kindOf(text: string) {
  const [apiVersion = '', kind = ''] = text.split(' ');
  const found = findKindByName(apiVersion, kind);
  if (found === undefined) throw new Error(`no kind ${text}`);
  return found;
}

describe('objectWarnings()', () => {
  it.each([...podRows, ...otherRows])('%s: %s', (kind, _name, object, want) => {
    expect(objectWarnings(kindOf(kind), object)).toEqual(want);
  });

  it('tells of a hundred files of a volume that overlap', () => {
    const object = volumes({
      name: 'v',
      configMap: { items: items(...Array.from({ length: 50_000 }, () => 'k')) },
    });
    expect(objectWarnings(kindOf('v1 Pod'), object)).toHaveLength(100);
  });

  it('says nothing of a pod that is updated, nor of a template that stays', () => {
    const object = env({ value: '1' }, { value: '2' });
    expect(objectWarnings(kindOf('v1 Pod'), object, object)).toEqual([]);
    const deployment = { metadata: { generation: 1 }, spec: { template: object } };
    const of = (generation: number): readonly string[] =>
      objectWarnings(kindOf('apps/v1 Deployment'), { ...deployment, metadata: { generation } }, deployment);
    expect([of(1).length, of(2).length]).toEqual([0, 1]);
  });
});

/** Told of updates of the object or of a part of it, and of nothing else. */
const updates: readonly (readonly [
  kind: string,
  part: string,
  object: JsonObject,
  want: readonly string[],
])[] = [
  [
    'apps/v1 StatefulSet',
    '',
    {
      spec: {
        template: env({ value: '1' }, { value: '2' }),
        volumeClaimTemplates: [{ spec: { resources: { requests: { storage: '500m' } } } }],
      },
    },
    [
      'spec.volumeClaimTemplates[0].Spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer',
    ],
  ],
  [
    'batch/v1 CronJob',
    '',
    { spec: { schedule: 'TZ=UTC * * * * *' } },
    [
      'cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details',
    ],
  ],
  ['discovery.k8s.io/v1 EndpointSlice', '', { addressType: 'FQDN' }, []],
  [
    'v1 Pod',
    'status',
    { status: { podIPs: [{ ip: 'FD00::1' }], hostIPs: [{ ip: '10.0.0.1' }, { ip: '010.0.0.1' }] } },
    [
      'status.podIPs[0].ip: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      'status.hostIPs[1].ip: non-standard IP address "010.0.0.1" will be considered invalid in a future Kubernetes release: use "10.0.0.1"',
    ],
  ],
  ...['v1 Service', 'networking.k8s.io/v1 Ingress'].map(
    (kind) =>
      [
        kind,
        'status',
        {
          spec: { externalName: 'x' },
          status: { loadBalancer: { ingress: [{ hostname: 'a.b' }, { ip: 'FD00::1' }] } },
        },
        [
          'status.loadBalancer.ingress[1]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
        ],
      ] as const,
  ),
  [
    'v1 Service',
    'scale',
    { spec: { externalName: 'x' } },
    [expect.stringMatching(/^spec.externalName is ignored/)],
  ],
  ['v1 Service', 'proxy', { spec: { externalName: 'x' } }, []],
];

describe('updateWarnings()', () => {
  it.each(updates)('%s, %s', (kind, subresource, object, want) => {
    expect(updateWarnings(kindOf(kind), { object, old: object, subresource })).toEqual(want);
  });

  it('are said again of the template of a DaemonSet that changes, and not with another generation', () => {
    const old = { metadata: { generation: 1 }, spec: { template: env({ value: '1' }) } };
    const of = (object: JsonObject): number =>
      updateWarnings(kindOf('apps/v1 DaemonSet'), { object, old, subresource: '' }).length;
    const template = env({ value: '1' }, { value: '2' });
    expect(of({ metadata: { generation: 1 }, spec: { template } })).toBe(1);
    expect(of({ metadata: { generation: 2 }, spec: old.spec })).toBe(0);
  });
});

describe('deprecationWarning()', () => {
  it.each([
    ['v1 Endpoints', 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
    [
      'coordination.k8s.io/v1beta1 LeaseCandidate',
      'coordination.k8s.io/v1beta1 LeaseCandidate is deprecated in v1.36+, unavailable in v1.39+',
    ],
    ['v1 ComponentStatus', 'v1 ComponentStatus is deprecated in v1.19+'],
    ['v1 Pod', undefined],
  ])('%s', (kind, want) => expect(deprecationWarning(kindOf(kind))).toBe(want));
});
