import { describe, expect, it } from 'vitest';
import { at, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatCidr, knownCidr } from '#base/ip.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { Registry } from '#control-plane/apiserver/objects/registry.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store } from '#control-plane/store/store.ts';
import { NumberPool, parseServiceNetworks } from './address-pool.ts';
import { ServiceAllocators } from './allocators.ts';
import { claimChange, repairClaims } from './claims.ts';

const services = builtIn('', 'v1', 'services');
const service = (spec: object, name = 's'): JsonObject => ({
  metadata: { name, namespace: 'default', uid: name },
  spec,
});

/** A server's allocators, and the claims in its store. */
function setUp(...cidrs: readonly string[]) {
  const allocators = new ServiceAllocators(cidrs.length === 0 ? ['10.0.0.0/24'] : cidrs);
  const claimed = new Set<string>();
  const write = (old: JsonObject | undefined, object: JsonObject | undefined): void => {
    for (const { op, key } of claimChange(services, { old, object, nowMs: 0 }).ops) {
      if (op === 'put') claimed.add(key);
      else claimed.delete(key);
    }
  };
  const isClaimed = (key: string): boolean => claimed.has(key);
  return {
    allocators,
    claimed,
    create: (spec: object): JsonObject => {
      const created = allocators.allocate(services, service(spec), isClaimed);
      write(undefined, created);
      return created;
    },
    update: (old: JsonObject, spec: object): JsonObject => {
      const updated = allocators.allocate(services, service(spec), isClaimed, old);
      write(old, updated);
      return updated;
    },
    remove: (old: JsonObject): void => write(old, undefined),
  };
}

describe('ServiceAllocators', () => {
  it('gives every address of the network once, the reserved ones last', () => {
    const { create } = setUp('10.0.0.0/27');
    const given = Array.from({ length: 30 }, () => at(create({ ports: [] }), 'spec.clusterIP'));
    expect(new Set(given).size).toBe(30);
    expect(given.slice(0, 2)).toEqual(['10.0.0.17', '10.0.0.18']);
    expect(given.at(-1)).toBe('10.0.0.16');
    expect(() => create({ ports: [] })).toThrow('range is full');
  });

  it('gives nothing that somebody holds, and what was given up again', () => {
    const { create, remove } = setUp();
    const first = create({ clusterIP: '10.0.0.5' });
    expect(() => create({ clusterIP: '10.0.0.5' })).toThrow('already allocated');
    remove(first);
    expect(create({ clusterIP: '10.0.0.5' })).toMatchObject({ spec: { clusterIPs: ['10.0.0.5'] } });
  });

  it('claims nothing for a Service of which a part is refused', () => {
    const { create, claimed } = setUp();
    const ports = [
      { port: 1, nodePort: 30_000 },
      { port: 2, nodePort: 1 },
    ];
    expect(() => create({ type: 'NodePort', clusterIP: '10.0.0.5', ports })).toThrow(
      'spec.ports[1].nodePort',
    );
    expect([...claimed]).toEqual([]);
    create({ type: 'NodePort', clusterIP: '10.0.0.5', ports: ports.slice(0, 1) });
    expect([...claimed]).toEqual([
      '/registry/ranges/serviceips/10.0.0.5',
      '/registry/ipaddresses/10.0.0.5',
      '/registry/ranges/servicenodeports/30000',
    ]);
  });

  it('gives up what an update no longer names, and keeps the rest', () => {
    const { create, update, claimed } = setUp();
    const ports = [{ port: 1, nodePort: 30_001 }];
    const held = create({ type: 'NodePort', clusterIP: '10.0.0.5', ports });
    expect(() => create({ type: 'NodePort', clusterIP: '10.0.0.6', ports })).toThrow(
      'provided port is already allocated',
    );
    update(held, { clusterIP: '10.0.0.5', clusterIPs: ['10.0.0.5'] });
    expect([...claimed]).toEqual(['/registry/ranges/serviceips/10.0.0.5', '/registry/ipaddresses/10.0.0.5']);
    create({ type: 'NodePort', clusterIP: '10.0.0.6', ports });
  });

  it('lets two ports of one Service share a number that it names, and gives none twice', () => {
    const { create, update } = setUp();
    const shared = [
      { port: 1, protocol: 'TCP', nodePort: 30_000 },
      { port: 1, protocol: 'UDP', nodePort: 30_000 },
      { port: 2, protocol: 'TCP' },
      { port: 3, protocol: 'TCP' },
    ];
    const given = create({ type: 'NodePort', ports: shared });
    expect(objectsOf(at(given, 'spec.ports')).map(({ nodePort }) => nodePort)).toEqual([
      30_000, 30_000, 30_086, 30_087,
    ]);
    expect(update(given, Object(given['spec']))).toEqual(given);
  });

  const both = (tcp: object = {}, udp: object = {}): readonly object[] => [
    { name: 't', port: 53, protocol: 'TCP', ...tcp },
    { name: 'u', port: 53, protocol: 'UDP', ...udp },
    { name: 'm', port: 9153, protocol: 'TCP' },
  ];
  it.each<[string, readonly object[], readonly number[]]>([
    ['none is named', both(), [30_086, 30_086, 30_087]],
    ['the second is named', both({}, { nodePort: 30_053 }), [30_053, 30_053, 30_086]],
    ['both are named', both({ nodePort: 30_053 }, { nodePort: 30_054 }), [30_053, 30_054, 30_086]],
    [
      'it is another port’s of that protocol',
      [...both({}, { nodePort: 30_053 }), { name: 'x', port: 54, protocol: 'TCP', nodePort: 30_053 }],
      [30_086, 30_053, 30_087, 30_053],
    ],
  ])('gives both protocols of a port of a new Service one node port: %s', (_name, ports, want) => {
    const given = setUp().create({ type: 'NodePort', ports });
    expect(objectsOf(at(given, 'spec.ports')).map(({ nodePort }) => nodePort)).toEqual(want);
  });

  it('gives each of them one of its own where the Service was without', () => {
    const { create, update } = setUp();
    const held = create({ ports: both() });
    const given = update(held, { ...Object(held['spec']), type: 'NodePort' });
    expect(objectsOf(at(given, 'spec.ports')).map(({ nodePort }) => nodePort)).toEqual([
      30_086, 30_087, 30_088,
    ]);
  });

  it('gives node ports that clients may name last, whatever was given up meanwhile', () => {
    const { create, remove } = setUp();
    const ports = Array.from({ length: 2682 }, (_, i) => ({ name: `p${i}`, port: i + 1 }));
    const held = create({ type: 'NodePort', ports });
    const first = (service: JsonObject): unknown => at(objectsOf(at(service, 'spec.ports'))[0], 'nodePort');
    const low = create({ type: 'NodePort', ports: ports.slice(0, 1) });
    expect([first(held), first(low)]).toEqual([30_086, 30_000]);
    remove(held);
    expect(first(create({ type: 'NodePort', ports: ports.slice(0, 1) }))).toBe(30_086);
  });

  it('gives a health check port of the same range as node ports, once', () => {
    const { create, update } = setUp();
    const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 1 }] };
    const given = create(local);
    expect(given).toMatchObject({ spec: { ports: [{ nodePort: 30_086 }], healthCheckNodePort: 30_087 } });
    const chosen = { ...local, healthCheckNodePort: 30_087 };
    expect(() => create(chosen)).toThrow('spec.healthCheckNodePort');
    expect(() => create({ ...local, healthCheckNodePort: 80 })).toThrow(
      'spec.healthCheckNodePort: Invalid value: 80: provided port is not in the valid range',
    );
    expect(update(given, Object(given['spec']))).toEqual(given);
    update(given, { ...local, externalTrafficPolicy: 'Cluster' });
    create(chosen);
  });

  it('gives an address of each family that a Service has, and the last of IPv6 too', () => {
    const { create, update, claimed } = setUp('10.0.0.0/24', 'fd00::/124');
    const held = create({ ipFamilyPolicy: 'RequireDualStack' });
    expect(held).toMatchObject({ spec: { clusterIP: '10.0.0.17', clusterIPs: ['10.0.0.17', 'fd00::f'] } });
    update(held, { ...Object(held['spec']), ipFamilyPolicy: 'SingleStack' });
    expect([...claimed]).toEqual([
      '/registry/ranges/serviceips/10.0.0.17',
      '/registry/ipaddresses/10.0.0.17',
    ]);
  });

  it('gives addresses of ServiceCIDRs that were added once its own are used up, as long as they are there', () => {
    const { create, allocators } = setUp('10.0.0.0/30');
    const address = (): unknown => at(create({ ports: [] }), 'spec.clusterIP');
    expect([address(), address()]).toEqual(['10.0.0.2', '10.0.0.1']);
    expect(address).toThrow('range is full');
    allocators.setAdded([knownCidr('10.1.0.0/30'), knownCidr('fd00::/64')]);
    expect(address()).toBe('10.1.0.2');
    expect(() => create({ ipFamilies: ['IPv6'] })).toThrow('not configured on this cluster');
    allocators.setAdded([]);
    expect(address).toThrow('range is full');
  });

  it('refuses families that it has no addresses of', () => {
    expect(() => setUp().create({ ipFamilies: ['IPv6'] })).toThrow(
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
  });

  it('refuses an address of another network, and a network that is none', () => {
    expect(() => setUp().create({ clusterIP: '10.1.0.5' })).toThrow(
      'the provided network does not match the current range',
    );
    expect(() => new ServiceAllocators(['10.0.0.0'])).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });
});

describe('claims in a store', () => {
  const node = { type: 'NodePort', clusterIP: '10.0.0.5', ports: [{ port: 1, nodePort: 30_001 }] };
  const keys = async (store: Store): Promise<readonly string[]> =>
    (await store.range('/registry/ranges/')).values.map(({ key }) => key);

  it('come and go with their object, in its transaction', async () => {
    await using store = createFakeStore();
    const registry = new Registry(store, () => 0);
    await registry.create(services, service(node));
    expect(store.revision).toBe(1);
    expect(await keys(store)).toEqual([
      '/registry/ranges/serviceips/10.0.0.5',
      '/registry/ranges/servicenodeports/30001',
    ]);
    await registry.change(services, { namespace: 'default', name: 's' }, () => ({
      write: 'remove',
      object: service(node),
    }));
    expect(store.revision).toBe(2);
    expect(await keys(store)).toEqual([]);
  });

  it('are made up for by objects of a release that kept them in memory, once', async () => {
    await using store = createFakeStore();
    const stored = [service(node), service({ ...node, clusterIP: '10.0.0.6' })];
    const repair = (): ReturnType<typeof repairClaims> =>
      repairClaims(store, services, { list: async () => stored, nowMs: 0 });
    expect(await repair()).toEqual({ made: 5, removed: 0 });
    expect(await repair()).toEqual({ made: 0, removed: 0 });
    expect(await keys(store)).toHaveLength(3);
  });

  it('go when a salvage has lost who held them', async () => {
    await using store = createFakeStore();
    await new Registry(store, () => 0).create(services, service(node));
    expect(await repairClaims(store, services, { list: async () => [], nowMs: 0 })).toEqual({
      made: 0,
      removed: 3,
    });
    expect(await keys(store)).toEqual([]);
  });

  it('are never those of two Services, however many are made at once', async () => {
    await using store = createFakeStore();
    const registry = new Registry(store, () => 0);
    const servers = [new ServiceAllocators(['10.0.0.0/26']), new ServiceAllocators(['10.0.0.0/26'])];
    const made = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        registry.create(services, service({ type: 'NodePort', ports: [{ port: 1 }] }, `s${index}`), {
          complete: (object, isClaimed) =>
            servers[index % 2]?.allocate(services, object, isClaimed) ?? object,
        }),
      ),
    );
    const of = (path: string): unknown[] => made.map((each) => at({ ...each }, `object.${path}`));
    expect(new Set(of('spec.clusterIP')).size).toBe(60);
    expect(new Set(of('spec.ports').map((ports) => at(objectsOf(ports)[0], 'nodePort'))).size).toBe(60);
  });
});

describe('parseServiceNetworks()', () => {
  it('reads a network by any of its addresses', () => {
    const networks = parseServiceNetworks(['10.96.7.9/16', 'fd00:10:96::9/112']);
    expect(networks.map(formatCidr)).toEqual(['10.96.0.0/16', 'fd00:10:96::/112']);
  });

  it.each(['10.96.0.0/7', '10.96.0.0/31', '10.96.0.0', '10.96.0.0/', '256.1.1.1/16', 'fd00::/64'])(
    'refuses %s',
    (text) => {
      expect(() => parseServiceNetworks([text])).toThrow('expected a network like 10.96.0.0/16');
    },
  );

  it('refuses two of a family', () => {
    expect(() => parseServiceNetworks(['10.96.0.0/16', '10.97.0.0/16'])).toThrow(
      'one of each family at most',
    );
  });
});

describe('NumberPool', () => {
  it('goes on from where it was, so that a number that was given back rests', () => {
    const pool = new NumberPool({ first: 10, size: 3 });
    const taken = new Set<number>();
    const take = (): number | undefined => {
      const found = pool.find((value) => !taken.has(value));
      if (found !== undefined) taken.add(found);
      return found;
    };
    expect(take()).toBe(10);
    taken.delete(10);
    expect([take(), take(), take(), take()]).toEqual([11, 12, 10, undefined]);
  });
});
