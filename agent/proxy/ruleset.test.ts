import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ServiceSpec } from '#api/generated/objects.ts';
import { kernelRuleCount } from '#native/nft/loads.ts';
import type { NftElement, NftOp, NftTable } from '#native/nft/nft.ts';
import { renderTable } from '#native/nft/render.ts';
import { createRuleset } from './ruleset.ts';
import {
  contribution,
  endpoint,
  limited,
  local,
  localPolicy,
  nodePort,
  remote,
  tableIn,
  tableOptions,
} from './services.fixture.ts';

test('the table of a Service of each kind', async () => {
  const ruleset = createRuleset(tableOptions);
  ruleset.set('d/web', contribution({ ...localPolicy }, [local, remote]));
  ruleset.set(
    'd/sticky',
    contribution({ clusterIP: '10.96.0.81', sessionAffinity: 'ClientIP' }, [local], 'sticky'),
  );
  ruleset.set('d/limited', contribution({ clusterIP: '10.96.0.83', ...limited }, [remote], 'limited'));
  ruleset.set('d/empty', contribution({ clusterIP: '10.96.0.82' }, [], 'empty'));
  await expect(`${renderTable(ruleset.takeTable())}\n`).toMatchFileSnapshot('golden/services.nft');
});

test('the table of IPv6, of a load balancer whose traffic stays and whose sources are limited', async () => {
  const spec = { ...limited, ports: nodePort.ports, externalTrafficPolicy: 'Local' } as const;
  const table = tableIn('ip6', spec, [local, remote]);
  await expect(`${renderTable(table)}\n`).toMatchFileSnapshot('golden/load-balancer-ip6.nft');
});

test.each([1, 2, 32, 33, 50, 64, 65, 1_000])('each of %i backends has the same share', (count) => {
  const backends = Array.from({ length: count }, (_, i) => endpoint(`10.244.${i >> 8}.${i & 255}`));
  const { elements, shared } = contribution({}, backends);
  const drawn = elements.filter(({ set }) => set.name === `service-${count}`);
  expect(drawn.map(({ element }) => element.key.at(-1))).toEqual(backends.map((_, slot) => slot));
  expect(new Set(drawn.map(({ element }) => String(element.data))).size).toBe(count);
  const [draw] = shared.flatMap(({ rule }) => rule.exprs);
  expect(draw).toMatchObject({ key: expect.arrayContaining([{ load: 'numgen random', modulus: count }]) });
});

test('the table of Services of many backends: the frontend leads to the map of their number', async () => {
  const ruleset = createRuleset(tableOptions);
  const backends = Array.from({ length: 33 }, (_, i) => endpoint(`10.244.1.${i + 1}`));
  ruleset.set('d/web', contribution({}, backends));
  ruleset.set('d/other', contribution({ ...nodePort, clusterIP: '10.96.0.81' }, backends, 'other'));
  await expect(`${renderTable(ruleset.takeTable())}\n`).toMatchFileSnapshot('golden/many-backends.nft');
});

/** What a kernel would hold: elements by set, and rules by chain, as text. */
function createModel(table: NftTable): {
  readonly commit: (ops: readonly NftOp[]) => void;
  readonly text: () => string;
} {
  const sets = new Map(table.sets.map((set) => [set.name, new Map<string, NftElement>()]));
  const chains = new Map(
    table.chains.map((chain) => [chain.name, chain.rules.map((rule) => JSON.stringify(rule))]),
  );
  const setOf = (name: string): Map<string, NftElement> => sets.get(name) ?? fail(`no set ${name}`);
  for (const [name, elements] of Object.entries(table.elements))
    for (const item of elements) setOf(name).set(item.key.join(), item);
  const fail = (message: string): never => {
    throw new Error(message);
  };
  const run = (op: NftOp): void => {
    switch (op.op) {
      case 'addSet':
        return void (sets.has(op.set.name)
          ? fail(`set ${op.set.name} is there`)
          : sets.set(op.set.name, new Map()));
      case 'removeSet':
        return void (sets.delete(op.name) || fail(`no set ${op.name}`));
      case 'addChain':
        return void (chains.has(op.chain.name)
          ? fail(`chain ${op.chain.name} is there`)
          : chains.set(op.chain.name, []));
      case 'removeChain':
        return void (chains.delete(op.name) || fail(`no chain ${op.name}`));
      case 'flushChain':
        return void (chains.has(op.name) ? chains.set(op.name, []) : fail(`no chain ${op.name}`));
      case 'addRule':
        return void (chains.get(op.chain) ?? fail(`no chain ${op.chain}`)).push(JSON.stringify(op.rule));
      case 'addElements':
        for (const item of op.elements) {
          if (setOf(op.set.name).has(item.key.join())) fail(`element ${item.key.join()} is there`);
          setOf(op.set.name).set(item.key.join(), item);
        }
        return;
      case 'removeElements':
        for (const item of op.elements)
          if (!setOf(op.set.name).delete(item.key.join())) fail(`no element ${item.key.join()}`);
        return;
      default:
        fail(`unexpected ${op.op}`);
    }
  };
  return {
    commit: (ops) => ops.forEach(run),
    text: () =>
      JSON.stringify([
        [...sets]
          .filter(([, items]) => items.size > 0)
          .map(([name, items]) => [name, [...items].toSorted()])
          .toSorted(),
        [...chains].map(([name, rules]) => [name, rules.toSorted()]).toSorted(),
      ]),
  };
}

const kernelRules = (table: NftTable): number =>
  table.chains.flatMap(({ rules }) => rules).reduce((sum, rule) => sum + kernelRuleCount(rule), 0);

const many = Array.from({ length: 33 }, (_, i) => `10.244.2.${i}`);

test('changes lead to the same table as making it whole, whatever happens to Services', () => {
  const change = fc.record({
    key: fc.constantFrom('d/a', 'd/b', 'd/c'),
    isGone: fc.boolean(),
    backends: fc.subarray(['10.244.0.1', '10.244.0.2', '10.244.1.3', '10.244.1.4']),
    hasMany: fc.boolean(),
    isSticky: fc.boolean(),
    isLocal: fc.boolean(),
    shared: fc.boolean(),
    ranges: fc.subarray(['10.0.0.0/8', '192.0.2.0/24', '192.0.2.128/25', '192.0.2.9/32']),
    takes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
      const ruleset = createRuleset(tableOptions);
      const model = createModel(ruleset.takeTable());
      for (const { key, isGone, backends, hasMany, isSticky, isLocal, shared, ranges, takes } of changes) {
        const spec: ServiceSpec = {
          ...nodePort,
          ports: [{ port: 80, protocol: 'TCP', nodePort: 30_000 + key.charCodeAt(2) }],
          clusterIP: `10.96.0.${key.charCodeAt(2)}`,
          ...(isSticky ? { sessionAffinity: 'ClientIP' } : {}),
          ...(isLocal ? { externalTrafficPolicy: 'Local' } : {}),
          ...(shared ? { externalIPs: ['203.0.113.5'] } : {}),
          ...(ranges.length > 0 ? { type: 'LoadBalancer', loadBalancerSourceRanges: ranges } : {}),
        };
        ruleset.set(
          key,
          isGone
            ? undefined
            : contribution(
                spec,
                [...backends, ...(hasMany ? many : [])].map((ip) => endpoint(ip)),
                key,
              ),
        );
        if (takes) model.commit(ruleset.takeChanges());
      }
      model.commit(ruleset.takeChanges());
      const wanted = ruleset.ruleCount();
      const table = ruleset.takeTable();
      expect(model.text()).toBe(createModel(table).text());
      expect([wanted, ruleset.ruleCount()]).toEqual([kernelRules(table), kernelRules(table)]);
    }),
  );
});

test('one change among many Services is a change of that Service alone', () => {
  const ruleset = createRuleset(tableOptions);
  for (let i = 0; i < 100; i++)
    ruleset.set(`d/${i}`, contribution({ clusterIP: `10.96.1.${i}` }, [local, remote], `${i}`));
  ruleset.takeTable();
  ruleset.set('d/7', contribution({ clusterIP: '10.96.1.7' }, [remote], '7'));
  const ops = ruleset.takeChanges();
  expect(ops.map((op) => op.op)).toEqual(['addSet', 'removeElements', 'addElements', 'addRule']);
  ruleset.set('d/8', contribution({ clusterIP: '10.96.1.8' }, [remote], '8'));
  expect(ruleset.takeChanges().map((op) => op.op)).toEqual(['removeElements', 'addElements']);
});
