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

/** What a row is to show. */
export interface Limits {
  /** Times that an operation may cost at the largest size of what it costs at the smallest; 2 by default. */
  readonly growth?: number;
  /** Of the thread, at any size. */
  readonly usPerOperation?: number;
  /** 20 by default. */
  readonly longestTurnMs?: number;
  /** Of what is in `also`, by its name, at any size. */
  readonly also?: Readonly<Record<string, { readonly min?: number; readonly max?: number }>>;
}

/** A load of several sizes. Each size is measured in a process of its own. */
export interface ScaleRow {
  readonly name: string;
  /** One operation, in words. */
  readonly operation: string;
  /** What the size counts. */
  readonly of: string;
  /** Without, what holds for all rows. */
  readonly limits?: Limits;
  /** Small to large; the largest is run with `--full`, or alone by `--size`. */
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
