/** /proc/<pid>/mountinfo as values (proc_pid_mountinfo(5)). Pure. */

/** One mount; paths are unescaped. */
export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** What of the file system is mounted: a bind mount of a directory shows it here. */
  readonly root: string;
  readonly target: string;
  readonly options: readonly string[]; // of the mount: ro, nosuid, relatime
  /** shared:N, master:N, propagate_from:N, unbindable */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[]; // of the file system
}

/** Mounts in the order of the file, which is the order of mounting. Lines that are cut short are passed over. */
export function parseMountinfo(text: string): readonly MountInfo[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountInfo | undefined {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const [id, parentId, , root, target, options] = fields;
  const [type, source, superOptions] = fields.slice(separator + 1);
  if (separator < 0 || target === undefined || root === undefined || type === undefined) return undefined;
  return {
    id: Number(id),
    parentId: Number(parentId),
    root: unescapeOctal(root),
    target: unescapeOctal(target),
    options: splitOptions(options),
    propagation: fields.slice(6, separator),
    type,
    source: unescapeOctal(source ?? ''),
    superOptions: splitOptions(superOptions),
  };
}

const splitOptions = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.split(',');

/** The kernel writes space, tab, newline, backslash and # as \ooo; several of them may make up one UTF-8 character. */
export function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes = Buffer.from(text);
  const result: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const octal = bytes[at] === 0x5c ? /^[0-7]{3}/.exec(bytes.toString('latin1', at + 1, at + 4)) : null;
    if (octal === null) result.push(bytes[at] ?? 0);
    else {
      result.push(Number.parseInt(octal[0], 8) & 0xff);
      at += 3;
    }
  }
  return Buffer.from(result).toString();
}

/** Whether a path is the prefix or lies below it, by whole components. */
export function isWithin(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix === '/' ? '/' : `${prefix}/`);
}
