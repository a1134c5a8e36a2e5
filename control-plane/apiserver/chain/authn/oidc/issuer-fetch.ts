import { request as httpsRequest } from 'node:https';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';
import { timeoutSignal } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';

const timeoutMs = 30_000;
const documentBytesMax = 1_048_576;

/** How an issuer is asked. */
export interface Asking {
  /** PEM; those Node knows where there are none. */
  readonly caPem: string | undefined;
  readonly accept?: string;
  /** Of `Authorization: Bearer`. */
  readonly token?: string;
  /** Whether that status is an answer; 200 alone without. */
  readonly isAnswer?: (status: number) => boolean;
}

/**
 * No redirections: the address that was configured is the one that is asked.
 * @throws {E_CONNECTION}
 */
export function fetchText(url: string, asking: Asking): Promise<string> {
  const { caPem, accept = '*/*', token, isAnswer = (status: number) => status === 200 } = asking;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = (why: string): void => {
    sent.destroy();
    reject(new PodwrightError('E_CONNECTION', `get ${url}: ${why}`));
  };
  const headers = { accept, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const options = {
    agent: false,
    timeout: timeoutMs,
    headers,
    ...(caPem === undefined ? {} : { ca: caPem }),
  };
  const sent = httpsRequest(url, options, (answer) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > documentBytesMax) fail(`longer than ${documentBytesMax} bytes`);
      else chunks.push(chunk);
    });
    answer.once('error', (error) => fail(describeError(error)));
    answer.once('end', () => {
      if (!isAnswer(answer.statusCode ?? 0)) return fail(`the answer is ${answer.statusCode}`);
      resolve(Buffer.concat(chunks).toString());
    });
  });
  // A server that sends a byte now and then is never idle.
  const signal = timeoutSignal(timeoutMs);
  signal.addEventListener('abort', () => fail('no answer in time'), { once: true });
  sent.once('timeout', () => fail('no answer in time'));
  sent.once('error', (error) => fail(describeError(error)));
  sent.end();
  return promise;
}

/** @throws {E_CONNECTION} also for what is no JSON object */
export async function fetchJson(url: string, caPem: string | undefined): Promise<JsonObject> {
  const document = parseJson(await fetchText(url, { caPem, accept: 'application/json' }));
  if (isObject(document)) return document;
  throw new PodwrightError('E_CONNECTION', `get ${url}: no JSON object`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
