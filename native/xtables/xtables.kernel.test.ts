import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createFakeXtables } from './xtables.fake.ts';
import { createXtables } from './xtables.linux.ts';
import { describeXtables } from './xtables.conformance.ts';

describeXtables('fake', async () => ({ xtables: createFakeXtables() }));

const canRun = process.getuid?.() === 0 && existsSync('/usr/sbin/iptables-restore');

describe.skipIf(!canRun)('on the kernel (needs root and iptables)', () => {
  const nft = createSyncNft();
  afterAll(() => unshare(CLONE_NEWNET)); // Nothing comes after it in this namespace.

  describeXtables('iptables of the host', async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    return { xtables: createXtables(process.env, nft) };
  });

  test('each table that is written is one transaction of the newer packet filter', async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    const xtables = createXtables(process.env, nft);
    const tables = ['nat', 'filter'].map((name) => `*${name}\n:ONE - [0:0]\n-A ONE -j RETURN\nCOMMIT\n`);
    for (const written of [tables, tables, tables.slice(0, 1)]) {
      const before = await nft.generation(ownNetns);
      await xtables.restore(4, written.join(''));
      const isNewer = await nft.hasTable(ownNetns, { family: 'ip', name: 'nat' });
      expect(await nft.generation(ownNetns)).toBe(before + (isNewer ? written.length : 0));
    }
  });
});

test('a host without the programs says so', async () => {
  const none = createXtables({ PATH: '/nonexistent' }, createSyncNft());
  const asked = existsSync('/usr/sbin/iptables-save') ? undefined : none.save(4);
  if (asked !== undefined) await expect(asked).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
});
