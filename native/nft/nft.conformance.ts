import { describe, expect, it } from 'vitest';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import type { Nft, NftExpr, NftOp, NftSet, NftTable, TableRef } from './nft.ts';

export interface NftGiven extends AsyncDisposable {
  readonly nft: Nft;
  /** A namespace of the test's own, without tables. */
  readonly netns: NetnsRef;
}

const ref: TableRef = { family: 'ip', name: 'podwright' };

const backends: NftSet = {
  name: 'backends',
  keyTypes: ['ipv4_addr', 'inet_proto', 'inet_service', 'integer'],
  dataTypes: ['ipv4_addr', 'inet_service'],
};
const blocked: NftSet = { name: 'blocked', keyTypes: ['ipv4_addr'] };
const networks: NftSet = { name: 'networks', keyTypes: ['ipv4_addr'], interval: true };
const verdicts: NftSet = { name: 'verdicts', keyTypes: ['ipv4_addr'], dataTypes: ['verdict'] };
const clients: NftSet = { name: 'clients', keyTypes: ['ipv4_addr'], dynamic: { timeoutMs: 10_000 } };

const accept: NftExpr = { expr: 'verdict', verdict: { kind: 'accept' } };

const base: NftTable = {
  ...ref,
  sets: [backends, blocked, networks, verdicts, clients],
  chains: [
    { name: 'service', rules: [{ exprs: [accept] }] },
    {
      name: 'prerouting',
      hook: { type: 'nat', hook: 'prerouting', priority: -100 },
      rules: [{ exprs: [{ expr: 'vmap', key: [{ load: 'ip daddr' }], map: 'verdicts' }] }],
    },
  ],
  elements: {
    backends: [{ key: ['172.16.0.1', 'tcp', 80, 0], data: ['10.0.0.5', 8080] }],
    networks: [{ key: ['10.0.0.0/24'] }],
    verdicts: [{ key: ['172.16.0.1'], data: { kind: 'goto', chain: 'service' } }],
  },
};

const rule = (...exprs: readonly NftExpr[]): NftOp => ({
  op: 'addRule',
  table: ref,
  chain: 'service',
  rule: { exprs },
});

const elements = (
  op: 'addElements' | 'removeElements',
  set: NftSet,
  ...list: Extract<NftOp, { readonly op: 'addElements' }>['elements']
): NftOp => ({ op, table: ref, set, elements: list });

interface Row {
  readonly name: string;
  readonly ops: readonly NftOp[];
  /** undefined: goes through. */
  readonly want?: { readonly code: string; readonly index: number };
}

/** Each row starts from `base`. */
const rows: readonly Row[] = [
  { name: 'nothing', ops: [] },
  { name: 'a table that is there', ops: [{ op: 'ensureTable', table: ref }] },
  { name: 'a table that is gone', ops: [{ op: 'removeTable', table: { family: 'ip6', name: 'none' } }] },
  { name: 'the table again', ops: [{ op: 'replaceTable', table: base }] },
  {
    name: 'a set in a table that is not there',
    ops: [{ op: 'addSet', table: { family: 'ip6', name: 'podwright' }, set: blocked }],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  {
    name: 'a set twice',
    ops: [{ op: 'addSet', table: ref, set: blocked }],
    want: { code: 'E_EXISTS', index: 0 },
  },
  { name: 'a set removed', ops: [{ op: 'removeSet', table: ref, name: 'blocked' }] },
  {
    name: 'a set removed twice',
    ops: [
      { op: 'removeSet', table: ref, name: 'blocked' },
      { op: 'removeSet', table: ref, name: 'blocked' },
    ],
    want: { code: 'E_NOT_FOUND', index: 1 },
  },
  {
    name: 'a set removed that a rule refers to',
    ops: [{ op: 'removeSet', table: ref, name: 'verdicts' }],
    want: { code: 'E_BUSY', index: 0 },
  },
  {
    name: 'a chain twice',
    ops: [{ op: 'addChain', table: ref, chain: { name: 'service' } }],
    want: { code: 'E_EXISTS', index: 0 },
  },
  {
    name: 'a chain removed that an element jumps to',
    ops: [{ op: 'removeChain', table: ref, name: 'service' }],
    want: { code: 'E_BUSY', index: 0 },
  },
  {
    name: 'a chain removed with its rules, once nothing jumps to it',
    ops: [
      elements('removeElements', verdicts, { key: ['172.16.0.1'] }),
      { op: 'removeChain', table: ref, name: 'service' },
    ],
  },
  {
    name: 'a counter, and a rule that counts on it',
    ops: [
      { op: 'addCounter', table: ref, counter: { name: 'some/packets', packets: 0, bytes: 0 } },
      rule({ expr: 'counter', name: 'some/packets' }),
    ],
  },
  {
    name: 'a counter twice',
    ops: [
      { op: 'addCounter', table: ref, counter: { name: 'some/packets', packets: 0, bytes: 0 } },
      { op: 'addCounter', table: ref, counter: { name: 'some/packets', packets: 1, bytes: 1 } },
    ],
    want: { code: 'E_EXISTS', index: 1 },
  },
  {
    name: 'a rule that counts on no counter',
    ops: [rule({ expr: 'counter', name: 'none' })],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  {
    name: 'a counter removed that a rule counts on',
    ops: [
      { op: 'addCounter', table: ref, counter: { name: 'some/packets', packets: 0, bytes: 0 } },
      rule({ expr: 'counter', name: 'some/packets' }),
      { op: 'removeCounter', table: ref, name: 'some/packets' },
    ],
    want: { code: 'E_BUSY', index: 2 },
  },
  {
    name: 'a counter removed once its rule is gone',
    ops: [
      { op: 'addCounter', table: ref, counter: { name: 'some/packets', packets: 0, bytes: 0 } },
      rule({ expr: 'counter', name: 'some/packets' }),
      { op: 'flushChain', table: ref, name: 'service' },
      { op: 'removeCounter', table: ref, name: 'some/packets' },
    ],
  },
  {
    name: 'an unknown chain flushed',
    ops: [{ op: 'flushChain', table: ref, name: 'none' }],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  {
    name: 'a chain flushed and filled',
    ops: [{ op: 'flushChain', table: ref, name: 'service' }, rule(accept)],
  },
  {
    name: 'a rule in an unknown chain',
    ops: [{ op: 'addRule', table: ref, chain: 'none', rule: { exprs: [accept] } }],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  {
    name: 'a rule that refers to a missing set',
    ops: [rule(accept), rule({ expr: 'lookup', key: [{ load: 'ip saddr' }], set: 'none' })],
    want: { code: 'E_NOT_FOUND', index: 1 },
  },
  {
    name: 'a rule that jumps to a missing chain',
    ops: [rule({ expr: 'verdict', verdict: { kind: 'jump', chain: 'none' } })],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  {
    name: 'a jump to a base chain',
    ops: [rule({ expr: 'verdict', verdict: { kind: 'jump', chain: 'prerouting' } })],
    want: { code: 'E_UNSUPPORTED', index: 0 },
  },
  {
    name: 'a map looked up as a set',
    ops: [rule({ expr: 'lookup', key: [{ load: 'ip saddr' }], set: 'verdicts' })],
    want: { code: 'E_KERNEL', index: 0 },
  },
  {
    name: 'a set looked up as a map',
    ops: [rule({ expr: 'vmap', key: [{ load: 'ip saddr' }], map: 'blocked' })],
    want: { code: 'E_KERNEL', index: 0 },
  },
  {
    name: 'an update of a dynamic set',
    ops: [rule({ expr: 'update', set: 'clients', key: [{ load: 'ip saddr' }] })],
  },
  {
    name: 'an element again',
    ops: [elements('addElements', backends, base.elements['backends']?.[0] ?? { key: [] })],
  },
  {
    name: 'an element with other data',
    ops: [elements('addElements', backends, { key: ['172.16.0.1', 6, 80, 0], data: ['10.0.0.6', 8080] })],
    want: { code: 'E_EXISTS', index: 0 },
  },
  {
    name: 'an element whose data changes in one transaction',
    ops: [
      elements('removeElements', backends, { key: ['172.16.0.1', 'tcp', 80, 0] }),
      elements('addElements', backends, { key: ['172.16.0.1', 'tcp', 80, 0], data: ['10.0.0.6', 8080] }),
    ],
  },
  {
    name: 'an element that is not there, removed',
    ops: [elements('removeElements', blocked, { key: ['10.9.9.9'] })],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  {
    name: 'an element that jumps to a missing chain',
    ops: [elements('addElements', verdicts, { key: ['10.0.0.1'], data: { kind: 'jump', chain: 'none' } })],
    want: { code: 'E_NOT_FOUND', index: 0 },
  },
  { name: 'an interval beside another', ops: [elements('addElements', networks, { key: ['10.0.1.0/24'] })] },
  {
    name: 'an interval that overlaps',
    ops: [elements('addElements', networks, { key: ['10.0.0.128-10.0.1.5'] })],
    want: { code: 'E_EXISTS', index: 0 },
  },
  { name: 'an interval removed', ops: [elements('removeElements', networks, { key: ['10.0.0.0/24'] })] },
  { name: 'no elements', ops: [elements('addElements', blocked)] },
  {
    name: 'a key of too few values',
    ops: [elements('addElements', backends, { key: ['10.0.0.1'], data: ['10.0.0.1', 1] })],
    want: { code: 'E_INVALID', index: 0 },
  },
  {
    name: 'a value that is none',
    ops: [rule(accept), elements('addElements', blocked, { key: ['10.0.0.256'] })],
    want: { code: 'E_INVALID', index: 1 },
  },
  {
    name: 'a comment beyond what fits',
    ops: [
      { op: 'addRule', table: ref, chain: 'service', rule: { exprs: [accept], comment: 'x'.repeat(200) } },
    ],
    want: { code: 'E_LIMIT', index: 0 },
  },
];

/** What every Nft must do. */
export function proveNft(name: string, open: () => Promise<NftGiven>): void {
  describe(`${name} satisfies the nft port`, () => {
    it.each(rows)('$name', async ({ ops, want }) => {
      await using given = await open();

      const { nft, netns } = given;
      await nft.commit(netns, [{ op: 'replaceTable', table: base }]);
      const committed = nft.commit(netns, ops);
      if (want === undefined) await committed;
      else await expect(committed).rejects.toMatchObject({ code: want.code, detail: { index: want.index } });
    });

    it('a refused transaction leaves nothing behind', async () => {
      await using given = await open();

      const { nft, netns } = given;
      await nft.commit(netns, [{ op: 'replaceTable', table: base }]);
      const other: TableRef = { family: 'inet', name: 'other' };
      const refused: readonly NftOp[] = [
        { op: 'ensureTable', table: other },
        { op: 'addChain', table: ref, chain: { name: 'new' } },
        elements('addElements', blocked, { key: ['10.0.0.1'] }),
        { op: 'removeTable', table: ref },
        { op: 'addChain', table: ref, chain: { name: 'new' } },
      ];
      await expect(nft.commit(netns, refused)).rejects.toMatchObject({ detail: { index: 4 } });
      expect(await nft.hasTable(netns, other)).toBe(false);
      expect(await nft.hasTable(netns, ref)).toBe(true);
      await nft.commit(netns, [
        { op: 'addChain', table: ref, chain: { name: 'new' } },
        elements('addElements', blocked, { key: ['10.0.0.1'] }),
      ]);
      const again = nft.commit(netns, [elements('removeElements', blocked, { key: ['10.0.0.2'] })]);
      await expect(again).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    });

    it('hasTable() tells families apart, and sees a removal', async () => {
      await using given = await open();

      const { nft, netns } = given;
      expect(await nft.hasTable(netns, ref)).toBe(false);
      await nft.commit(netns, [{ op: 'replaceTable', table: base }]);
      expect(await nft.hasTable(netns, ref)).toBe(true);
      expect(await nft.hasTable(netns, { ...ref, family: 'inet' })).toBe(false);
      await nft.commit(netns, [{ op: 'removeTable', table: ref }]);
      expect(await nft.hasTable(netns, ref)).toBe(false);
    });

    it('ruleCount() counts the rules of the table, one that rejects any protocol as two', async () => {
      await using given = await open();

      const { nft, netns } = given;
      expect(await nft.ruleCount(netns, ref)).toBe(0);
      await nft.commit(netns, [
        { op: 'replaceTable', table: base },
        { op: 'replaceTable', table: { ...base, name: 'other' } },
      ]);
      expect(await nft.ruleCount(netns, ref)).toBe(2);
      await nft.commit(netns, [rule({ expr: 'reject' })]);
      expect(await nft.ruleCount(netns, ref)).toBe(4);
      await nft.commit(netns, [{ op: 'flushChain', table: ref, name: 'service' }]);
      expect(await nft.ruleCount(netns, ref)).toBe(1);
    });

    it('generation() is another after each transaction that went through', async () => {
      await using given = await open();

      const { nft, netns } = given;
      await nft.commit(netns, [{ op: 'replaceTable', table: base }]);
      const before = await nft.generation(netns);
      expect(await nft.generation(netns)).toBe(before);
      await expect(nft.commit(netns, [{ op: 'addSet', table: ref, set: blocked }])).rejects.toThrow('EEXIST');
      expect(await nft.generation(netns)).toBe(before);
      await nft.commit(netns, [elements('addElements', blocked, { key: ['10.0.0.1'] })]);
      expect(await nft.generation(netns)).not.toBe(before);
    });

    it('counters() tells names and counts of one table, and of none that is not there', async () => {
      await using given = await open();

      const counters = [
        { name: 'in/default/web', packets: 3, bytes: 180 },
        { name: 'out/default/web', packets: 0, bytes: 0 },
      ];
      expect(await given.nft.counters(given.netns, ref)).toEqual([]);
      await given.nft.commit(given.netns, [
        { op: 'replaceTable', table: { ...base, counters } },
        {
          op: 'replaceTable',
          table: { ...base, name: 'another', counters: [{ name: 'other', packets: 1, bytes: 1 }] },
        },
      ]);
      const listed = await given.nft.counters(given.netns, ref);
      expect(listed.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(counters);
    });

    it('removeFlows() of none removes none', async () => {
      await using given = await open();

      expect(await given.nft.flows(given.netns, ['10.0.0.1', 'fd00::1'])).toEqual([]);
      expect(await given.nft.removeFlows(given.netns, [])).toBe(0);
    });

    it('flushConntrack() of no flows deletes none', async () => {
      await using given = await open();

      const match = { protocol: 17, originalDestination: '172.16.0.1', port: 53, replies: { except: [] } };
      expect(await given.nft.flushConntrack(given.netns, [match])).toBe(0);
      expect(await given.nft.flushConntrack(given.netns, [])).toBe(0);
    });
  });
}
