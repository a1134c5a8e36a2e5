import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';
import { parseKeptOptions } from '#bin/up/options.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderTable } from '#native/nft/render.ts';
import { hasNat, removeNat } from './nat.ts';
import { planNat, planNatCable, renderClusterNat, renderMachineNat } from './plan-nat.ts';

describe('a cable to the machine', () => {
  test('has addresses that the machine does not know', () => {
    const addresses = (taken: readonly string[]): readonly string[] =>
      planNat('ab12', [4, 6], taken).families.flatMap(({ machine, cluster }) => [machine, cluster]);
    expect(addresses(['default', '0.0.0.0/0', '192.0.2.1/24'])).toEqual([
      ...['172.31.254.1', '172.31.254.2'],
      ...['fd00:172:31:254::1', 'fd00:172:31:254::2'],
    ]);
    expect(addresses(['172.31.254.1/30', 'fd00:172:31:254::/126']).slice(0, 3)).toEqual([
      ...['172.31.254.5', '172.31.254.6'],
      'fd00:172:31:254::5',
    ]);
    // A network of somebody's that holds the first of them all.
    expect(addresses(['172.16.0.0/12'])[0]).toBe('10.126.254.1');
    expect(() => addresses(['172.16.0.0/12', '10.0.0.0/8', '192.168.0.0/16'])).toThrow(
      'this machine has routes to all of 172.31.254.0/24, 10.126.254.0/24, 192.168.254.0/24',
    );
  });

  test('is one table of the machine, and one of the cluster', () => {
    const plan = planNat('ab12', [4], []);
    const [family] = plan.families;
    if (family === undefined) throw new Error('no family');
    const text = [
      renderTable(renderMachineNat(plan, family)),
      renderTable(renderClusterNat(family, ['10.244.0.0/16', 'fd00:10:244::/56'])),
      ...planNatCable(plan, ownNetns).inMachine.map((op) => JSON.stringify(op)),
    ].join('\n');
    expect(text).toMatchInlineSnapshot(`
      "table ip podwright-up-ab12 {
      	chain postrouting {
      		type nat hook postrouting priority 100; policy accept;
      		ip saddr 172.31.254.2 oifname != "pw-ab12" masquerade fully-random
      	}
      }
      table ip podwright-outside {
      	set own {
      		type ipv4_addr
      		flags interval
      		elements = { 10.244.0.0/16 }
      	}

      	chain postrouting {
      		type nat hook postrouting priority 100; policy accept;
      		oifname "outside0" masquerade fully-random
      	}

      	chain input {
      		type filter hook input priority 0; policy accept;
      		iifname "outside0" ct state new drop
      	}

      	chain forward {
      		type filter hook forward priority 0; policy accept;
      		iifname "outside0" ct state new drop
      		oifname "outside0" ip daddr @own meta l4proto tcp reject with tcp reset
      		oifname "outside0" ip daddr @own reject with icmp port-unreachable
      	}

      	chain output {
      		type filter hook output priority 0; policy accept;
      		oifname "outside0" ip daddr @own meta l4proto tcp reject with tcp reset
      		oifname "outside0" ip daddr @own reject with icmp port-unreachable
      	}
      }
      {"op":"addLink","name":"pw-ab12","link":{"kind":"veth","peerName":"outside0","peerNetns":{"kind":"own"}}}
      {"op":"setLink","name":"pw-ab12","up":true}
      {"op":"ensureAddress","name":"pw-ab12","address":"172.31.254.1/30"}"
    `);
  });

  test('is removed where it was written down that it is there, by its names alone', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'podwright-nat-'));
    try {
      const [nft, netlink] = [createFakeNft(), createFakeNetlink()];
      const plan = planNat('ab12', [4], []);
      const [family] = plan.families;
      if (family === undefined) throw new Error('no family');
      const table = renderMachineNat(plan, family);
      const other = { ...table, name: 'podwright-up-ffff' };
      await nft.commit(
        ownNetns,
        [table, other].map((each) => ({ op: 'replaceTable', table: each })),
      );
      await netlink.apply(ownNetns, [
        { op: 'addLink', name: 'pw-ab12', link: { kind: 'bridge' } },
        { op: 'addLink', name: 'pw-ffff', link: { kind: 'bridge' } },
      ]);
      const left = async (): Promise<readonly unknown[]> => [
        await nft.hasTable(ownNetns, table),
        await nft.hasTable(ownNetns, other),
        (await netlink.state(ownNetns)).links
          .map(({ name }) => name)
          .filter((name) => name.startsWith('pw-')),
      ];
      await removeNat(dataDir, 'ab12', { nft, netlink });
      expect(await left()).toEqual([true, true, ['pw-ab12', 'pw-ffff']]);
      writeFileSync(join(dataDir, 'nat.json'), '{"link":"pw-ffff"}');
      await removeNat(dataDir, 'ab12', { nft, netlink });
      expect(await left()).toEqual([true, true, ['pw-ab12', 'pw-ffff']]);
      writeFileSync(join(dataDir, 'nat.json'), '{"link":"pw-ab12"}');
      await removeNat(dataDir, 'ab12', { nft, netlink });
      expect([await left(), await hasNat(dataDir, 'ab12')]).toEqual([[false, true, ['pw-ffff']], false]);
    } finally {
      rmSync(dataDir, { recursive: true });
    }
  });
});

test('what an earlier release kept of --egress is read', () => {
  const egress = (value: unknown): unknown =>
    parseKeptOptions(JSON.stringify({ nodes: 1, port: 6443, egress: value }))?.egress;
  expect([true, false, 'nat', 'none', 'x'].map(egress)).toEqual(['relay', 'none', 'nat', 'none', undefined]);
});
