/** What mount.nfs(8) makes of a server, a path and options before it calls mount(2). Pure. */
import { posix } from 'node:path';
import { formatIp, type Ip } from '#base/ip.ts';
import { PodwrightError } from '#base/errors.ts';
import type { MountOption } from '#native/mount/mount.ts';
import { flagWords } from '#native/mount/mount-options.ts';

export interface NfsWish {
  /** A name or an address. */
  readonly server: string;
  readonly path: string;
  readonly isReadOnly: boolean;
  /** As in nfs(5). */
  readonly options: readonly string[];
}

/** One call of mount(2). */
export interface NfsMount {
  readonly source: string;
  readonly flags: readonly MountOption[];
  readonly data: string;
}

/** What is read of the options before anything is asked of the network. */
export interface NfsOptions {
  readonly flags: readonly MountOption[];
  /** For the kernel, as they are. */
  readonly data: readonly string[];
  /** To be tried, best first: the kernel and the server may not have all. */
  readonly versions: readonly string[];
  readonly port: number;
}

/** What is so anyway, and what is for /etc/fstab and its readers: the agent tries again itself. */
const neutralWords: ReadonlySet<string> = new Set(
  'rw suid dev exec defaults atime auto noauto _netdev nofail fg'.split(' '),
);
/** What others on a node would have to do. */
const refusedWords: ReadonlyMap<string, string> = new Map([
  ['bg', 'the agent tries again by itself'],
  ['user', 'pods do not mount'],
  ['users', 'pods do not mount'],
  ['remount', 'it is mounted anew for each pod'],
]);
const versions = ['4.2', '4.1', '4.0'];
const nfsPort = 2049;

/** @throws {E_UNSUPPORTED} for what this node does not do, {E_INVALID} for what is no option */
export function parseNfsOptions({ options, isReadOnly }: NfsWish): NfsOptions {
  const words = options.flatMap((each) => each.split(',')).filter((word) => word !== '');
  const flags = new Set<MountOption>(isReadOnly ? ['ro'] : []);
  const data: string[] = [];
  let version: string | undefined;
  let minor: string | undefined;
  let port = nfsPort;
  for (const word of words) {
    const [key = '', value = ''] = word.split(/=(.*)/s, 2);
    const flag = flagWords.find((each) => each === word);
    const refusal = refusedWords.get(key) ?? refusalOf(key, value);
    if (refusal !== undefined)
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `mount option ${word} is not supported by this node: ${refusal}`,
      );
    if (flag !== undefined) flags.add(flag);
    else if (neutralWords.has(key) || key === 'retry') continue;
    else if (key === 'vers' || key === 'nfsvers') version = value;
    else if (key === 'v3' || /^v4(\.\d)?$/.test(key)) version = key.slice(1);
    else if (key === 'minorversion') minor = value;
    else if (!/^[a-z_]+(=[\w.:/-]+)?$/.test(word))
      throw new PodwrightError('E_INVALID', `mount option ${JSON.stringify(word)}: it is none of nfs(5)`);
    else {
      if (key === 'port') port = Number(value) || nfsPort;
      data.push(word);
    }
  }
  return { flags: [...flags], data, versions: versionsOf(version, minor, data), port };
}

function refusalOf(key: string, value: string): string | undefined {
  if (['addr', 'clientaddr', 'mountaddr'].includes(key))
    return 'the addresses are those of the server’s name';
  if (key === 'sec' && /krb5/.test(value)) return 'no rpc.gssd serves it, use sec=sys';
  if (key === 'proto' && /rdma/.test(value)) return 'it has no RDMA';
  return undefined;
}

function versionsOf(
  version: string | undefined,
  minor: string | undefined,
  data: readonly string[],
): readonly string[] {
  if (version === undefined && minor === undefined) return versions;
  if (minor !== undefined && (version === undefined || version === '4')) return [`4.${minor}`];
  if (version === '4') return versions;
  if (version === '3') {
    if (data.includes('nolock') || data.some((word) => /^local_lock=(all|flock|posix)$/.test(word)))
      return ['3'];
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'mount option nfsvers=3 is not supported by this node without nolock: no rpc.statd keeps locks, use nolock or version 4',
    );
  }
  if (version !== undefined && /^4\.[0-2]$/.test(version)) return [version];
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `mount option nfsvers=${version ?? ''} is not supported by this node: 3, 4, 4.0, 4.1 and 4.2 are`,
  );
}

/** The calls to be tried, one after another as long as the version is what is not there. */
export function planNfs(
  { server, path }: NfsWish,
  { flags, data, versions: tried }: NfsOptions,
  { address, own }: { readonly address: Ip; readonly own: Ip },
): readonly NfsMount[] {
  const host = server.includes(':') && !server.startsWith('[') ? `[${server}]` : server;
  const proto = address.family === 6 ? 'tcp6' : 'tcp';
  const hasProto = data.some((word) => word.startsWith('proto=') || word === 'tcp' || word === 'udp');
  return tried.map((version) => ({
    source: `${host}:${posix.normalize(path)}`,
    flags,
    data: [
      ...data,
      `vers=${version}`,
      ...(hasProto ? [] : [`proto=${proto}`]),
      `addr=${formatIp(address)}`,
      ...(version === '3' ? [`mountaddr=${formatIp(address)}`] : [`clientaddr=${formatIp(own)}`]),
    ].join(','),
  }));
}
