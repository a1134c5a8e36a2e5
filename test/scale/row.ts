/** What a row of the scale lane is, and what it measured: plain data. */

/** What a number of operations cost. */
export interface Cost {
  readonly operations: number;
  /** Processor time of the main thread, in all. */
  readonly processorMs: number;
  /** Of all threads of the process: the store's, those that collect garbage and compile, and the main thread. */
  readonly allThreadsMs: number;
  /** The longest turn of the event loop, in processor time. */
  readonly longestTurnMs: number;
  /** What else is worth a look: bytes, writes, …, by what they are. */
  readonly also?: Readonly<Record<string, number>>;
}

/** A load of several sizes. Each size is measured in a process of its own. */
export interface ScaleRow {
  readonly name: string;
  /** One operation, in words. */
  readonly operation: string;
  /** What the size counts. */
  readonly of: string;
  /** Small to large. */
  readonly sizes: readonly number[];
  /** Of one size, where that takes longer than others' do. */
  readonly timeoutMs?: number;
  /** Makes the load, then measures. Seeded: the same every time. */
  run(size: number): Promise<Cost>;
}

export interface SizedCost {
  readonly size: number;
  /** Or why it was not measured. */
  readonly cost: Cost | string;
}
