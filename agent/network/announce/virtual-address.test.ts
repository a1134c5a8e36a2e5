import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { leases } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createFakeLink } from '#native/neighbour/announcer.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderTable } from '#native/nft/render.ts';
import { renderVirtualTable, startVirtualAddress, virtualLease, virtualTableRef } from './virtual-address.ts';

const port = 6443;

test('what comes for the address is led to the server of this host, for a while', async () => {
  const tables = [
    renderVirtualTable('192.0.2.100', port, { ip: '192.0.2.1', port }),
    renderVirtualTable('fd00::100', port, { ip: 'fd00::1', port }),
  ];
  await expect(tables.map(renderTable).join('\n')).toMatchFileSnapshot('golden/virtual-address.nft');
});

const address = '192.0.2.100';

function createPlace() {
  const clock = createFakeClock();
  const [client, nft, link] = [createFakeApiClient(clock), createFakeNft(), createFakeLink()];
  const dead = new Set<string>();
  return {
    ...{ client, nft, link },
    count: () => nft.ruleCount(ownNetns, virtualTableRef(4)),
    /** `refused`: rules that are put there first. */
    start: (name: string, refused = 0) => {
      const ask = <T>(call: () => Promise<T>): Promise<T> =>
        dead.has(name) ? Promise.reject(new Error('it is dead')) : call();
      return startVirtualAddress({
        ...{ identity: name, addresses: [address], port, own: { 4: '192.0.2.1' }, clock },
        client: {
          ...client,
          get: (...parameters) => ask(() => client.get(...parameters)),
          update: (...parameters) => ask(() => client.update(...parameters)),
        },
        open: (events) => link.open({ link: { index: 1, mac: name, ips: {} }, ...events }),
        nft: {
          commit: (netns, ops) =>
            ops[0]?.op === 'replaceTable' && refused-- > 0
              ? Promise.reject(new Error('refused'))
              : nft.commit(netns, ops),
        },
        log: silentLogger,
      });
    },
    kill: (name: string) => {
      dead.add(name);
      link.cut(name);
    },
    pass: async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 50) {
        clock.advance(50);
        await untilTurnsEnd();
      }
    },
  };
}

test('rules are there before and while the address is answered for, made again when one was refused, and gone after', async () => {
  const { client, nft, link, count, start, pass } = createPlace();
  const server = start('s1', 1);
  await untilTurnsEnd();
  // Who asked now would come before there is anything to lead it on.
  expect([link.answering(address), await count()]).toEqual([[], 0]);
  await pass(300);
  expect([link.answering(address), await count()]).toEqual([['s1'], 2]);
  // Somebody flushes all rules.
  await nft.commit(ownNetns, [{ op: 'removeTable', table: virtualTableRef(4) }]);
  await pass(2_100);
  expect(await count()).toBe(2);
  await server[Symbol.asyncDispose]();
  expect([link.answering(address), await count()]).toEqual([[], 0]);
  const [lease] = client.all(leases);
  expect([lease?.metadata?.name, lease?.spec?.holderIdentity ?? '']).toEqual([virtualLease, '']);
});

test('a holder that no other ever heard is followed within seven seconds', async () => {
  const { link, start, kill, pass } = createPlace();
  await using stack = new AsyncDisposableStack();

  stack.use(start('s1'));
  await pass(500);
  kill('s1');
  stack.use(start('s2'));
  await pass(3_000);
  expect(link.answering(address)).toEqual([]); // It may be on another link.
  await pass(4_000);
  expect(link.answering(address)).toEqual(['s2']);
});
