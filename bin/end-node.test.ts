import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { loadConflists } from '#agent/network/conflist-dir.ts';
import { tablesOf } from '#cni-plugins/left-tables.ts';
import { parsePortMappings, parsePortRule, planPortmap } from '#cni-plugins/portmap/plan.ts';
import { masqueradeTables } from '#cni-plugins/skel/masquerade.ts';
import { planNetworkRemoval, planTableRemoval } from './end-node.ts';

const scratch = scratchDirectory('podwright-end-node-');

it("planNetworkRemoval() takes the node's routes, bridge and DNS address, and nobody else's", () => {
  const route = { linkIndex: 2, scope: 0 };
  const ops = planNetworkRemoval(
    {
      links: [],
      addresses: [
        { linkIndex: 1, address: '127.0.0.1/8' },
        { linkIndex: 1, address: '10.96.0.10/32' },
        { linkIndex: 1, address: 'fd00:10:96::a/128' },
      ],
      routes: [
        { ...route, destination: 'default', gateway: '192.0.2.1', protocol: 3 },
        { ...route, destination: '10.244.1.0/24', gateway: '192.0.2.12', protocol: 112 },
      ],
    },
    ['10.96.0.10', 'fd00:10:96::a'],
  );
  expect(ops).toEqual([
    { op: 'removeRoute', destination: '10.244.1.0/24', gateway: '192.0.2.12' },
    { op: 'removeLink', name: 'cni0' },
    { op: 'removeAddress', name: 'lo', address: '10.96.0.10/32' },
    { op: 'removeAddress', name: 'lo', address: 'fd00:10:96::a/128' },
  ]);
});

it('planNetworkRemoval() on a host where the node left nothing asks for what is safe to repeat only', () => {
  expect(planNetworkRemoval({ links: [], addresses: [], routes: [] }, ['10.96.0.10'])).toEqual([
    { op: 'removeLink', name: 'cni0' },
  ]);
});

it.each([
  ['once nothing of loopback may leave the host', ['0', '0', undefined], true],
  ['not while an interface of others may send it elsewhere', ['0', '1', '0'], false],
  ['not while all may', ['1', '0'], false],
] as const)('planTableRemoval() takes the guard of loopback %s', (_name, routesLoopback, want) => {
  const ops = planTableRemoval(routesLoopback);
  const names = ops.flatMap((op) => (op.op === 'removeTable' ? [`${op.table.family} ${op.table.name}`] : []));
  expect(names.includes('ip cni-portmap-loopback')).toBe(want);
  // A proxy in mode iptables had a guard of its own, which goes with it.
  expect(ops.some(({ op }) => op === 'replaceTable')).toBe(!want);
  expect(names).toEqual(expect.arrayContaining(['ip podwright-policy', 'ip6 podwright-policy']));
});

it("planTableRemoval() takes the tables of the node's own networks, by their conditions and names, and of no others", () => {
  const directory = join(scratch, 'net.d');
  mkdirSync(directory);
  const portmap = { type: 'portmap', conditionsV4: ['-d', '192.0.2.0/24'] };
  const lists = {
    '10-own.conflist': {
      name: 'own',
      plugins: [{ type: 'bridge', macspoofchk: true, ipMasq: true }, portmap],
    },
    '20-broken.conflist': { plugins: 7 },
    '30-more.conf': { name: 'more', type: 'ptp' },
  };
  for (const [file, list] of Object.entries(lists))
    writeFileSync(join(directory, file), JSON.stringify({ cniVersion: '1.0.0', ...list }));
  const own = loadConflists(directory).flatMap(tablesOf);
  const names = planTableRemoval([], own).flatMap((op) =>
    op.op === 'removeTable' ? [`${op.table.family} ${op.table.name}`] : [],
  );
  const [, v4] = planPortmap(
    parsePortMappings({
      ...portmap,
      name: 'own',
      runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 1 }] },
    }),
    { interfaces: [], ips: [{ address: '10.1.0.2/24' }], routes: [], dns: {} },
    parsePortRule({ ...portmap, name: 'own' }),
  );
  expect(v4?.table.name).toMatch(/^cni-portmap-[0-9a-f]{12}$/);
  const masquerades = ['own', 'more'].flatMap((network) =>
    masqueradeTables(network).map(({ family, name }) => `${family} ${name}`),
  );
  expect(names).toEqual(
    expect.arrayContaining([`ip ${v4?.table.name}`, 'bridge cni-mac-spoof-check', ...masquerades]),
  );
  expect(names.filter((name) => /(portmap|masq)-[0-9a-f]{12}$/.test(name))).toHaveLength(5);
});
