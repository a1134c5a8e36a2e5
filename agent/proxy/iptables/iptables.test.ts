import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ServiceSpec } from '#api/generated/objects.ts';
import {
  endpoint,
  limited,
  local,
  localPolicy,
  nodePort,
  ports,
  remote,
  servedAlone,
  tableOptions,
} from '#agent/proxy/services.fixture.ts';
import type { ProxyPort } from '#agent/proxy/service-map.ts';
import { createFakeXtables } from '#native/xtables/xtables.fake.ts';
import { backendChainName, portChainName } from './chain-names.ts';
import { renderIptables, type IptablesContribution } from './contribution.ts';
import { soundAfter } from './iptables-rules.ts';
import { createIptablesRuleset, planIptablesRemoval, type IptablesRuleset } from './ruleset.ts';

const served = (
  spec: ServiceSpec,
  endpoints: Parameters<typeof ports>[1],
  name = 'web',
): IptablesContribution => renderIptables(ports(spec, endpoints, name), tableOptions);

test('names of chains are those of kube-proxy', () => {
  const [port] = ports({}, [local]) as readonly [ProxyPort];
  const known = { ...port, id: 'ns1/svc1:p80', protocol: 6 } as const;
  expect(portChainName('SVC', known)).toBe('KUBE-SVC-XPGD46QRK7WJZT7O');
  expect(backendChainName(known, { ip: '10.180.0.1', port: 80, isLocal: true })).toBe(
    'KUBE-SEP-SXIVWICOYRO3J4NJ',
  );
});

test.each([
  { name: 'our own transactions alone', sound: 7, before: 7, after: 9, want: 9 },
  { name: "somebody else's among them", sound: 7, before: 7, after: 10, want: 7 },
  { name: "somebody else's before them", sound: 7, before: 8, after: 10, want: 7 },
  { name: 'legacy tables, which count nothing', sound: 7, before: 7, after: 7, want: 7 },
  { name: 'rules that were not read yet', sound: undefined, before: 7, after: 9, want: undefined },
  { name: 'a kernel that did not say', sound: 7, before: undefined, after: undefined, want: 7 },
])('what is known to be sound after a commit: $name', ({ sound, before, after, want }) => {
  expect(soundAfter(sound, { before, after, tablesWritten: 2 })).toBe(want);
});

test('the rules of a Service of each kind', async () => {
  const ruleset = createIptablesRuleset(tableOptions);
  ruleset.set('d/web', served({ ...localPolicy }, [local, remote]));
  ruleset.set(
    'd/sticky',
    served({ clusterIP: '10.96.0.81', sessionAffinity: 'ClientIP' }, [local, remote], 'sticky'),
  );
  ruleset.set(
    'd/limited',
    served({ clusterIP: '10.96.0.83', ...limited, ports: nodePort.ports }, [remote], 'limited'),
  );
  ruleset.set('d/empty', served({ clusterIP: '10.96.0.82', ...nodePort }, [], 'empty'));
  ruleset.set(
    'd/sctp',
    served({ clusterIP: '10.96.0.84', ports: [{ port: 80, protocol: 'SCTP' }] }, [local, remote], 'sctp'),
  );
  await expect(ruleset.takeWhole(new Map())).toMatchFileSnapshot('golden/services.rules');
});

test('the rules of IPv6, of a load balancer whose traffic stays and whose sources are limited', async () => {
  const spec = { ...limited, ports: nodePort.ports, externalTrafficPolicy: 'Local' } as const;
  const alone = servedAlone('ip6', spec, [local, remote]);
  const ruleset = createIptablesRuleset({ ...alone.options, loadBalancerCidr: 'fd00:172::/112' });
  ruleset.set('d/web', renderIptables(alone.ports, alone.options));
  await expect(ruleset.takeWhole(new Map())).toMatchFileSnapshot('golden/load-balancer-ip6.rules');
});

test('node ports on loopback, of IPv4 alone', () => {
  const textOf = (options: Parameters<typeof createIptablesRuleset>[0]): string => {
    const ruleset = createIptablesRuleset(options);
    ruleset.set('d/web', renderIptables(ports(nodePort, [], 'web'), options));
    return ruleset.takeWhole(new Map());
  };
  const others = '! -d 127.0.0.0/8 -m addrtype';
  expect(textOf(tableOptions)).toContain(others);
  expect(textOf({ ...tableOptions, hasLocalhostNodePorts: true })).not.toContain(others);
  const { options } = servedAlone('ip6', nodePort, [local]);
  expect(textOf({ ...options, hasLocalhostNodePorts: true })).toContain('! -d ::1/128');
});

test('one change among many Services writes its chains, and the shared one only where its own rules changed', () => {
  const ruleset = createIptablesRuleset(tableOptions);
  const set = (i: number, ...endpoints: Parameters<typeof ports>[1]): void =>
    ruleset.set(`d/${i}`, served({ clusterIP: `10.96.1.${i}` }, endpoints, `${i}`));
  for (let i = 0; i < 100; i++) set(i, local, remote);
  ruleset.takeWhole(new Map());
  expect(ruleset.takeChanges()).toBe('');
  set(7, remote);
  const lines = ruleset.takeChanges().split('\n');
  const [service] = ports({}, [local], '7') as readonly [ProxyPort];
  const gone = backendChainName(service, { ip: '10.244.0.5', port: 8080, isLocal: true });
  const stays = backendChainName(service, { ip: '10.244.1.5', port: 8080, isLocal: false });
  const chain = portChainName('SVC', service);
  expect(lines.filter((line) => line.startsWith(':')).toSorted()).toEqual(
    [`:${chain} - [0:0]`, `:${gone} - [0:0]`].toSorted(),
  );
  expect(lines.filter((line) => line.startsWith('-A'))).toEqual([
    `-A ${chain} -m comment --comment "d/7" ! -s 10.244.0.0/16 -d 10.96.1.7/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ`,
    `-A ${chain} -m comment --comment "d/7" -j ${stays}`,
  ]);
  expect(lines.filter((line) => line.startsWith('-X'))).toEqual([`-X ${gone}`]);
});

describe('what is there already', () => {
  const saved = (chains: Readonly<Record<string, readonly string[]>>) =>
    new Map([['nat', new Map(Object.entries(chains))]]);

  test('chains of another Service proxy are not touched: the mode is refused', () => {
    const foreign = saved({ PREROUTING: ['-j KUBE-SERVICES'], 'KUBE-SERVICES': [] });
    expect(() => createIptablesRuleset(tableOptions).takeWhole(foreign)).toThrow(
      /KUBE-SERVICES of table nat is another Service proxy's/,
    );
    expect(planIptablesRemoval(foreign)).toBe('');
  });

  test('ours goes whole, and nothing of others', async () => {
    const xtables = createFakeXtables();
    const others =
      '*nat\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n*filter\n:KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\nCOMMIT\n';
    await xtables.restore(4, others);
    const before = await xtables.save(4);
    const ruleset = createIptablesRuleset(tableOptions);
    ruleset.set('d/web', served(localPolicy, [local, remote]));
    await xtables.restore(4, ruleset.takeWhole(before));
    expect(ruleset.isIn(await xtables.save(4))).toBe(true);
    // A second agent finds what the first left, and another Service instead.
    const second = createIptablesRuleset(tableOptions);
    second.set('d/other', served({}, [remote], 'other'));
    await xtables.restore(4, second.takeWhole(await xtables.save(4)));
    expect(
      [...((await xtables.save(4)).get('nat')?.keys() ?? [])].filter((name) => /SVC/.test(name)),
    ).toEqual([portChainName('SVC', ports({}, [remote], 'other')[0] as ProxyPort)]);
    await xtables.restore(4, planIptablesRemoval(await xtables.save(4)));
    const after = await xtables.save(4);
    expect([after.get('nat'), after.get('filter')]).toEqual([before.get('nat'), before.get('filter')]);
  });

  test.each<
    [string, (ruleset: IptablesRuleset, xtables: ReturnType<typeof createFakeXtables>) => Promise<void>]
  >([
    ['a table was flushed', async (_, xtables) => xtables.flush(4, 'nat')],
    [
      'a jump was removed',
      (_, xtables) =>
        xtables.restore(
          4,
          '*nat\n-D OUTPUT -m comment --comment "podwright Services" -j KUBE-SERVICES\nCOMMIT\n',
        ),
    ],
    ['a chain was emptied', (_, xtables) => xtables.restore(4, '*filter\n:KUBE-FORWARD - [0:0]\nCOMMIT\n')],
  ])('%s: that is seen, and mended by the whole', async (_name, spoil) => {
    const xtables = createFakeXtables();
    const ruleset = createIptablesRuleset(tableOptions);
    ruleset.set('d/web', served(localPolicy, [local, remote]));
    await xtables.restore(4, ruleset.takeWhole(await xtables.save(4)));
    const whole = await xtables.save(4);
    await spoil(ruleset, xtables);
    expect(ruleset.isIn(await xtables.save(4))).toBe(false);
    await xtables.restore(4, ruleset.takeWhole(await xtables.save(4)));
    expect(ruleset.isIn(await xtables.save(4))).toBe(true);
    expect(await xtables.save(4)).toEqual(whole);
  });
});

test('changes lead to the same chains as making them whole, whatever happens to Services', async () => {
  const change = fc.record({
    key: fc.constantFrom('d/a', 'd/b', 'd/c'),
    isGone: fc.boolean(),
    backends: fc.subarray(['10.244.0.1', '10.244.0.2', '10.244.1.3', '10.244.1.4']),
    isSticky: fc.boolean(),
    isLocal: fc.boolean(),
    shared: fc.boolean(),
    ranges: fc.subarray(['10.0.0.0/8', '192.0.2.0/24', '192.0.2.128/25']),
    takes: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 25 }), async (changes) => {
      const [stepwise, whole] = [createFakeXtables(), createFakeXtables()];
      const ruleset = createIptablesRuleset(tableOptions);
      await stepwise.restore(4, ruleset.takeWhole(new Map()));
      for (const { key, isGone, backends, isSticky, isLocal, shared, ranges, takes } of changes) {
        const spec: ServiceSpec = {
          ...nodePort,
          ports: [{ port: 80, protocol: 'TCP', nodePort: 30_000 + key.charCodeAt(2) }],
          clusterIP: `10.96.0.${key.charCodeAt(2)}`,
          ...(isSticky ? { sessionAffinity: 'ClientIP' } : {}),
          ...(isLocal ? { externalTrafficPolicy: 'Local' } : {}),
          ...(shared ? { externalIPs: ['203.0.113.5'] } : {}),
          ...(ranges.length > 0 ? { type: 'LoadBalancer', loadBalancerSourceRanges: ranges } : {}),
        };
        const endpoints = backends.map((ip) => endpoint(ip));
        ruleset.set(key, isGone ? undefined : served(spec, endpoints, key));
        if (takes) await stepwise.restore(4, ruleset.takeChanges());
      }
      await stepwise.restore(4, ruleset.takeChanges());
      expect(ruleset.isIn(await stepwise.save(4))).toBe(true);
      await whole.restore(4, ruleset.takeWhole(new Map()));
      const sorted = async (xtables: typeof whole) =>
        [...(await xtables.save(4))].map(([table, chains]) => [table, [...chains].toSorted()]);
      expect(await sorted(stepwise)).toEqual(await sorted(whole));
    }),
    { numRuns: 60 },
  );
});
