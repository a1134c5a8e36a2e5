import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
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
});

test('a host without the programs says so', async () => {
  const none = createXtables({ PATH: '/nonexistent' }, createSyncNft());
  const asked = existsSync('/usr/sbin/iptables-save') ? undefined : none.save(4);
  if (asked !== undefined) await expect(asked).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
});
