import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { backoffMs, type Backoff } from '#base/backoff.ts';
import { timeoutSignal } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { HttpTransportOptions } from './http-transport.ts';

/** Somebody else's program that answers questions: one JSON object by POST, one back. Disposing of it ends what is asked, unanswered. */
export interface Webhook extends Disposable {
  /** @throws {E_CONNECTION} when no answer came, or none that is a JSON object, after the last try */
  call(question: JsonObject): Promise<JsonObject>;
  /** As `call`, of any JSON. */
  ask(question: JsonObject): Promise<unknown>;
  /** Tells it something: JSON that is at hand. What it answers with success does not matter. @throws {E_CONNECTION} as `call` */
  post(body: Uint8Array): Promise<void>;
}

export interface WebhookOptions {
  /** Where it is and how both sides prove who they are, as a kubeconfig says it (`loadKubeconfig`); `http:` too. */
  readonly access: HttpTransportOptions;
  /** Of one try. */
  readonly timeoutMs: number;
  /** Tries in all, of what may be tried again: no answer, 429 and 5xx. Default 5. */
  readonly tries?: number;
  /** Before the second try; later ones wait longer. Default 500. */
  readonly initialBackoffMs?: number;
  /** Of an answer; default: 3 MiB. */
  readonly answerBytesMax?: number;
}

const userAgent = 'podwright-webhook';
const connectionsMax = 64;
/** Answers are small: a review and its status. */
const answerBytesMax = 3 * 1024 * 1024;
const retry: Backoff = { initialMs: 500, factor: 1.5, maxMs: 5000 }; // As DefaultRetryBackoff of apiserver/pkg/util/webhook.
const triesDefault = 5;

/** HTTP/1.1 over connections that are kept: every server of webhooks speaks it. */
export function createWebhook({
  access,
  timeoutMs,
  tries = triesDefault,
  initialBackoffMs = retry.initialMs,
  answerBytesMax: bytesMax = answerBytesMax,
}: WebhookOptions): Webhook {
  const backoff: Backoff = {
    ...retry,
    initialMs: initialBackoffMs,
    maxMs: Math.max(retry.maxMs, initialBackoffMs * 8),
  };
  const url = new URL(access.server);
  const isSecure = url.protocol === 'https:';
  const pool = { keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: 8 };
  const agent = isSecure ? new HttpsAgent({ ...pool, ...tlsOf(access) }) : new HttpAgent({ ...pool });
  const ask = (body: Uint8Array): Promise<IncomingMessage> => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const headers = headersOf(access, body);
    const signal = timeoutSignal(timeoutMs);
    const sent = (isSecure ? httpsRequest : httpRequest)(url, { method: 'POST', agent, headers, signal });
    sent.once('response', resolve).once('error', reject);
    sent.end(body);
    return promise;
  };
  const askOnce = (body: Uint8Array): Promise<string> =>
    ask(body)
      .catch((error: unknown) => {
        throw passing(describeError(error));
      })
      .then((response) => readAnswer(response, bytesMax));
  const ended = new AbortController();
  const askOften = async <T>(body: Uint8Array, read: (text: string) => T): Promise<T> => {
    for (let failures = 1; ; failures++) {
      try {
        return read(await askOnce(body));
      } catch (error) {
        const isLast = failures >= tries || ended.signal.aborted || !isPodwrightError(error, 'E_CONNECTION');
        if (isLast) throw unanswered(url, error);
        await access.clock.sleep(backoffMs(backoff, failures), ended.signal).catch(() => {
          throw unanswered(url, error);
        });
      }
    }
  };
  return {
    call: (question) => askOften(Buffer.from(JSON.stringify(question)), parseAnswer),
    ask: (question) => askOften(Buffer.from(JSON.stringify(question)), parseJson),
    post: (body) => askOften(body, () => {}),
    [Symbol.dispose]: () => {
      ended.abort();
      agent.destroy();
    },
  };
}

/** What may be otherwise the next time. */
function passing(why: string): PodwrightError {
  return new PodwrightError('E_CONNECTION', why);
}

function unusable(why: string): PodwrightError {
  return new PodwrightError('E_INVALID', why);
}

function unanswered(url: URL, error: unknown): PodwrightError {
  return new PodwrightError('E_CONNECTION', `Post ${JSON.stringify(url.href)}: ${describeError(error)}`);
}

function headersOf({ token }: HttpTransportOptions, body: Uint8Array): Record<string, string> {
  const bearer = typeof token === 'function' ? token() : token;
  return {
    'content-type': 'application/json',
    'content-length': String(body.byteLength),
    accept: 'application/json, */*',
    'user-agent': userAgent,
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
  };
}

function tlsOf(access: HttpTransportOptions): object {
  const { caPem, clientCertPem, clientKeyPem, serverName, insecureSkipTlsVerify } = access;
  return {
    ...(caPem === undefined ? {} : { ca: caPem }),
    ...(clientCertPem === undefined ? {} : { cert: clientCertPem, key: clientKeyPem }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: insecureSkipTlsVerify !== true,
  };
}

async function readAnswer(response: IncomingMessage, bytesMax: number): Promise<string> {
  const { statusCode = 0 } = response;
  const text = await readText(response, bytesMax);
  if (statusCode < 200 || statusCode > 299) {
    const why = `the server answered ${statusCode}: ${text.slice(0, 200).trim()}`;
    throw statusCode === 429 || statusCode >= 500 ? passing(why) : unusable(why);
  }
  return text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unusable(`the answer is no JSON: ${describeError(error)}`);
  }
}

function parseAnswer(text: string): JsonObject {
  const answer = parseJson(text);
  if (!isObject(answer)) throw unusable('the answer is no JSON object');
  return answer;
}

async function readText(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw passing(describeError(error));
  }
  if (bytes > bytesMax) throw unusable(`the answer is longer than ${bytesMax} bytes`);
  return Buffer.concat(chunks).toString('utf8');
}
