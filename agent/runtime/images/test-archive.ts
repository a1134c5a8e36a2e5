/** Image archives for tests, made of what a test says. */
import { pack } from 'tar-stream';
import { digestOf } from './blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';

export interface TestEntry {
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'character-device';
  readonly content?: string | Buffer;
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: Date;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly xattrs?: Readonly<Record<string, Buffer>>;
}

export interface TestLayer {
  readonly tar: Buffer;
  readonly blob?: Buffer; // compressed; default: the tar itself
  readonly digest?: string; // a wrong one
  readonly diffId?: string; // a wrong one
}

export interface TestImage {
  readonly layers: readonly TestLayer[];
  readonly name: string;
  readonly architecture?: string;
  readonly config?: object;
}

const goArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

export async function tarOf(entries: readonly TestEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, xattrs, ...header } of entries) {
    if (xattrs !== undefined) tar.entry({ name: 'pax', type: 'file' }, '');
    tar.entry({ mtime: new Date(0), ...header }, content ?? '');
  }
  tar.finalize();
  const bytes = Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Buffer>));
  return withXattrs(bytes, entries);
}

/** tar-stream writes no binary PAX records: the place-holders before such entries become PAX headers here. */
function withXattrs(tar: Buffer, entries: readonly TestEntry[]): Buffer {
  const blocks: Buffer[] = [];
  const pending = entries.flatMap(({ xattrs }) => (xattrs === undefined ? [] : [xattrs]));
  let at = 0;
  for (
    let holder = tar.indexOf('pax\0');
    holder >= 0 && pending.length > 0;
    holder = tar.indexOf('pax\0', at)
  ) {
    blocks.push(
      tar.subarray(at, holder),
      paxHeader(tar.subarray(holder, holder + 512), pending.shift() ?? {}),
    );
    at = holder + 512;
  }
  return Buffer.concat([...blocks, tar.subarray(at)]);
}

function paxHeader(block: Buffer, xattrs: Readonly<Record<string, Buffer>>): Buffer {
  const records = Object.entries(xattrs).map(([name, value]) => {
    const body = Buffer.concat([Buffer.from(` SCHILY.xattr.${name}=`), value, Buffer.from('\n')]);
    let length = body.length + 1;
    while (String(length).length + body.length !== length) length = String(length).length + body.length;
    return Buffer.concat([Buffer.from(String(length)), body]);
  });
  const data = Buffer.concat(records);
  const header = Buffer.from(block);
  header.write(`${data.length.toString(8).padStart(11, '0')} `, 124, 'latin1');
  header.write('x', 156, 'latin1');
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function configOf(image: TestImage): Buffer {
  return Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: image.architecture ?? goArchitecture,
      config: image.config ?? {},
      rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => layer.diffId ?? digestOf(layer.tar)) },
    }),
  );
}

export function ociArchive(image: TestImage): Promise<Buffer>;
export function ociArchive(
  image: TestImage & { readonly asFiles: true },
): Promise<readonly (readonly [string, Buffer])[]>;
export async function ociArchive(
  image: TestImage & { readonly asFiles?: boolean },
): Promise<Buffer | readonly (readonly [string, Buffer])[]> {
  const config = configOf(image);
  const blobs = image.layers.map((layer) => ({
    bytes: layer.blob ?? layer.tar,
    digest: layer.digest ?? digestOf(layer.blob ?? layer.tar),
  }));
  const manifest = json({
    schemaVersion: 2,
    config: { mediaType: 'config', digest: digestOf(config), size: config.length },
    layers: blobs.map(({ bytes, digest }) => ({ mediaType: 'layer', digest, size: bytes.length })),
  });
  const annotations = {
    'org.opencontainers.image.ref.name': image.name.includes(':') ? image.name : `${image.name}:latest`,
  };
  const index = json({
    schemaVersion: 2,
    manifests: [{ mediaType: 'manifest', digest: digestOf(manifest), size: manifest.length, annotations }],
  });
  const files = new Map<string, Buffer>([
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    ['index.json', index],
    [`blobs/sha256/${hexOf(digestOf(manifest))}`, manifest],
    [`blobs/sha256/${hexOf(digestOf(config))}`, config],
    ...blobs.map(({ bytes, digest }) => [`blobs/sha256/${hexOf(digest)}`, bytes] as const),
  ]);
  return image.asFiles === true
    ? [...files]
    : tarOf([...files].map(([name, content]) => ({ name, content })));
}

/** As `docker save` wrote it for years: layers first, the second one of equal ones a link, manifest.json last. */
export async function dockerArchive(image: TestImage): Promise<Buffer> {
  const config = configOf(image);
  const entries: TestEntry[] = image.layers.map((layer, at) => ({
    name: `layer${at}/layer.tar`,
    content: layer.blob ?? layer.tar,
  }));
  entries.push({ name: 'again/layer.tar', type: 'symlink', linkname: '../layer0/layer.tar' });
  const paths = image.layers.map((_, at) => (at === 0 ? 'again/layer.tar' : `layer${at}/layer.tar`));
  const manifest = [{ Config: 'config.json', RepoTags: [`${image.name}:latest`], Layers: paths }];
  return tarOf([
    ...entries,
    { name: 'config.json', content: config },
    { name: 'manifest.json', content: json(manifest) },
  ]);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
