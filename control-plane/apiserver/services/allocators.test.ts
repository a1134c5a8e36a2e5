import { describe, expect, it } from 'vitest';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { formatIp, sizeOf } from '#base/ip.ts';
import { NumberPool, parseServiceNetwork } from './address-pool.ts';
import { ServiceAllocators } from './allocators.ts';

const services = builtIn('', 'v1', 'services');
const service = (spec: object): { readonly metadata: object; readonly spec: object } => ({
  metadata: { name: 's' },
  spec,
});
const clusterIp = (object: object): unknown => Reflect.get(Object(Reflect.get(object, 'spec')), 'clusterIP');

describe('ServiceAllocators', () => {
  it('gives every address of the network once, the reserved ones last', () => {
    const allocators = new ServiceAllocators('10.0.0.0/27');
    const given = Array.from({ length: 30 }, () =>
      clusterIp(allocators.allocate(services, service({ ports: [] })).object),
    );
    expect(new Set(given).size).toBe(30);
    expect(given.slice(0, 2)).toEqual(['10.0.0.17', '10.0.0.18']);
    expect(given.at(-1)).toBe('10.0.0.16');
    expect(() => allocators.allocate(services, service({ ports: [] }))).toThrow('range is full');
  });

  it('gives back what a write that failed took', () => {
    const allocators = new ServiceAllocators('10.0.0.0/24');
    const first = allocators.allocate(services, service({ clusterIP: '10.0.0.5' }));
    expect(() => allocators.allocate(services, service({ clusterIP: '10.0.0.5' }))).toThrow(
      'already allocated',
    );
    first.release();
    expect(clusterIp(allocators.allocate(services, service({ clusterIP: '10.0.0.5' })).object)).toBe(
      '10.0.0.5',
    );
  });

  it('takes nothing of a Service of which a part is refused', () => {
    const allocators = new ServiceAllocators('10.0.0.0/24');
    const bad = service({
      type: 'NodePort',
      clusterIP: '10.0.0.5',
      ports: [
        { port: 1, nodePort: 30_000 },
        { port: 2, nodePort: 1 },
      ],
    });
    expect(() => allocators.allocate(services, bad)).toThrow('spec.ports[1].nodePort');
    const good = service({ type: 'NodePort', clusterIP: '10.0.0.5', ports: [{ port: 1, nodePort: 30_000 }] });
    expect(clusterIp(allocators.allocate(services, good).object)).toBe('10.0.0.5');
  });

  it('knows what stored Services hold, and what an update gives up', () => {
    const allocators = new ServiceAllocators('10.0.0.0/24');
    const stored = service({
      type: 'NodePort',
      clusterIP: '10.0.0.5',
      clusterIPs: ['10.0.0.5'],
      ports: [{ port: 1, nodePort: 30_001 }],
    });
    allocators.restore(stored);
    const other = service({
      clusterIP: '10.0.0.6',
      type: 'NodePort',
      ports: [{ port: 1, nodePort: 30_001 }],
    });
    expect(() => allocators.allocate(services, other)).toThrow('provided port is already allocated');
    allocators.releaseChanged(services, stored, service({ clusterIP: '10.0.0.5', clusterIPs: ['10.0.0.5'] }));
    allocators.allocate(services, other);
  });

  it('gives a health check port of the same range as node ports, once', () => {
    const allocators = new ServiceAllocators('10.0.0.0/24');
    const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 1 }] };
    const specOf = (object: object): Record<string, unknown> => Object(Reflect.get(object, 'spec'));
    const given = allocators.allocate(services, service(local)).object;
    const { healthCheckNodePort, ports } = specOf(given);
    expect(ports).toMatchObject([{ nodePort: 30_000 }]);
    expect(healthCheckNodePort).toBe(30_001);
    const chosen = service({ ...local, healthCheckNodePort });
    expect(() => allocators.allocate(services, chosen)).toThrow('spec.healthCheckNodePort');
    expect(() => allocators.allocate(services, service({ ...local, healthCheckNodePort: 80 }))).toThrow(
      'spec.healthCheckNodePort: Invalid value: 80: provided port is not in the valid range',
    );
    expect(specOf(allocators.allocate(services, given, given).object)).toMatchObject({ healthCheckNodePort });
    allocators.releaseChanged(services, given, service({ ...local, externalTrafficPolicy: 'Cluster' }));
    allocators.allocate(services, chosen);
  });

  it('refuses families that it has no addresses of', () => {
    const allocators = new ServiceAllocators('10.0.0.0/24');
    expect(() => allocators.allocate(services, service({ ipFamilies: ['IPv6'] }))).toThrow(
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
  });

  it('refuses an address of another network, and a network that is none', () => {
    const allocators = new ServiceAllocators('10.0.0.0/24');
    expect(() => allocators.allocate(services, service({ clusterIP: '10.1.0.5' }))).toThrow(
      'is not in the valid range',
    );
    expect(() => new ServiceAllocators('10.0.0.0')).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });
});

describe('parseServiceNetwork()', () => {
  it('reads a network by any of its addresses', () => {
    const network = parseServiceNetwork('10.96.7.9/16');
    expect([formatIp(network.ip), sizeOf(network)]).toEqual(['10.96.0.0', 65_536]);
  });

  it.each(['10.96.0.0/7', '10.96.0.0/31', '10.96.0.0', '10.96.0.0/', '256.1.1.1/16', 'fd00::/16'])(
    'refuses %s',
    (text) => {
      expect(() => parseServiceNetwork(text)).toThrow('expected IPv4 CIDR like 10.96.0.0/16');
    },
  );
});

describe('NumberPool', () => {
  it('goes on from where it was, so that a number that was given back rests', () => {
    const pool = new NumberPool({ first: 10, size: 3 });
    expect(pool.takeAny()).toBe(10);
    pool.release(10);
    expect([pool.takeAny(), pool.takeAny(), pool.takeAny(), pool.takeAny()]).toEqual([11, 12, 10, undefined]);
  });
});
