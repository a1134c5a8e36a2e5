import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { EtcdClient } from './client.ts';
import { prefixEnd } from './image.ts';
import { marksFolder } from './txn.ts';

/** kube-apiserver's (apiserver/pkg/storage/etcd3/compact.go), so that servers of both kinds agree on one etcd. */
const compactKey: Uint8Array = new TextEncoder().encode('compact_rev_key');
/** How long etcd keeps history; kube-apiserver's --etcd-compaction-interval. */
const compactionMs = 300_000;
/** Below the 128 operations that etcd takes in a transaction. */
const marksAtOnce = 100;

/** What a server knows of the compactions: the version of the key, and the revision that was the newest when it learned it. */
export interface CompactionTurn {
  readonly version: number;
  /** 0: none yet. */
  readonly revision: number;
}

/**
 * One round: whoever raises the version of the key first compacts at the revision that was the newest a round before; the others
 * learn the version, and try again a round later. So it is compacted once in a round, however many servers there are.
 */
export async function takeCompactionTurn(
  client: EtcdClient,
  { version, revision }: CompactionTurn,
): Promise<CompactionTurn> {
  const { Txn, Compact } = client.services['etcdserverpb.KV'];
  const { response } = await client.ask('take the turn to compact', Txn, {
    compare: [{ target: 'VERSION', key: compactKey, version }],
    success: [{ request_put: { key: compactKey, value: Buffer.from(String(revision)) } }],
    failure: [{ request_range: { key: compactKey } }],
  });
  const newest = response.header?.revision ?? 0;
  if (!response.succeeded) {
    const found = response.responses[0]?.response_range?.kvs[0];
    return { version: found?.version ?? 0, revision: newest };
  }
  if (revision > 0) {
    try {
      await client.ask('compact', Compact, { revision });
    } catch (error) {
      if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error; // It is compacted further already.
    }
    await removeOldMarks(client, revision);
  }
  return { version: version + 1, revision: newest };
}

/**
 * Removes marks of transactions (writer.ts) that nobody moved since `revision`, a round ago: a transaction asks for its mark within seconds,
 * and finds one that is gone where it is not under way as one that somebody moved. Those of servers that are no more go so.
 */
async function removeOldMarks(client: EtcdClient, revision: number): Promise<void> {
  const { Range, Txn } = client.services['etcdserverpb.KV'];
  const folder = Buffer.from(marksFolder);
  for (;;) {
    const { response } = await client.ask('find old marks', Range, {
      key: folder,
      range_end: prefixEnd(marksFolder),
      max_mod_revision: revision,
      limit: marksAtOnce,
      keys_only: true,
    });
    const { kvs } = response;
    if (kvs.length === 0) return;
    const removed = await client.ask('remove old marks', Txn, {
      compare: kvs.map(({ key, mod_revision }) => ({ target: 'MOD' as const, key, mod_revision })),
      success: kvs.map(({ key }) => ({ request_delete_range: { key } })),
    });
    if (!removed.response.succeeded || kvs.length < marksAtOnce) return; // Some are in use again: a round later.
  }
}

/** Takes a turn every five minutes until it is disposed. */
export function keepCompacting(client: EtcdClient, clock: Clock, logger: Logger): Disposable {
  let turn: CompactionTurn = { version: 0, revision: 0 };
  let timer = clock.after(compactionMs, run);
  let isOver = false;
  function run(): void {
    timer = clock.after(compactionMs, run);
    takeCompactionTurn(client, turn).then(
      (next) => {
        turn = next;
      },
      (error: unknown) => {
        if (!isOver) logger.warn({ error: describeError(error) }, 'compaction of etcd will be tried again');
      },
    );
  }
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      timer[Symbol.dispose]();
    },
  };
}
