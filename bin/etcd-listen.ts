/** `--etcd-listen` and the options beside it: the server's own store, served as etcd. */
import { join } from 'node:path';
import { isAbsolute } from 'node:path/posix';
import type { EtcdListen } from '#control-plane/apiserver/etcd-listen.ts';
import type { EtcdListener } from '#control-plane/store/etcd-server/serve.ts';

export interface EtcdListenOptions {
  readonly etcdServers?: readonly string[];
  readonly etcdListen?: readonly string[];
  readonly etcdListenCafile?: string;
  readonly etcdListenCertfile?: string;
  readonly etcdListenKeyfile?: string;
}

/** Of the socket's path; the kernel takes 107 bytes (unix(7)), and it is made under a longer name. */
const pathBytesMax = 95;

/** All that is wrong, each beginning with the option's name; `hostProblems` judges HOST:PORT. Pure. */
export function etcdListenProblems(
  options: EtcdListenOptions,
  hostProblems: (option: string, text: string) => readonly string[],
): readonly string[] {
  const { etcdListen = [], etcdServers = [], etcdListenCertfile, etcdListenKeyfile } = options;
  const files = {
    '--etcd-listen-cafile': options.etcdListenCafile,
    '--etcd-listen-certfile': etcdListenCertfile,
    '--etcd-listen-keyfile': etcdListenKeyfile,
  };
  const [file] = Object.entries(files).flatMap(([option, path]) => (path === undefined ? [] : [option]));
  const hasPort = etcdListen.some((text) => !isSocket(text));
  return [
    ...(etcdListen.length > 0 && etcdServers.length > 0
      ? ['--etcd-listen: the store is in the etcd of --etcd-servers; ask that']
      : []),
    ...(file !== undefined && !hasPort ? [`${file}: give --etcd-listen HOST:PORT too`] : []),
    ...((etcdListenCertfile === undefined) === (etcdListenKeyfile === undefined)
      ? []
      : ['--etcd-listen-certfile and --etcd-listen-keyfile: give both or neither']),
    ...etcdListen.flatMap((text) =>
      isSocket(text) ? socketProblems(text) : hostProblems('--etcd-listen', text),
    ),
  ];
}

function isSocket(text: string): boolean {
  return text.startsWith('unix:');
}

function socketProblems(text: string): readonly string[] {
  const path = text.slice('unix:'.length);
  if (path === '') return [];
  if (!isAbsolute(path)) return [`--etcd-listen ${text}: write an absolute path, or unix: for DIR/etcd.sock`];
  return Buffer.byteLength(path) <= pathBytesMax
    ? []
    : [`--etcd-listen ${text}: longer than ${pathBytesMax} bytes`];
}

/** What was asked for, with the files read. @throws what the readers throw */
export function readEtcdListen(
  options: EtcdListenOptions,
  read: {
    readonly dataDir: string;
    readonly file: (option: string, path: string) => Uint8Array;
    readonly hostPort: (text: string) => Extract<EtcdListener, { host: string }>;
  },
): { readonly etcdListen?: EtcdListen } {
  const { etcdListen = [], etcdListenCafile, etcdListenCertfile, etcdListenKeyfile } = options;
  if (etcdListen.length === 0) return {};
  const listeners = etcdListen.map((text): EtcdListener => {
    if (!isSocket(text)) return read.hostPort(text);
    const path = text.slice('unix:'.length);
    return { path: path === '' ? join(read.dataDir, 'etcd.sock') : path };
  });
  const ca = etcdListenCafile === undefined ? undefined : read.file('--etcd-listen-cafile', etcdListenCafile);
  if (etcdListenCertfile === undefined || etcdListenKeyfile === undefined) {
    return { etcdListen: { listeners, ...(ca === undefined ? {} : { ca }) } };
  }
  const serving = {
    cert: read.file('--etcd-listen-certfile', etcdListenCertfile),
    key: read.file('--etcd-listen-keyfile', etcdListenKeyfile),
  };
  return { etcdListen: { listeners, serving, ...(ca === undefined ? {} : { ca }) } };
}
