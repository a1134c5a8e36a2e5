import { eventType, type AuditEvent } from './event.ts';

/** Where events go. Never throws and never rejects: what could not be written is counted and told by the sink. */
export interface AuditSink extends AsyncDisposable {
  /** Before the first event: finds out whether there is a way. @throws {E_USAGE} */
  begin?(): Promise<void>;
  /**
   * Takes events, in order: whether all were taken; as a promise, once they are where they go.
   * @param isAwaited somebody waits for that: they are not kept back for what else may come. Default yes
   */
  take(events: readonly AuditEvent[], isAwaited?: boolean): boolean | Promise<boolean>;
}

/** Told of events that could not be written, and why. */
export type OnLost = (events: number, why: string) => void;

/** Of those who answer for a request: `blocking` waits and goes on in any case, `blocking-strict` refuses what could not be recorded. */
export const modes = ['batch', 'blocking', 'blocking-strict'] as const;
export type Mode = (typeof modes)[number];

/** The sink as the mode has it, in which nobody is refused. */
export function ignoringFailures(sink: AuditSink): AuditSink {
  return {
    begin: async () => sink.begin?.(),
    take: (events, isAwaited) => {
      const taken = sink.take(events, isAwaited);
      return taken instanceof Promise ? taken.then(() => true) : true;
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}

export interface TruncateOptions {
  readonly batchBytesMax: number;
  readonly eventBytesMax: number;
}

/**
 * Events that are too long go without their bodies, and what is too long even so is lost; batches that are too long go as several
 * (apiserver/plugin/pkg/audit/truncate). What is lost was not taken (decision 0184).
 */
export function truncating(sink: AuditSink, options: TruncateOptions, onLost: OnLost): AuditSink {
  return {
    begin: async () => sink.begin?.(),
    take: (events, isAwaited) => {
      const { batches, lost } = planBatches(events, options);
      if (lost > 0) onLost(lost, 'event is too large even after truncating');
      const taken = batches.map((batch) => sink.take(batch, isAwaited));
      if (taken.every((one) => typeof one === 'boolean')) return lost === 0 && taken.every(Boolean);
      return Promise.all(taken).then((all) => lost === 0 && all.every(Boolean));
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}

function planBatches(
  events: readonly AuditEvent[],
  { batchBytesMax, eventBytesMax }: TruncateOptions,
): { readonly batches: readonly (readonly AuditEvent[])[]; readonly lost: number } {
  const batches: AuditEvent[][] = [];
  let [bytes, lost] = [Infinity, 0];
  for (const event of events) {
    const short = shorten(event, eventBytesMax);
    if (short === undefined) {
      lost++;
      continue;
    }
    const size = sizeOf(short);
    if (bytes + size > batchBytesMax) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(short);
    bytes += size;
  }
  return { batches, lost };
}

function shorten(event: AuditEvent, bytesMax: number): AuditEvent | undefined {
  if (sizeOf(event) <= bytesMax) return event;
  const without = event.withoutBodies;
  return without === undefined || sizeOf(without) > bytesMax ? undefined : without;
}

/** Of its line in a log, which is what the bounds mean wherever it goes. */
function sizeOf({ json }: AuditEvent): number {
  return Buffer.byteLength(json) + eventType.length + 1;
}
