import type { DiskThread } from '#control-plane/store/disk-thread.ts';
import {
  packValues,
  unpackValues,
  type DiskLease,
  type DiskReply,
  type DiskRequest,
  type DiskRow,
  type DiskWrite,
} from '#control-plane/store/disk-protocol.ts';
import type { Program } from './program.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface DurableRow {
  readonly row: DiskRow;
  readonly value: Uint8Array | undefined;
}

export interface MemoryDiscOptions {
  readonly time: VirtualTime;
  readonly random: () => number;
  /** Told of what is durable, in order, as it becomes so. */
  readonly onDurable: (rows: readonly DurableRow[]) => void;
  /** Planted: acknowledges what it has not written yet. */
  readonly isHasty?: boolean;
  /** Whose content it begins with; default: it is empty. */
  readonly copyOf?: MemoryDisc | undefined;
}

/** How long a write takes at most. */
const writeMsMax = 4;

/** A disc in memory: a write that it has not answered when the program crashes is there whole, or not at all. */
export class MemoryDisc {
  readonly #options: MemoryDiscOptions;
  readonly #rows: Map<number, DurableRow> = new Map();
  readonly #leases: Map<number, DiskLease> = new Map();
  #revision = 1;
  #compactRevision = 0;
  #lastRow = 0;
  /** Until when it takes no writes. */
  fullUntilMs = 0;

  constructor(options: MemoryDiscOptions) {
    this.#options = options;
    const { copyOf } = options;
    if (copyOf === undefined) return;
    this.#rows = new Map(copyOf.#rows);
    this.#leases = new Map(copyOf.#leases);
    this.#revision = copyOf.#revision;
    this.#compactRevision = copyOf.#compactRevision;
    this.#lastRow = copyOf.#lastRow;
    options.onDurable([...this.#rows.values()]);
  }

  get revision(): number {
    return this.#revision;
  }

  open(program: Program): DiskThread {
    const messages = new Set<(reply: DiskReply) => void>();
    const exits = new Set<() => void>();
    const { time, random } = this.#options;
    let pending: DiskWrite[] = [];
    const reply = (message: DiskReply): void => {
      if (program.isAlive) for (const listener of messages) listener(message);
    };
    const exit = (): void => {
      for (const listener of exits) listener();
      exits.clear();
    };
    const crashed = program.onCrash(() => {
      if (pending.length > 0 && this.#options.isHasty !== true && random() < 0.5) this.#write(pending);
      pending = [];
      exit();
    });
    time.nextTurn(() => {
      const rows = [...this.#rows.values()];
      reply({
        kind: 'chunk',
        rows: rows.map(({ row }) => row),
        values: packValues(rows.map(({ value }) => value)),
      });
      reply({
        kind: 'opened',
        id: '5eed0000-0000-4000-8000-000000000000',
        revision: this.#revision,
        compactRevision: this.#compactRevision,
        lastRow: this.#lastRow,
        leases: [...this.#leases.values()],
        notes: [],
      });
    });
    const sync = (): void => {
      this.#write(pending);
      pending = [];
    };
    const write = (request: DiskWrite): void => {
      if (!program.pass()) return;
      pending.push(request);
      const tookMs = Math.floor(random() * writeMsMax);
      if (this.#options.isHasty === true) {
        if (pending.length === 1) time.after(3000, () => (program.isAlive ? sync() : undefined));
        time.after(tookMs, () => reply({ kind: 'written' }));
        return;
      }
      time.after(tookMs, () => {
        if (!program.isAlive) return;
        if (time.nowMs < this.fullUntilMs) {
          pending = [];
          return reply({ kind: 'failed', code: 'E_NO_SPACE', message: 'the disc is full' });
        }
        sync();
        return reply({ kind: 'written' });
      });
    };
    return {
      on: (event: string, listener: (given: never) => void) => {
        if (event === 'message') messages.add(listener as (reply: DiskReply) => void);
        if (event === 'exit') exits.add(listener as () => void);
      },
      off: (_event: string, listener: (given: never) => void) =>
        messages.delete(listener as (reply: DiskReply) => void),
      postMessage: (request: DiskRequest) => {
        if (request.kind === 'write') return write(request);
        if (request.kind !== 'close') return;
        if (request.isClosed !== undefined) Atomics.store(request.isClosed, 0, 1);
        crashed[Symbol.dispose]();
        sync();
        time.nextTurn(exit);
      },
    };
  }

  /** All that was durable of the requests, as one. */
  #write(requests: readonly DiskWrite[]): void {
    for (const request of requests) {
      const values = unpackValues(request.rows, request.values);
      const rows = request.rows.map((row, index) => ({ row, value: values[index] }));
      for (const one of rows) {
        this.#rows.set(one.row.row, one);
        this.#lastRow = Math.max(this.#lastRow, one.row.row);
        this.#revision = Math.max(this.#revision, one.row.revision);
      }
      for (const lease of request.leases) this.#leases.set(lease.id, lease);
      for (const id of request.leasesGone) this.#leases.delete(id);
      for (const row of request.rowsGone) this.#rows.delete(row);
      this.#compactRevision = Math.max(this.#compactRevision, request.compactRevision);
      this.#options.onDurable(rows);
    }
  }
}
