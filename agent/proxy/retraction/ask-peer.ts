import https from 'node:https';
import { once } from 'node:events';
import { at } from '#api/wire/json.ts';
import type { AskPeer, PeerAnswer } from './peer-book.ts';

/** PEM; as whom a node asks, and by whose certificates it knows the others. */
export interface PeerCredentials {
  readonly caPem?: string | undefined;
  readonly clientCertPem?: string | undefined;
  readonly clientKeyPem?: string | undefined;
}

/** Beyond what the peer may hold its answer back. */
const answerMs = 1_000;
const bodyBytesMax = 1_024;
const idleMs = 15_000;
const socketsMax = 256;

/** Asks over the other kubelet's port, as the node that this is (decision 0080). */
export function createAskPeer(credentials: () => PeerCredentials): { readonly ask: AskPeer } & Disposable {
  const agent = new https.Agent({
    keepAlive: true,
    maxSockets: 1,
    maxTotalSockets: socketsMax,
    timeout: idleMs,
  });
  const ask: AskPeer = async ({ host, port }, { revision, waitMs }, signal) => {
    const { caPem: ca, clientCertPem: cert, clientKeyPem: key } = credentials();
    const path = `/endpointslices/applied?revision=${revision}&waitMs=${waitMs}`;
    const request = https.request({ host, port, path, agent, ca, cert, key, signal });
    request.setTimeout(waitMs + answerMs, () => request.destroy(new Error('no answer')));
    try {
      const answered = once(request, 'response');
      request.end();
      const [response] = await answered;
      return await readAnswer(response);
    } catch {
      // A node that ends, or is cut off, is no error here: that it says nothing is what counts.
      return { kind: 'silent' };
    }
  };
  return { ask, [Symbol.dispose]: () => agent.destroy() };
}

async function readAnswer(
  response: AsyncIterable<Buffer> & { readonly statusCode?: number },
): Promise<PeerAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return { kind: 'unknowing' };
    chunks.push(chunk);
  }
  if (response.statusCode !== 200)
    return { kind: (response.statusCode ?? 500) >= 500 ? 'silent' : 'unknowing' };
  const revision = at(JSON.parse(Buffer.concat(chunks).toString()), 'applied');
  return typeof revision === 'number' ? { kind: 'applied', revision } : { kind: 'unknowing' };
}
