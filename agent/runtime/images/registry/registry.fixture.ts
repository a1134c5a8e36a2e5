/** A registry of what a test puts into it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from '#agent/runtime/images/blob-store.ts';

export interface FakeRegistry extends AsyncDisposable {
  readonly host: string;
  /** Path and range of each request. */
  readonly requests: string[];
  /** Files of an OCI layout, as `name:tag`; the digest that its index names. */
  add(name: string, files: readonly (readonly [string, Buffer])[]): string;
  /** A document by the tag of a repository, or any blob or manifest by its digest. */
  put(bytes: Buffer, name?: string): string;
}

/** May answer a request in the registry's stead. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

export async function serveImages(before: RequestHandler = () => false): Promise<FakeRegistry> {
  const requests: string[] = [];
  const blobs = new Map<string, Buffer>();
  const tags = new Map<string, string>();
  const server = createServer((request, response) => {
    requests.push(`${request.url} ${request.headers.range ?? ''}`.trim());
    if (before(request, response)) return;
    const [, repository = '', name = ''] =
      /^\/v2\/(.+)\/(?:manifests|blobs)\/([^?]+)/.exec(request.url ?? '') ?? [];
    const bytes = blobs.get(tags.get(`${repository}:${name}`) ?? name);
    if (bytes === undefined) return void response.writeHead(404).end();
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response
      .writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from })
      .end(bytes.subarray(from));
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const { port } = server.address() as AddressInfo;
  const put = (bytes: Buffer, name?: string): string => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    if (name !== undefined) tags.set(name, digest);
    return digest;
  };
  return {
    host: `127.0.0.1:${port}`,
    requests,
    put,
    add: (name, files) => {
      for (const [path, bytes] of files) if (path.startsWith('blobs/')) put(bytes);
      const index = files.find(([path]) => path === 'index.json')?.[1].toString() ?? '';
      const { manifests } = JSON.parse(index) as {
        readonly manifests: readonly { readonly digest: string }[];
      };
      const digest = manifests[0]?.digest ?? '';
      tags.set(name, digest);
      return digest;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
