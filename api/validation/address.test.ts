import { describe, expect, it } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateCreate, validateUpdate } from './validation.ts';

const metadata = { name: 'x', namespace: 'default' };
const ip = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const mapped = 'must not be an IPv4-mapped IPv6 address';
const loopback = 'may not be in the loopback range (127.0.0.0/8, ::1/128)';
const linkLocal = 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
const multicast = 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';

const addresses: readonly (readonly [address: string, detail: string | undefined])[] = [
  ['10.0.0.1', undefined],
  ['2001:db8::1', undefined],
  ['127.0.0.1', loopback],
  ['127.9.9.9', loopback],
  ['::1', loopback],
  ['169.254.169.254', linkLocal],
  ['fe80::1', linkLocal],
  ['0.0.0.0', 'may not be unspecified (0.0.0.0)'],
  ['::', 'may not be unspecified (::)'],
  ['224.0.0.5', multicast],
  ['ff02::5', multicast],
  ['evil.example', ip],
  ['x/y', ip],
  ['127.1', ip],
  ['010.0.0.1', 'must not have leading 0s'],
  ['::ffff:10.0.0.1', mapped],
  ['::ffff:127.0.0.1', mapped],
  ['0:0:0:0:0:FFFF:10.0.0.1', mapped],
  ['::ffff:a00:1', mapped],
  ['::ffff:010.0.0.1', 'must not have leading 0s'],
  ['::ffff:0:10.0.0.1', undefined], // Translated (RFC 2765), not mapped.
  ['2001:DB8::0', undefined],
  ['fe80::1%eth0', ip],
];

function complaints(apiVersion: string, kindName: string, object: JsonObject): readonly string[] {
  const kind = findKindByName(apiVersion, kindName) ?? expect.unreachable();
  return validateCreate(kind, { apiVersion, kind: kindName, metadata, ...object }).map(
    (error) => `${error.field}: ${renderFieldError(error)}`,
  );
}

function wanted(field: string, address: string, detail: string | undefined): readonly string[] {
  return detail === undefined ? [] : [`${field}: Invalid value: ${JSON.stringify(address)}: ${detail}`];
}

describe('addresses', () => {
  it.each(addresses)('of Endpoints: %s', (address, detail) => {
    const subsets = [{ addresses: [{ ip: '10.0.0.2' }], notReadyAddresses: [{ ip: address }] }];
    expect(complaints('v1', 'Endpoints', { subsets })).toEqual(
      wanted('subsets[0].notReadyAddresses[0].ip', address, detail),
    );
  });

  it.each(addresses)('of an EndpointSlice: %s', (address, detail) => {
    const family = address.includes(':') ? 6 : 4;
    const slice = { addressType: `IPv${family}`, endpoints: [{ addresses: [address] }], ports: [] };
    const text = detail === ip ? `must be an IPv${family} address` : detail;
    expect(complaints('discovery.k8s.io/v1', 'EndpointSlice', slice)).toEqual(
      wanted('endpoints[0].addresses[0]', address, text),
    );
  });

  it.each(addresses)('by which a Service is reached from outside: %s', (address, detail) => {
    const spec = {
      type: 'ClusterIP',
      externalIPs: [address],
      ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }],
    };
    expect(complaints('v1', 'Service', { spec })).toEqual(wanted('spec.externalIPs[0]', address, detail));
  });

  const pod = findKindByName('v1', 'Pod') ?? expect.unreachable();
  it.each([
    {
      name: 'one of each family',
      status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
      want: [],
    },
    { name: 'none', status: { phase: 'Pending' }, want: [] },
    {
      name: 'a name',
      status: { podIP: 'evil.example' },
      want: [`status.podIPs[0]: Invalid value: "evil.example": ${ip}`],
    },
    {
      name: 'a path',
      status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'x/y' }] },
      want: [`status.podIPs[1]: Invalid value: "x/y": ${ip}`],
    },
    {
      name: 'a name for the host',
      status: { hostIP: 'x', hostIPs: [{ ip: '10.0.0.1' }] },
      want: ['status.hostIPs[0].ip: Invalid value: "10.0.0.1": must be equal to `hostIP`'],
    },
    {
      name: 'two of a family',
      status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.1' }] },
      want: [
        'status.podIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.1"}]: may specify no more than one IP for each IP family',
        'status.podIPs[1]: Duplicate value: {"IP":"10.0.0.1"}',
      ],
    },
  ])('that a pod claims: $name', ({ status, want }) => {
    const old = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, uid: 'u', resourceVersion: '1' } };
    const errors = validateUpdate(pod, old, { ...old, status }, 'status');
    expect(errors.map((error) => `${error.field}: ${renderFieldError(error)}`)).toEqual(want);
  });
});
