import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownNetns } from '#native/netlink/netlink.ts';
import { removeIptables } from './iptables/remove-iptables.ts';
import { families, namesOf, silenceMs } from './packet-net.fixture.ts';
import { proxyModes, type ProxyMode } from './service-rules.ts';
import { openStage, type Stage } from './suite/bench.fixture.ts';
import { rows } from './suite/rows.fixture.ts';

/** The proxy on a real kernel, of each mode and family: the rows of suite/, on the node and pods that packet-net.fixture.ts makes. */
const isRoot = process.getuid?.() === 0;
const hasIptables = existsSync('/usr/sbin/iptables-restore') && existsSync('/usr/sbin/ip6tables-restore');

let stage: Stage;

beforeAll(async () => {
  if (isRoot) stage = await openStage('proxy');
});
afterAll(async () => {
  if (isRoot) await stage[Symbol.asyncDispose]();
});

describe.each(proxyModes)('packets of %s', (mode) => {
  const canRun = isRoot && (mode !== 'iptables' || hasIptables);

  beforeAll(async () => {
    if (canRun) await stage.start(mode);
  });
  afterAll(async () => {
    if (canRun) await stage.stop();
  });

  describe.skipIf(!canRun).each(families)('%s (needs root, and iptables for its mode)', (family) => {
    for (const { name, except, canRun: hasWhatItNeeds, run } of rows)
      test.skipIf(except?.(mode, family) !== undefined || hasWhatItNeeds?.() === false)(name, async () => {
        await using bench = stage.bench(mode, family);
        await run(bench);
      });
  });
});

describe.skipIf(!isRoot || !hasIptables)('from mode to mode (needs root and iptables)', () => {
  const foreign =
    '*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n';
  const isOurs = (name: string): boolean => /^(?:KUBE|PODWRIGHT)-/.test(name);
  const chainsLeft = async (): Promise<readonly string[]> => {
    const { xtables } = stage;
    const saved = [await xtables.save(4), await xtables.save(6)];
    return saved.flatMap((tables) =>
      [...tables.values()].flatMap((table) => [...table.keys()].filter(isOurs)),
    );
  };
  const hasTable = (): Promise<boolean> =>
    stage.nft.hasTable(ownNetns, { family: 'ip', name: 'podwright-proxy' });

  test('a Service answers all the time, other rules stay, and none of ours is left', async () => {
    const { xtables } = stage;
    await using bench = stage.bench('nftables', 'ip');
    const { put, a, b, c, outside } = bench;
    await xtables.restore(4, foreign);
    const rules = (await xtables.save(4)).get('nat')?.get('PREROUTING');
    await stage.start('nftables');
    await put('web', { clusterIP: '10.96.0.80' }, [a, b]);
    const client = c.keepConnecting('10.96.0.80:80');
    const steps: readonly (readonly [ProxyMode, boolean, boolean])[] = [
      ['iptables', false, true],
      ['nftables', true, false],
      ['iptables', false, true],
      ['userspace', true, false],
    ];
    for (const [mode, isNft, isIptables] of steps) {
      await stage.start(mode);
      expect([await hasTable(), (await chainsLeft()).length > 0]).toEqual([isNft, isIptables]);
      expect(namesOf(await outside.connect('10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
    }
    expect(namesOf(await client.stop())).toEqual(new Set(['a', 'b']));
    await stage.stop();
    const nat = (await xtables.save(4)).get('nat');
    expect([nat?.get('PREROUTING')?.length, nat?.get('DOCKER')]).toEqual([
      rules?.length,
      ['-i docker0 -j RETURN'],
    ]);
  });

  test('a node that ends leaves no chain of it', async () => {
    await stage.start('iptables');
    expect(await chainsLeft()).toContain('KUBE-SERVICES');
    await stage.stop();
    await removeIptables(stage.xtables);
    expect(await chainsLeft()).toEqual([]);
    await removeIptables(stage.xtables);
  });

  test.skipIf(!existsSync('/usr/sbin/nft'))(
    'a listener takes nothing but what a rule led there',
    async () => {
      await stage.start('userspace');
      await using bench = stage.bench('userspace', 'ip');
      const { put, a, b, outside } = bench;
      await put('web', { clusterIP: '10.96.0.80' }, [a]);
      const listed = execFileSync('nft', ['list', 'set', 'ip', 'podwright-proxy', 'listeners']).toString();
      const ports = [...listed.matchAll(/(?:tcp|6) \. (\d+)/g)].map(([, port = '']) => port);
      expect(ports.length).toBeGreaterThan(0);
      for (const from of [outside, b]) {
        const asked = ports.slice(0, 3).map((port) => from.connect(`192.0.2.1:${port}`, 1, silenceMs));
        expect(new Set((await Promise.all(asked)).flat())).toEqual(new Set(['timeout']));
      }
      expect(namesOf(await outside.connect('10.96.0.80:80'))).toEqual(new Set(['a']));
    },
  );
});
