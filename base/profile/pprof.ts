import type { HeapProfiler, Profiler, Runtime } from 'node:inspector';

/*
 * Profiles of V8 as messages of pprof, which `go tool pprof` reads (field numbers: profile.proto of github.com/google/pprof).
 *
 *   Profile { 1 sample_type[], 2 sample[], 4 location[], 5 function[], 6 string_table[], 9 time_nanos, 10 duration_nanos, 11 period_type, 12 period }
 *   ValueType { 1 type, 2 unit }   Sample { 1 location_id[] from the leaf on, 2 value[] }   Location { 1 id, 4 line[] }
 *   Line { 1 function_id, 2 line }   Function { 1 id, 2 name, 3 system_name, 4 filename, 5 start_line }
 */

/** `cpu` in `nanoseconds`. */
export type ValueUnit = readonly [type: string, unit: string];

/** A function on the stack of a sample. */
export type Frame = Pick<Runtime.CallFrame, 'functionName' | 'url' | 'lineNumber'>;

export interface StackSample {
  /** From the innermost on. */
  readonly stack: readonly Frame[];
  /** One for each of the profile's units. */
  readonly values: readonly number[];
}

export interface StackProfile {
  readonly units: readonly ValueUnit[];
  /** What a sample stands for: nanoseconds, bytes. */
  readonly period: { readonly unit: ValueUnit; readonly value: number };
  readonly startMs: number;
  readonly durationMs: number;
  readonly samples: readonly StackSample[];
}

/** Time without work is no cost; Go's profiles have none either. */
const idle = '(idle)';

/** V8's CPU profile by what was spent where. */
export function cpuSamples(profile: Profiler.Profile): readonly StackSample[] {
  const spentUs = new Map<number, number>();
  const counts = new Map<number, number>();
  (profile.samples ?? []).forEach((id, index) => {
    spentUs.set(id, (spentUs.get(id) ?? 0) + Math.max(0, profile.timeDeltas?.[index] ?? 0));
    counts.set(id, (counts.get(id) ?? 0) + 1);
  });
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  return [...spentUs].flatMap(([id, us]) => {
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)?.callFrame;
      if (frame !== undefined && frame.functionName !== '(root)') stack.push(frame);
    }
    const isIdle = stack.some(({ functionName }) => functionName === idle);
    return isIdle || stack.length === 0 ? [] : [{ stack, values: [counts.get(id) ?? 0, us * 1000] }];
  });
}

/** V8's sampled heap by who allocated what is still there. */
export function heapSamples({ head }: HeapProfiler.SamplingHeapProfile): readonly StackSample[] {
  const found: StackSample[] = [];
  const waiting: { readonly node: HeapProfiler.SamplingHeapProfileNode; readonly below: readonly Frame[] }[] =
    [{ node: head, below: [] }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, below } = next;
    const stack = node.callFrame.functionName === '(root)' ? below : [node.callFrame, ...below];
    if (node.selfSize > 0 && stack.length > 0) {
      found.push({ stack, values: [node.selfSize] });
    }
    for (const child of node.children) waiting.push({ node: child, below: stack });
  }
  return found;
}

/** The bytes of a profile, not yet compressed. Pure. */
export function encodeProfile({ units, period, startMs, durationMs, samples }: StackProfile): Uint8Array {
  const texts = new Numbers<string>(0);
  texts.of('');
  const functions = new Numbers<string>(1);
  const functionMessages: Message[] = [];
  const locations = new Numbers<string>(1);
  const locationMessages: Message[] = [];

  const functionOf = ({ functionName, url }: Frame): number => {
    const name = functionName === '' ? '(anonymous)' : functionName;
    const id = functions.of(`${name}\0${url}`);
    if (functions.isNew) {
      const at = texts.of(name);
      functionMessages.push(new Message().int(1, id).int(2, at).int(3, at).int(4, texts.of(url)));
    }
    return id;
  };
  const locationOf = (frame: Frame): number => {
    const line = Math.max(0, frame.lineNumber + 1); // V8 counts from 0, and has -1 for what is no file's.
    const functionId = functionOf(frame);
    const id = locations.of(`${functionId}:${line}`);
    if (locations.isNew) {
      locationMessages.push(
        new Message().int(1, id).message(4, new Message().int(1, functionId).int(2, line)),
      );
    }
    return id;
  };
  const unitOf = ([type, unit]: ValueUnit): Message =>
    new Message().int(1, texts.of(type)).int(2, texts.of(unit));

  const profile = new Message();
  for (const unit of units) profile.message(1, unitOf(unit));
  for (const { stack, values } of samples) {
    profile.message(2, new Message().ints(1, stack.map(locationOf)).ints(2, values));
  }
  for (const location of locationMessages) profile.message(4, location);
  for (const one of functionMessages) profile.message(5, one);
  const periodType = unitOf(period.unit);
  for (const text of texts.all()) profile.text(6, text);
  return profile
    .int(9, Math.round(startMs * 1000) * 1000)
    .int(10, Math.round(durationMs * 1e6))
    .message(11, periodType)
    .int(12, period.value)
    .finish();
}

/** Numbers given to values in the order in which they first come. */
class Numbers<T> {
  readonly #numbers = new Map<T, number>();
  readonly #first: number;
  /** Whether the last value asked for had none before. */
  isNew = false;

  constructor(first: number) {
    this.#first = first;
  }

  of(value: T): number {
    const known = this.#numbers.get(value);
    this.isNew = known === undefined;
    const number = known ?? this.#numbers.size + this.#first;
    if (known === undefined) this.#numbers.set(value, number);
    return number;
  }

  all(): Iterable<T> {
    return this.#numbers.keys();
  }
}

/** A protobuf message that is written once, field by field. */
class Message {
  readonly #chunks: Uint8Array[] = [];

  /** An integer field of 64 bits; 0 is left out, as proto3 does. */
  int(field: number, value: number): this {
    if (value !== 0) this.#chunks.push(varint(field * 8), varint(value));
    return this;
  }

  /** A packed list of integers. */
  ints(field: number, values: readonly number[]): this {
    return this.#bytes(field, Buffer.concat(values.map(varint)));
  }

  text(field: number, text: string): this {
    return this.#bytes(field, Buffer.from(text));
  }

  message(field: number, message: Message): this {
    return this.#bytes(field, message.finish());
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  #bytes(field: number, bytes: Uint8Array): this {
    this.#chunks.push(varint(field * 8 + 2), varint(bytes.length), bytes);
    return this;
  }
}

/** A whole number of 0 or more; beyond 2^53 as near as a double is. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
