import { packValues, type DiskReply, type DiskRow } from './disk-protocol.ts';
import type { FoundRow } from './disk-tables.ts';

export type Reply = (message: DiskReply, transfer?: readonly ArrayBuffer[]) => void;

const chunkBytes = 4_194_304;

/** Rows on their way to the engine. */
export class RowChunks {
  readonly #reply: Reply;
  #rows: DiskRow[] = [];
  #values: (Uint8Array | undefined)[] = [];
  #bytes = 0;

  constructor(reply: Reply) {
    this.#reply = reply;
  }

  add({ row, value }: FoundRow): void {
    this.#rows.push(row);
    this.#values.push(value);
    this.#bytes += value?.byteLength ?? 0;
    if (this.#bytes >= chunkBytes) this.flush();
  }

  flush(): void {
    const packed = packValues(this.#values);
    this.#reply({ kind: 'chunk', rows: this.#rows, values: packed }, [packed.buffer]);
    this.#rows = [];
    this.#values = [];
    this.#bytes = 0;
  }
}
