import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { connectRaw } from './raw-client.fixture.ts';
import { startServed } from './served.fixture.ts';

const program = `
  import { systemClock } from '#base/clock.ts';
  import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
  import { startEtcdServer } from '#control-plane/store/etcd-server/serve.ts';
  const [directory] = process.argv.slice(1);
  const store = await openEmbeddedStore({ directory: directory + '/store', clock: systemClock });
  await startEtcdServer({ store, listeners: [{ path: directory + '/etcd.sock' }], clock: systemClock });`;

it('a server that is killed has all that it acknowledged, by put, txn and lease, and its socket is taken over', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-kill-'));
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    await expect.poll(() => existsSync(join(directory, 'etcd.sock')), { timeout: 60_000 }).toBe(true);
    using client = await connectRaw(`unix:${join(directory, 'etcd.sock')}`);

    const { Put, Txn } = client.services['etcdserverpb.KV'];
    const { LeaseGrant } = client.services['etcdserverpb.Lease'];
    const { ID: lease } = await client.ask(LeaseGrant, { TTL: 600 });
    const acknowledged: string[] = [];
    const write = async (writer: number): Promise<void> => {
      for (let at = 0; ; at++) {
        const key = `w/${writer}/${at}`;
        const request = { key: Buffer.from(key), value: Buffer.alloc(700, 'v'), lease };
        const done =
          at % 2 === 0 ? client.ask(Put, request) : client.ask(Txn, { success: [{ request_put: request }] });
        if (
          !(await done.then(
            () => true,
            () => false,
          ))
        )
          return;
        acknowledged.push(key);
        if (acknowledged.length === 400) child.kill('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)));
    if (child.signalCode === null) await once(child, 'exit');
    expect(acknowledged.length).toBeGreaterThanOrEqual(400);
    {
      await using store = await openEmbeddedStore({
        directory: join(directory, 'store'),
        clock: systemClock,
      });

      const found = new Set((await store.range('w/')).values.map(({ key }) => key));
      expect(acknowledged.filter((key) => !found.has(key))).toEqual([]);
      expect(store.lease(lease)?.keys.length).toBe(found.size);
    }
    await using again = await startServed(directory);

    expect(again.store.lease(lease)?.ttlSeconds).toBe(600);
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
