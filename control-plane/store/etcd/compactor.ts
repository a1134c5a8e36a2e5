import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { EtcdClient } from './client.ts';

/** kube-apiserver's (apiserver/pkg/storage/etcd3/compact.go), so that servers of both kinds agree on one etcd. */
const compactKey: Uint8Array = new TextEncoder().encode('compact_rev_key');
/** How long etcd keeps history; kube-apiserver's --etcd-compaction-interval. */
const compactionMs = 300_000;

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
  }
  return { version: version + 1, revision: newest };
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
