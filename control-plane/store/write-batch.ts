import type { PodwrightError } from '#base/errors.ts';
import { packValues, type DiskLease, type DiskRow, type DiskWrite } from './disk-protocol.ts';

/** What waits for the disk: a transaction, leases, or the remains of a compaction. */
export interface Write {
  readonly revision: number;
  readonly rows: readonly DiskRow[];
  readonly payloads: readonly (Uint8Array | undefined)[];
  readonly leases: readonly DiskLease[];
  readonly leasesGone: readonly number[];
  readonly rowsGone: readonly number[];
  /** Of the compaction that this is a part of; 0 for anything else. */
  readonly compactRevision: number;
  readonly settle: (failure: PodwrightError | undefined) => void;
}

/** All that waits as one write; its values are ready to be transferred. Pure. */
export function diskWriteOf(batch: readonly Write[]): DiskWrite {
  return {
    kind: 'write',
    rows: batch.flatMap((write) => write.rows),
    values: packValues(batch.flatMap((write) => write.payloads)),
    ...lastOfLeases(batch),
    rowsGone: batch.flatMap((write) => write.rowsGone),
    compactRevision: Math.max(...batch.map((write) => write.compactRevision)),
    revision: batch.at(-1)?.revision ?? 0,
  };
}

/** Of a lease that a batch grants, renews and ends, what comes of it: the disk does not know in which order. */
function lastOfLeases(batch: readonly Write[]): Pick<Write, 'leases' | 'leasesGone'> {
  const last = new Map<number, DiskLease | undefined>();
  for (const { leases, leasesGone } of batch) {
    for (const lease of leases) last.set(lease.id, lease);
    for (const id of leasesGone) last.set(id, undefined);
  }
  return {
    leases: [...last.values()].filter((lease) => lease !== undefined),
    leasesGone: [...last].flatMap(([id, lease]) => (lease === undefined ? [id] : [])),
  };
}
