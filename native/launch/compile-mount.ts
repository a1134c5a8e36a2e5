/**
 * Mounts as ops. Everything is made through descriptors (fsopen, open_tree, move_mount): a target is looked up once, inside the root
 * (openat2 RESOLVE_IN_ROOT), and what is mounted on is that descriptor, so no symbolic link in an image or volume leads out of it.
 */
import { PodwrightError } from '#base/errors.ts';
import { AT_FDCWD, MOUNT_ATTR, MOUNT_ATTR__ATIME, MOVE, MS, S_IFCHR, TREE } from './kernel-constants.ts';
import { bytes, flags, number, register, text, textList } from './program.ts';
import type { ProgramArgument, ProgramBuilder } from './program.ts';
import { shiftIds } from './compile-user-namespace.ts';
import type { LaunchMount } from './launch.ts';

/** The registers of a container's program and what they hold. */
export const registers = {
  root: 0,
  target: 1,
  tree: 2,
  covers: 4,
  firstShared: 8,
  lastShared: 15,
} as const;

/** Where the supervisor puts what a process joins, and the mount namespace of the pod's proc (supervisor/program.h). */
export const targetFd = 4;
export const procFd = 5;

/** Where a proc is mounted that is to be copied: path in the mount namespace, or that of the process, that a descriptor names. */
export interface ProcSource {
  readonly fd: number;
  readonly path: string;
}

/** fsconfig(2) takes values of at most 255 bytes. */
const fsconfigValueBytesMax = 255;
const fromEmpty = flags(MOVE, 'MOVE_MOUNT_F_EMPTY_PATH');
const fromEmptyToEmpty = flags(MOVE, 'MOVE_MOUNT_F_EMPTY_PATH', 'MOVE_MOUNT_T_EMPTY_PATH');

type AttributeName = keyof typeof MOUNT_ATTR;

/** Option words of a mount, sorted out. */
export interface MountOptions {
  readonly isRecursiveBind: boolean;
  readonly attributes: readonly AttributeName[];
  /** Attributes that hold for the mounts below too (`rro`). */
  readonly recursiveAttributes: readonly AttributeName[];
  readonly propagation: keyof typeof MS | undefined;
  readonly isRecursivePropagation: boolean;
}

const attributeWords: Readonly<Record<string, AttributeName>> = {
  ro: 'MOUNT_ATTR_RDONLY',
  nosuid: 'MOUNT_ATTR_NOSUID',
  nodev: 'MOUNT_ATTR_NODEV',
  noexec: 'MOUNT_ATTR_NOEXEC',
  noatime: 'MOUNT_ATTR_NOATIME',
  strictatime: 'MOUNT_ATTR_STRICTATIME',
  nodiratime: 'MOUNT_ATTR_NODIRATIME',
  nosymfollow: 'MOUNT_ATTR_NOSYMFOLLOW',
};
const propagationWords: Readonly<Record<string, keyof typeof MS>> = {
  private: 'MS_PRIVATE',
  slave: 'MS_SLAVE',
  shared: 'MS_SHARED',
  unbindable: 'MS_UNBINDABLE',
};
/** Words that ask for what is so anyway. */
const neutralWords: ReadonlySet<string> = new Set([
  'bind',
  'rbind',
  'rw',
  'suid',
  'dev',
  'exec',
  'relatime',
  'defaults',
]);

/** @throws E_INVALID for a word that means nothing here. */
export function parseMountOptions(mount: LaunchMount): MountOptions {
  const attributes: AttributeName[] = [];
  const recursiveAttributes: AttributeName[] = [];
  let propagation: keyof typeof MS | undefined;
  let isRecursivePropagation = false;
  for (const word of mount.options) {
    const base = word.startsWith('r') ? word.slice(1) : word;
    const plain = attributeWords[word];
    const recursive = word.startsWith('r') ? attributeWords[base] : undefined;
    const spread = propagationWords[word] ?? propagationWords[base];
    if (plain !== undefined) attributes.push(plain);
    else if (spread !== undefined)
      [propagation, isRecursivePropagation] = [spread, propagationWords[word] === undefined];
    else if (neutralWords.has(word)) continue;
    else if (recursive !== undefined) recursiveAttributes.push(recursive);
    else throw new PodwrightError('E_INVALID', `compile mount ${mount.target}: option ${word} is unknown`);
  }
  const isRecursiveBind = mount.options.includes('rbind');
  return { isRecursiveBind, attributes, recursiveAttributes, propagation, isRecursivePropagation };
}

/** The register for each mount that must stay a peer of the host's (rshared): its tree is cloned before ours leaves the peer group. */
export function allocateSharedTrees(mounts: readonly LaunchMount[]): ReadonlyMap<LaunchMount, number> {
  const shared = mounts.filter(
    (mount) => mount.type === 'bind' && parseMountOptions(mount).propagation === 'MS_SHARED',
  );
  if (shared.length > registers.lastShared - registers.firstShared + 1) {
    throw new PodwrightError(
      'E_LIMIT',
      `compile mounts: ${shared.length} with shared propagation, at most 8`,
    );
  }
  return new Map(shared.map((mount, index) => [mount, registers.firstShared + index]));
}

/** Clones the shared trees, then makes every mount that we have a slave of the host's. */
export function compilePropagation(builder: ProgramBuilder, shared: ReadonlyMap<LaunchMount, number>): void {
  for (const [mount, save] of shared) {
    builder.label(`clone ${mount.source} for ${mount.target}`);
    builder.op('open_tree', [AT_FDCWD, text(mount.source), treeFlags(parseMountOptions(mount))], { save });
  }
  builder.label('make every mount a slave of the host');
  setAttributes(builder, number(AT_FDCWD), text('/'), {
    recursive: true,
    propagation: 'MS_SLAVE',
    attributes: [],
  });
}

/** One mount, on a target inside the root. */
export function compileMount(
  builder: ProgramBuilder,
  mount: LaunchMount,
  from: {
    readonly shared: ReadonlyMap<LaunchMount, number>;
    readonly proc: ProcSource | undefined;
    /** No device of a bind can be opened. */
    readonly isNodev: boolean;
  },
): void {
  const { shared } = from;
  if (!mount.target.startsWith('/')) {
    throw new PodwrightError('E_INVALID', `compile mount ${mount.target}: the target is not absolute`);
  }
  const parsed = parseMountOptions(mount);
  const isWithout = from.isNodev && mount.type === 'bind';
  const recursiveAttributes = [...parsed.recursiveAttributes, 'MOUNT_ATTR_NODEV' as const];
  const options = isWithout ? { ...parsed, recursiveAttributes } : parsed;
  const what = mount.type === 'bind' ? `bind ${mount.source}` : mount.type;
  builder.label(`mount ${what} on ${mount.target}`);
  if (mount.type === 'bind') compileBind(builder, mount, { options, shared: shared.get(mount) });
  else if (mount.type === 'proc' && from.proc !== undefined) compileProc(builder, from.proc, options);
  else compileFilesystem(builder, mount, { options, save: registers.tree });
  openTarget(builder, mount.target, mount.isFile === true);
  const tree = shared.get(mount) ?? registers.tree;
  moveTree(builder, tree);
}

function compileBind(
  builder: ProgramBuilder,
  mount: LaunchMount,
  how: { readonly options: MountOptions; readonly shared: number | undefined },
): void {
  const { options } = how;
  const tree = register(how.shared ?? registers.tree);
  if (how.shared === undefined) {
    builder.op('open_tree', [AT_FDCWD, text(mount.source), treeFlags(options)], { save: registers.tree });
    const propagation = options.propagation ?? 'MS_PRIVATE';
    const recursive =
      options.isRecursiveBind && (options.isRecursivePropagation || options.propagation === undefined);
    setAttributes(builder, tree, text(''), { recursive, propagation, attributes: [] });
  }
  if (mount.isIdMapped === true) shiftIds(builder, tree, mount.source);
  if (options.attributes.length > 0) {
    setAttributes(builder, tree, text(''), {
      recursive: false,
      propagation: undefined,
      attributes: options.attributes,
    });
  }
  if (options.recursiveAttributes.length > 0) {
    const attributes = options.recursiveAttributes;
    setAttributes(builder, tree, text(''), { recursive: true, propagation: undefined, attributes });
  }
}

function compileFilesystem(
  builder: ProgramBuilder,
  mount: LaunchMount,
  how: { readonly options: MountOptions; readonly save: number },
): void {
  const { options, save } = how;
  const settings = settingsOf(mount);
  const attributes = flags(MOUNT_ATTR, ...options.attributes, ...options.recursiveAttributes);
  builder.op('makeMount', [text(mount.type), textList(settings), attributes], { save });
  if (options.propagation !== undefined && options.propagation !== 'MS_PRIVATE') {
    const { propagation } = options;
    setAttributes(builder, register(save), text(''), { recursive: false, propagation, attributes: [] });
  }
}

/** Of a pid namespace that we are not in yet (supervisor/program.c, take_proc). */
function compileProc(builder: ProgramBuilder, proc: ProcSource, options: MountOptions): void {
  builder.op('takeProc', [proc.fd, text(proc.path)], { save: registers.tree });
  setAttributes(builder, register(registers.tree), text(''), {
    recursive: false,
    propagation: 'MS_PRIVATE',
    attributes: [...options.attributes, ...options.recursiveAttributes],
    isExact: true,
  });
}

/** `key` and `key=value`, as fsconfig(2) is to have them. */
function settingsOf(mount: LaunchMount): readonly string[] {
  const words = (mount.data ?? '').split(',').filter((word) => word !== '');
  const settings = [`source=${mount.source === '' ? mount.type : mount.source}`, ...words];
  for (const setting of settings) {
    const key = setting.split('=', 1)[0] ?? '';
    if (Buffer.byteLength(setting) > Buffer.byteLength(key) + 1 + fsconfigValueBytesMax) {
      throw new PodwrightError(
        'E_LIMIT',
        `compile mount ${mount.target}: ${key} is longer than ${fsconfigValueBytesMax} bytes`,
      );
    }
  }
  return settings;
}

function treeFlags(options: MountOptions): ProgramArgument {
  return options.isRecursiveBind
    ? flags(TREE, 'OPEN_TREE_CLONE', 'OPEN_TREE_CLOEXEC', 'AT_RECURSIVE')
    : flags(TREE, 'OPEN_TREE_CLONE', 'OPEN_TREE_CLOEXEC');
}

/** mount_setattr(2) on a descriptor (with an empty path) or a path. */
export function setAttributes(
  builder: ProgramBuilder,
  at: ProgramArgument,
  path: ProgramArgument,
  change: {
    readonly recursive: boolean;
    readonly propagation: keyof typeof MS | undefined;
    readonly attributes: readonly AttributeName[];
    /** Takes those away that are not listed. */
    readonly isExact?: boolean;
  },
): void {
  const set = change.attributes.reduce((sum, name) => sum | MOUNT_ATTR[name], 0);
  const attr = Buffer.alloc(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  attr.writeBigUInt64LE(BigInt(set), 0);
  const cleared = (set & MOUNT_ATTR__ATIME) === 0 ? 0 : MOUNT_ATTR__ATIME;
  attr.writeBigUInt64LE(BigInt(change.isExact === true ? cleared | accessAttributes : cleared), 8);
  attr.writeBigUInt64LE(BigInt(change.propagation === undefined ? 0 : MS[change.propagation]), 16);
  const exact = change.isExact === true ? 'exactly ' : '';
  const words = [...change.attributes, ...(change.propagation === undefined ? [] : [change.propagation])];
  const empty: 'AT_EMPTY_PATH'[] = path.kind === 'data' && path.bytes.length === 1 ? ['AT_EMPTY_PATH'] : [];
  const how = flags(TREE, ...empty, ...(change.recursive ? (['AT_RECURSIVE'] as const) : []));
  builder.op('mount_setattr', [at, path, how, bytes(attr, `${exact}${words.join('|')}`), 32]);
}

/** What mount options decide about access. */
const accessAttributes =
  MOUNT_ATTR.MOUNT_ATTR_RDONLY |
  MOUNT_ATTR.MOUNT_ATTR_NOSUID |
  MOUNT_ATTR.MOUNT_ATTR_NODEV |
  MOUNT_ATTR.MOUNT_ATTR_NOEXEC;

/** A descriptor of a path inside the root, made where missing, in registers.target. */
export function openTarget(builder: ProgramBuilder, path: string, isFile: boolean): void {
  const args = [register(registers.root), text(path), number(isFile ? 1 : 0, isFile ? 'file' : 'directory')];
  builder.op('makePath', [...args, number(isFile ? 0o644 : 0o755, isFile ? '0644' : '0755')], {
    save: registers.target,
  });
}

function moveTree(builder: ProgramBuilder, tree: number): void {
  builder.op('move_mount', [
    register(tree),
    text(''),
    register(registers.target),
    text(''),
    fromEmptyToEmpty,
  ]);
}

/**
 * What masked paths are covered by, in registers.covers: an empty directory and a null device in a file system of the container's own, which
 * is read-only so that nobody changes even their modes. It has to be mounted somewhere in our namespace to be cloned (before 6.15), and is
 * where the root will cover it.
 */
export function compileCovers(builder: ProgramBuilder, below: string): void {
  builder.label('make what covers masked paths');
  const mount: LaunchMount = { type: 'tmpfs', source: 'tmpfs', target: '', options: [], data: coversData };
  const [save, covers] = [registers.covers, register(registers.covers)];
  compileFilesystem(builder, mount, { options: { ...noOptions, attributes: ['MOUNT_ATTR_NOSUID'] }, save });
  builder.op('mkdirat', [covers, text('directory'), number(0o755, '0755')]);
  builder.op('mknodat', [covers, text('null'), number(S_IFCHR | 0o666, 'c 0666'), deviceNumber(1, 3)]);
  const attributes = ['MOUNT_ATTR_RDONLY', 'MOUNT_ATTR_NOEXEC'] as const;
  setAttributes(builder, covers, text(''), { recursive: false, propagation: undefined, attributes });
  builder.op('move_mount', [covers, text(''), AT_FDCWD, text(below), fromEmpty]);
}

/** Room for its root and the two. */
const coversData = 'mode=755,nr_inodes=3';

/** Hides paths: the null device over a file, the empty directory over a directory. */
export function compileMaskedPaths(builder: ProgramBuilder, paths: readonly string[]): void {
  const [root, covers] = [register(registers.root), register(registers.covers)];
  for (const path of paths) {
    builder.label(`mask ${path}`);
    builder.op('maskPath', [root, text(path), covers]);
  }
}

/** The kernel's new_encode_dev (linux/kdev_t.h), with what to print. */
export function deviceNumber(major: number, minor: number): ProgramArgument {
  const value = BigInt(minor & 0xff) | (BigInt(major) << 8n) | (BigInt(minor & ~0xff) << 12n);
  return number(value, `${major}:${minor}`);
}

const noOptions: MountOptions = {
  isRecursiveBind: false,
  attributes: [],
  recursiveAttributes: [],
  propagation: undefined,
  isRecursivePropagation: false,
};

/** Binds paths on themselves, read-only with all below. */
export function compileReadonlyPaths(builder: ProgramBuilder, paths: readonly string[]): void {
  for (const path of paths) {
    builder.label(`make ${path} read-only`);
    builder.op('sealPath', [register(registers.root), text(path)]);
  }
}

/** mount(2) takes a page of data with its NUL. */
const mountDataBytesMax = 4095;

/**
 * The overlay's data string. Where the names of its layers would not fit, `links` are to be made in the directory that is then the
 * working one: short names for them (overlayfs follows a link to a layer as it is mounted, and never again).
 * `volatile` (since 5.10): nothing of the writable layer is synced. It goes with its container, and without it the kernel waits
 * for the disk whenever a directory is copied up, as making a mount point does (docs/kernel-notes.md#overlay-volatile).
 * @throws E_LIMIT for more layers than fit even so
 */
export function overlayData(overlay: {
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
}): { readonly links: readonly { readonly name: string; readonly target: string }[]; readonly data: string } {
  const escape = (path: string): string => path.replace(/[\\:,]/g, '\\$&');
  const render = (lower: readonly string[]): string =>
    `lowerdir=${lower.map(escape).join(':')},upperdir=${escape(overlay.upper)},workdir=${escape(overlay.work)},volatile`;
  const data = render(overlay.lower);
  if (Buffer.byteLength(data) <= mountDataBytesMax) return { links: [], data };
  const links = overlay.lower.map((target, at) => ({ name: at.toString(36), target }));
  const short = render(links.map(({ name }) => name));
  if (Buffer.byteLength(short) <= mountDataBytesMax && links.length <= layersMax)
    return { links, data: short };
  throw new PodwrightError('E_LIMIT', `compile overlay: ${links.length} layers do not fit a mount's data`);
}

/** OVL_MAX_STACK of fs/overlayfs. */
const layersMax = 500;
