/**
 * The answer of an agent's `POST /pull` (bin/control.ts): a line of JSON for each thing that is known, the last of which says how it ended.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';

import type { Clock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { failureOf, type Failure } from '#base/failure.ts';
import type { PullProgress } from '#agent/runtime/images/pull-progress.ts';
import type { ImageRecord, ImageStore } from '#agent/runtime/runtime.ts';

export const pullStreamType = 'application/x-ndjson';

export type PullNews =
  | { readonly kind: 'progress'; readonly progress: PullProgress }
  | { readonly kind: 'pulled'; readonly image: ImageRecord }
  | ({ readonly kind: 'failed' } & Failure);

/** What comes in between is told no more often. */
const progressMs = 1_000;

export interface PullRequest {
  readonly images: Pick<ImageStore, 'pull'>;
  readonly reference: string;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Pulls, and says how that goes; who goes away ends it. */
export async function sendPull(
  response: ServerResponse,
  { images, reference, clock }: PullRequest,
  signal: AbortSignal,
): Promise<void> {
  const say = (news: PullNews): void => void response.write(`${JSON.stringify(news)}\n`);
  let toldMs = -Infinity;
  const onProgress = (progress: PullProgress): void => {
    if (clock.monotonic() - toldMs < progressMs) return;
    toldMs = clock.monotonic();
    say({ kind: 'progress', progress });
  };
  response.writeHead(200, { 'content-type': pullStreamType });
  response.flushHeaders();
  try {
    say({ kind: 'pulled', image: await images.pull(reference, { onProgress }, signal) });
  } catch (error) {
    if (signal.aborted) return;
    say({ kind: 'failed', ...failureOf(error) });
  }
  response.end();
}

/** @throws E_CONNECTION where the agent went away, and what it said that the pull failed with */
export async function* readPull(response: IncomingMessage): AsyncGenerator<PullNews> {
  let isOver = false;
  try {
    for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
      const news = JSON.parse(line) as PullNews; // Our own agent's.
      isOver = news.kind !== 'progress';
      yield news;
    }
  } catch (cause) {
    throw gone(cause);
  }
  if (!isOver) throw gone(undefined);
}

function gone(cause: unknown): PodwrightError {
  const why = errnoOf(cause) ?? 'the agent went away';
  return new PodwrightError('E_CONNECTION', `pull an image: ${why}`, { cause });
}
