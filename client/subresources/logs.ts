import { objectPath, pods } from '#api/schema/kind-ref.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';

export interface LogOptions {
  /** Default: the only one, else that of the annotation kubectl.kubernetes.io/default-container. */
  readonly container?: string | undefined;
  /** Goes on with what is written from now on, until the container ends or the signal aborts. */
  readonly follow?: boolean | undefined;
  /** Of the container before the last restart. */
  readonly previous?: boolean | undefined;
  readonly sinceSeconds?: number | undefined;
  readonly tailLines?: number | undefined;
  readonly limitBytes?: number | undefined;
  /** Each line with its time. */
  readonly timestamps?: boolean | undefined;
}

/** What a container wrote, line by line, without line ends. */
export async function* podLogs(
  client: ApiClient,
  where: ObjectRef,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const query = new URLSearchParams(
    Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, string] => [name, String(value)]),
  );
  const path = objectPath(pods, { ...where, subresource: 'log' });
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of client.stream(query.size === 0 ? path : `${path}?${query}`, signal)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
    for (; rest.length > lineLettersMax; rest = rest.slice(lineLettersMax))
      yield rest.slice(0, lineLettersMax);
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

/** A longer line comes in pieces. */
const lineLettersMax = 1_048_576;
