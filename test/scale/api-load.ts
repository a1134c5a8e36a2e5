import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const clients = 64;

/** Runs `count` operations, some at once. */
export async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(clients, count) }, client));
}

/** A server of our own with this namespace, ready for pods. */
export async function startLoaded(namespace: string): Promise<TestServer> {
  const test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: namespace } });
  await test.make(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
  return test;
}

/** Deletes what a collection has. The answer is read as it comes and not kept, as a client's memory and turns would be counted, too; its bytes. */
export async function deleteAll({ server }: TestServer, path: string): Promise<number> {
  const { body } = await server.transport().request({ method: 'DELETE', path, headers: {}, stream: true });
  if (body instanceof Uint8Array) return body.byteLength;
  let bytes = 0;
  for await (const piece of body) bytes += piece.byteLength;
  return bytes;
}

/** 1 KB, with a label that has one of ten values. */
export function configMapNumber(index: number): object {
  return {
    metadata: { name: `c${String(index).padStart(6, '0')}`, labels: { app: `x${index % 10}` } },
    data: { filling: 'v'.repeat(900) },
  };
}

/** A pod that is bound to one of as many nodes. */
export function podNumber(index: number, nodes: number): object {
  return {
    metadata: { name: `p${String(index).padStart(6, '0')}`, labels: { app: `x${index % 10}` } },
    spec: {
      nodeName: `n${index % nodes}`,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: 'i' }],
    },
  };
}

/** Opens a watch that is read to its end; resolves when the server has begun it. */
export async function openWatch(
  { server }: TestServer,
  path: string,
  {
    signal,
    onBytes = () => {},
  }: { readonly signal: AbortSignal; readonly onBytes?: (bytes: Uint8Array) => void },
): Promise<void> {
  const request = { method: 'GET', path, headers: {}, signal, stream: true };
  const { body } = await server.transport().request(request);
  if (body instanceof Uint8Array) throw new Error(Buffer.from(body).toString());
  const read = async (): Promise<void> => {
    for await (const piece of body) onBytes(piece);
  };
  read().catch(() => {}); // Aborted at the end.
}

export function linesIn(bytes: Uint8Array): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let lines = 0;
  for (let at = buffer.indexOf(0x0a); at >= 0; at = buffer.indexOf(0x0a, at + 1)) lines++;
  return lines;
}
