/** The data argument of mount(2) per file system. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { MountSpec } from './mount.ts';

/** mount(2) takes one page of data, its NUL included. */
const dataBytesMax = 4_095;

/** tmpfs(5): `size=65536,mode=1777`. */
export function tmpfsData(spec: Extract<MountSpec, { readonly kind: 'tmpfs' }>): string {
  const size = spec.sizeBytes === undefined ? [] : [`size=${spec.sizeBytes}`];
  const mode = spec.mode === undefined ? [] : [`mode=${spec.mode.toString(8)}`];
  const gid = spec.gid === undefined ? [] : [`gid=${spec.gid}`];
  return [...size, ...mode, ...gid].join(',');
}

/** overlayfs.rst: `lowerdir=a:b,upperdir=c,workdir=d`. @throws E_INVALID no layer, E_LIMIT more layers than fit */
export function overlayData(spec: Extract<MountSpec, { readonly kind: 'overlay' }>): string {
  if (spec.lower.length === 0) throw new PodwrightError('E_INVALID', 'mount overlay: no lower directory');
  const lower = spec.lower.map(escapeLower).join(':');
  const { upper } = spec;
  const upperData =
    upper === undefined ? '' : `,upperdir=${escapeComma(upper.directory)},workdir=${escapeComma(upper.work)}`;
  const data = `lowerdir=${lower}${upperData}`;
  if (Buffer.byteLength(data) <= dataBytesMax) return data;
  throw new PodwrightError(
    'E_LIMIT',
    `mount overlay of ${spec.lower.length} directories: names exceed ${dataBytesMax} bytes`,
  );
}

/** The kernel takes a backslash before what would end a path. */
const escapeLower = (path: string): string => path.replace(/[\\:,]/g, '\\$&');
const escapeComma = (path: string): string => path.replace(/[\\,]/g, '\\$&');
