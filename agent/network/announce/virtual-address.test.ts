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

test('rules are there while the Lease is held, made again when one was refused, and gone after', async () => {
  const clock = createFakeClock();
  const [client, nft, link] = [createFakeApiClient(clock), createFakeNft(), createFakeLink()];
  let isRefused = true;
  const start = (name: string) =>
    startVirtualAddress({
      ...{ identity: name, addresses: ['192.0.2.100'], port, own: { 4: '192.0.2.1' }, client, clock },
      open: (events) => link.open({ link: { index: 1, mac: name, ips: {} }, ...events }),
      nft: {
        commit: (netns, ops) => {
          const [first] = ops;
          if (!isRefused || first?.op !== 'replaceTable') return nft.commit(netns, ops);
          isRefused = false;
          return Promise.reject(new Error('refused'));
        },
      },
      log: silentLogger,
    });
  const count = () => nft.ruleCount(ownNetns, virtualTableRef(4));
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 50) {
      clock.advance(50);
      await untilTurnsEnd();
    }
  };
  const server = start('s1');
  await untilTurnsEnd();
  expect([link.answering('192.0.2.100'), await count()]).toEqual([['s1'], 0]);
  await pass(300);
  expect(await count()).toBe(2);
  // Somebody flushes all rules.
  await nft.commit(ownNetns, [{ op: 'removeTable', table: virtualTableRef(4) }]);
  await pass(2_100);
  expect(await count()).toBe(2);
  await server[Symbol.asyncDispose]();
  expect([link.answering('192.0.2.100'), await count()]).toEqual([[], 0]);
  const [lease] = client.all(leases);
  expect([lease?.metadata?.name, lease?.spec?.holderIdentity ?? '']).toEqual([virtualLease, '']);
});
