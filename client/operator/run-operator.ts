import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import { systemClock, type Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';
import type { Controller } from '#client/controller.ts';
import { createInformers, withoutManagedFields, type Informers } from '#client/informers.ts';
import { runWithLease, type LeaseTimes } from '#client/lease.ts';

/** What controllers are made of, for one term of leadership. */
export interface OperatorContext {
  /** Refuses to write once the signal has aborted (E_CLOSED): what ends too late does no harm. */
  readonly client: ApiClient;
  /** Shared by all controllers, ended after them. Objects have no managedFields. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when work must end: the operator stops, or another leads. */
  readonly signal: AbortSignal;
}

export interface OperatorOptions {
  readonly client: ApiClient;
  /** Makes the controllers, by `runController`; each is disposed at the end. */
  readonly start: (context: OperatorContext) => readonly Controller[];
  /** Ends the operator: running reconciles are awaited, the lease is given back. */
  readonly signal: AbortSignal;
  /**
   * Several may run, one works: by this Lease. Without: each works. An identity that two processes have, or one and the next, lets both
   * work; default: the host's name and a random part.
   */
  readonly lease?: (ObjectRef & { readonly identity?: string; readonly times?: LeaseTimes }) | undefined;
  /**
   * With a lease: what is done when controllers do not end though another may lead by now. Default: this process ends, with exit code 1,
   * as those of client-go do.
   */
  readonly onOverrun?: (() => void) | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
}

/** Runs controllers until the signal aborts: with one cache between them, and one of several processes at a time where there is a lease. */
export async function runOperator(options: OperatorOptions): Promise<void> {
  const { client, lease, signal, clock = systemClock, logger = silentLogger } = options;
  const context = { client, clock, logger };
  if (lease === undefined) {
    await work(options, context, signal);
    return;
  }
  const { identity = `${hostname()}_${randomUUID()}`, times, ...where } = lease;
  const onError = (error: unknown): void => logger.warn({ error: describeError(error) }, 'lease');
  const onOverrun = (): void => {
    logger.error({ identity }, 'controllers do not end, and another may lead');
    (options.onOverrun ?? (() => process.exit(1)))();
  };
  const election = { client, where, identity, times, clock, onError, onOverrun };
  await runWithLease(election, (term) => work(options, context, term), signal);
}

async function work(
  { start }: OperatorOptions,
  base: Omit<OperatorContext, 'informers' | 'signal'>,
  signal: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack();

  const informers = stack.use(createInformers({ ...base, transform: withoutManagedFields }));
  const client = fenced(base.client, signal);
  const controllers = start({ ...base, client, informers, signal });
  // All stop at once: none goes on because another still has something to finish.
  stack.defer(async () => {
    await Promise.all(controllers.map((controller) => controller[Symbol.asyncDispose]()));
  });
  if (!signal.aborted) {
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
  }
}

/** The client, for as long as the signal has not aborted: then nothing more is written by it. Reads and watches have signals of their own. */
function fenced(client: ApiClient, signal: AbortSignal): ApiClient {
  const guard = async <R>(write: () => Promise<R>): Promise<R> => {
    if (!signal.aborted) return write();
    throw new PodwrightError('E_CLOSED', 'write: this operator no longer works', { cause: signal.reason });
  };
  return {
    ...client,
    create: (kind, object, options) => guard(() => client.create(kind, object, options)),
    update: (kind, object, options) => guard(() => client.update(kind, object, options)),
    patch: (kind, where, patch) => guard(() => client.patch(kind, where, patch)),
    apply: (kind, object, options) => guard(() => client.apply(kind, object, options)),
    delete: (kind, where, options) => guard(() => client.delete(kind, where, options)),
    raw: (method, path, body) => guard(() => client.raw(method, path, body)),
  };
}

/** A signal that aborts when this process is told to end (SIGTERM, SIGINT, SIGHUP); a second time ends it at once. */
export function processSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => stop.abort(new DOMException(name, 'AbortError')));
  return stop.signal;
}
