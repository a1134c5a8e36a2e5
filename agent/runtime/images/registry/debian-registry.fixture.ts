/** Debian's docker-registry on loopback, and what a builder does to put an image there. */
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { systemClock } from '#base/clock.ts';
import { digestOf } from '#agent/runtime/images/blob-store.ts';

const program = '/usr/bin/docker-registry';

/** Tests that need it skip without. */
export const hasDebianRegistry: boolean = existsSync(program);

export interface DebianRegistry extends AsyncDisposable {
  /** `127.0.0.1:41234` */
  readonly host: string;
  /** Pushes the files of an OCI layout as `name:tag`; the digest of the manifest. */
  push(name: string, files: readonly (readonly [string, Buffer])[]): Promise<string>;
}

/** `directory`: of its configuration and storage. */
export async function startDebianRegistry(directory: string, port?: number): Promise<DebianRegistry> {
  const host = `127.0.0.1:${port ?? (await freePort())}`;
  const config = `version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: ${directory}/registry\nhttp:\n  addr: ${host}\n`;
  writeFileSync(`${directory}/config.yml`, config);
  const child = spawn(program, ['serve', `${directory}/config.yml`], { stdio: 'ignore' });
  const ended = Promise.withResolvers<void>();
  child.on('close', () => ended.resolve());
  const deadline = AbortSignal.timeout(150_000);
  while (!(await answers(host))) await systemClock.sleep(50, deadline);
  return {
    host,
    push: (name, files) => push(host, name, files),
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await ended.promise;
    },
  };
}

function answers(host: string): Promise<boolean> {
  return fetch(`http://${host}/v2/`).then(
    ({ ok }) => ok,
    () => false,
  );
}

interface Descriptor {
  readonly digest: string;
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

async function push(
  host: string,
  name: string,
  files: readonly (readonly [string, Buffer])[],
): Promise<string> {
  const [repository = '', tag = 'latest'] = name.split(':');
  const blobs = new Map(
    files.filter(([path]) => path.startsWith('blobs/')).map(([, bytes]) => [digestOf(bytes), bytes]),
  );
  const index = files.find(([path]) => path === 'index.json')?.[1].toString() ?? '';
  const { manifests } = JSON.parse(index) as { readonly manifests: readonly Descriptor[] };
  const digest = manifests[0]?.digest ?? '';
  const { config, layers } = JSON.parse(blobs.get(digest)?.toString() ?? '') as {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
  };
  for (const blob of new Set([config.digest, ...layers.map((layer) => layer.digest)])) {
    const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const at = new URL(begun.headers.get('location') ?? '', `http://${host}`);
    at.searchParams.set('digest', blob);
    await send(at, new Uint8Array(blobs.get(blob) ?? Buffer.alloc(0)), 'application/octet-stream');
  }
  // Other runtimes go by media types, which archives of tests do not all have.
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' },
    layers: layers.map((layer) => ({
      ...layer,
      mediaType: mediaTypeOf(blobs.get(layer.digest)),
    })),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const to = new URL(`http://${host}/v2/${repository}/manifests/${tag}`);
  await send(to, new Uint8Array(bytes), manifestType);
  return digestOf(bytes);
}

/** A frame, or one that is to be skipped (RFC 8878, 3.1). */
const zstdStarts = [0xfd2fb528, ...Array.from({ length: 16 }, (_, index) => 0x184d2a50 + index)];

function mediaTypeOf(layer: Buffer | undefined): string {
  const isGzip = layer?.readUInt16BE(0) === 0x1f8b;
  const isZstd = layer !== undefined && zstdStarts.some((start) => layer.readUInt32LE(0) === start);
  return `application/vnd.oci.image.layer.v1.tar${isGzip ? '+gzip' : isZstd ? '+zstd' : ''}`;
}

async function send(to: URL, body: Uint8Array<ArrayBuffer>, type: string): Promise<void> {
  const answer = await fetch(to, { method: 'PUT', body, headers: { 'content-type': type } });
  if (answer.status !== 201) throw new Error(`PUT ${to.pathname}: ${answer.status} ${await answer.text()}`);
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const { port } = server.address() as AddressInfo;
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  return port;
}
