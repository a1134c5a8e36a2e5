import type { IncomingMessage } from 'node:http';
import type { HttpProblem } from './find-container.ts';

/** What a request asks for. */
export interface Target {
  readonly url: URL;
  /** Of the path, unescaped, without empty ones: what is asked for, and by which it is judged who may. */
  readonly segments: readonly string[];
}

/** Undefined where the target is none (`//`), or its escapes are no text (`%zz`). */
export function targetOf({ url: target = '/' }: Pick<IncomingMessage, 'url'>): Target | undefined {
  if (!URL.canParse(target, 'https://node')) return undefined;
  const url = new URL(target, 'https://node');
  try {
    const segments = url.pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
    return { url, segments };
  } catch {
    return undefined;
  }
}

export const badTarget: HttpProblem = { status: 400, message: 'the path of the request is malformed' };
