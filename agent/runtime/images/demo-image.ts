/**
 * The demo image, made on the machine itself from a static busybox, so that a first pod needs no registry. It serves a page
 * with the pod's name on port 8080, and has a shell, nslookup, wget and tar (which `kubectl cp` wants).
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { pack, type Pack } from 'tar-stream';
import { mediaTypes } from '#api/oci/manifest.ts';
import { platformOf } from '#api/oci/platform.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { digestOf } from './blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';

export const demoImageName = 'docker.io/podwright/demo:1';

const noBusybox =
  'make demo image: no static busybox on this machine; podwright setup brings one, or apt install busybox-static';

/** Everything in the image carries this time, so that the same busybox gives the same digest. */
const epoch = new Date(0);

/** A shell is pid 1 so that SIGTERM is handled: the kernel does not deliver it to a pid 1 without a handler. */
const serveScript = `#!/bin/sh
# Serves the pod's name on port $PORT (8080) until it is told to stop.
trap 'exit 0' TERM INT
httpd -f -p "\${PORT:-8080}" -h /www &
wait
`;

const pageScript = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "Hello from $(hostname)"
`;

interface DemoFile {
  readonly name: string;
  readonly mode: number;
  readonly content: string | Buffer;
}

const directories = [
  ...['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'usr', 'usr/bin', 'var', 'www', 'www/cgi-bin'].map(
    (name) => ({ name, mode: name === 'root' ? 0o700 : 0o755 }),
  ),
  ...['tmp', 'var/tmp'].map((name) => ({ name, mode: 0o1777 })),
];

const ownFiles: readonly DemoFile[] = [
  { name: 'bin/serve', mode: 0o755, content: serveScript },
  { name: 'www/cgi-bin/index.cgi', mode: 0o755, content: pageScript },
  {
    name: 'etc/passwd',
    mode: 0o644,
    content:
      'root:x:0:0:root:/root:/bin/sh\ndemo:x:1000:1000::/home:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
  },
  { name: 'etc/group', mode: 0o644, content: 'root:x:0:\ndemo:x:1000:\nnogroup:x:65534:\n' },
];

/** Images and charts ask for it by this path. */
const environmentLink = { name: 'usr/bin/env', linkname: '../../bin/busybox' };

const runConfig = {
  Env: ['PATH=/bin:/sbin:/usr/bin:/usr/sbin'],
  Cmd: ['/bin/serve'],
  WorkingDir: '/',
  ExposedPorts: { '8080/tcp': {} },
  Labels: { 'org.opencontainers.image.title': 'podwright demo' },
};

/** The same for what becomes the same image, without making it. @throws E_NOT_FOUND when the machine has no static busybox */
export async function demoImageKey(busybox: string | undefined = findBusybox()): Promise<string> {
  return withBusybox(busybox, async (path) => {
    const { size, mtimeMs } = await stat(path);
    const program = { path, size, mtimeMs, architecture: process.arch };
    return digestOf(document({ demoImageName, program, directories, ownFiles, environmentLink, runConfig }));
  });
}

/** A dynamic busybox would miss its libraries in the image. @throws E_NOT_FOUND when the machine has no static one */
export async function createDemoImage(busybox: string | undefined = findBusybox()): Promise<Readable> {
  return withBusybox(busybox, async (path) => {
    const { stdout } = await promisify(execFile)(path, ['--list']);
    const applets = stdout.split('\n').filter((name) => /^[\w.[-]+$/.test(name));
    return buildDemoArchive({ busybox: await readFile(path), applets, nodeArchitecture: process.arch });
  });
}

async function withBusybox<T>(path: string | undefined, use: (path: string) => Promise<T>): Promise<T> {
  try {
    if (path === undefined) throw new PodwrightError('E_NOT_FOUND', noBusybox);
    return await use(path);
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new PodwrightError('E_NOT_FOUND', noBusybox, { cause });
  }
}

/** An OCI layout as a tar, for ImageStore.importArchive. The same input gives the same bytes. */
export async function buildDemoArchive(input: {
  readonly busybox: Buffer;
  readonly applets: readonly string[];
  readonly nodeArchitecture: string;
}): Promise<Readable> {
  const layer = await layerOf(input.busybox, input.applets);
  const { os, architecture } = platformOf(input.nodeArchitecture);
  const config = document({
    created: epoch.toISOString(),
    os,
    architecture,
    config: runConfig,
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    history: [{ created: epoch.toISOString(), created_by: 'podwright' }],
  });
  const manifest = document({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: descriptor(mediaTypes.ociConfig, config),
    layers: [descriptor(mediaTypes.ociLayer, layer)],
  });
  const annotations = { 'org.opencontainers.image.ref.name': demoImageName };
  const index = document({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { ...descriptor(mediaTypes.ociManifest, manifest), platform: { os, architecture }, annotations },
    ],
  });
  const archive = pack();
  addFile(archive, { name: 'oci-layout', mode: 0o644, content: document({ imageLayoutVersion: '1.0.0' }) });
  addFile(archive, { name: 'index.json', mode: 0o644, content: index });
  for (const blob of [manifest, config, layer]) {
    addFile(archive, { name: `blobs/sha256/${hexOf(digestOf(blob))}`, mode: 0o644, content: blob });
  }
  archive.finalize();
  return toNodeStream(archive);
}

async function layerOf(busybox: Buffer, applets: readonly string[]): Promise<Buffer> {
  const layer = pack();
  for (const { name, mode } of directories)
    layer.entry({ name: `${name}/`, type: 'directory', mode, mtime: epoch });
  for (const file of [{ name: 'bin/busybox', mode: 0o755, content: busybox }, ...ownFiles])
    addFile(layer, file);
  for (const name of new Set(applets.toSorted())) {
    if (name !== 'busybox')
      layer.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox', mtime: epoch });
  }
  layer.entry({ ...environmentLink, type: 'symlink', mtime: epoch });
  layer.finalize();
  return Buffer.concat(await Array.fromAsync(toNodeStream(layer) as AsyncIterable<Buffer>));
}

function addFile(archive: Pack, file: DemoFile): void {
  archive.entry({ name: file.name, mode: file.mode, mtime: epoch }, file.content);
}

function document(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function descriptor(mediaType: string, blob: Buffer): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: digestOf(blob), size: blob.length };
}

/** tar-stream's streams are streamx's. */
function toNodeStream(packed: Pack): Readable {
  return Readable.from(packed as AsyncIterable<Buffer>, { objectMode: false });
}
