/** The devices of the CDI files of a host. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { parseCdiName } from './cdi-name.ts';
import { parseCdiSpec, type CdiEdits, type CdiSpec } from './cdi-spec.ts';

/** The later ones go before: what is made at run time before what an administrator wrote. */
export const cdiDirectories: readonly string[] = ['/etc/cdi', '/var/run/cdi'];

/** Files of a directory; bytes of one. */
export const cdiFilesMax = 256;
export const cdiFileBytesMax: number = 4 * 1024 * 1024;

export interface CdiFile {
  readonly path: string;
  /** Place of its directory in the list. */
  readonly priority: number;
  readonly spec: CdiSpec;
}

export interface CdiFiles {
  readonly files: readonly CdiFile[];
  /** Of files that say nothing that is understood: a device may be in one of them. */
  readonly problems: readonly string[];
}

/** All files as they are now. Nothing where no directory is. @throws {E_LIMIT}; what the kernel says */
export async function readCdiFiles(directories: readonly string[]): Promise<CdiFiles> {
  const files: CdiFile[] = [];
  const problems: string[] = [];
  for (const [priority, directory] of directories.entries()) {
    for (const path of await specsIn(directory)) {
      try {
        files.push({ path, priority, spec: parseCdiSpec(await readDocument(path)) });
      } catch (error) {
        problems.push(`${path}: ${describeError(error)}`);
      }
    }
  }
  return { files, problems };
}

async function specsIn(directory: string): Promise<readonly string[]> {
  try {
    const names = (await readdir(directory)).filter((name) => /\.(json|yaml)$/.test(name)).toSorted();
    if (names.length > cdiFilesMax)
      throw new PodwrightError('E_LIMIT', `read ${directory}: ${names.length} files, at most ${cdiFilesMax}`);
    return names.map((name) => join(directory, name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function readDocument(path: string): Promise<unknown> {
  const { size } = await stat(path);
  if (size > cdiFileBytesMax)
    throw new PodwrightError('E_LIMIT', `${size} bytes, at most ${cdiFileBytesMax}`);
  const text = await readFile(path, 'utf8');
  return path.endsWith('.json') ? JSON.parse(text) : parseYaml(text).value;
}

/**
 * What a container with these devices gets: of each file what it says for all its devices, once, then of each device its own. Pure.
 * @throws {E_NOT_FOUND} naming devices that no file has; E_CONFLICT for one that two files of a directory have; E_UNSUPPORTED by field
 */
export function editsFor(names: readonly string[], { files, problems }: CdiFiles): readonly CdiEdits[] {
  const seen = new Set<CdiFile>();
  const missing: string[] = [];
  const edits: CdiEdits[] = [];
  for (const name of new Set(names)) {
    const file = fileOf(name, files);
    const device = file?.spec.devices.get(parseCdiName(name)?.device ?? '');
    if (file === undefined || device === undefined) {
      missing.push(name);
      continue;
    }
    if (!seen.has(file)) edits.push(refuseUnsupported(file.spec.edits, name, file));
    seen.add(file);
    edits.push(refuseUnsupported(device, name, file));
  }
  if (missing.length === 0) return edits;
  const why = problems.length === 0 ? '' : ` (not read: ${problems.slice(0, 3).join('; ')})`;
  throw new PodwrightError('E_NOT_FOUND', `unresolvable CDI devices ${missing.join(', ')}${why}`);
}

function fileOf(name: string, files: readonly CdiFile[]): CdiFile | undefined {
  const wanted = parseCdiName(name);
  if (wanted === undefined) return undefined;
  const having = files.filter(({ spec }) => spec.kind === wanted.kind && spec.devices.has(wanted.device));
  const priority = Math.max(...having.map((file) => file.priority));
  const [first, second] = having.filter((file) => file.priority === priority);
  if (first === undefined || second === undefined) return first;
  throw new PodwrightError(
    'E_CONFLICT',
    `conflicting device "${name}": ${first.path} and ${second.path} have it`,
  );
}

function refuseUnsupported(edits: CdiEdits, name: string, { path }: CdiFile): CdiEdits {
  const [field] = edits.unsupported;
  if (field === undefined) return edits;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `CDI device ${name}: ${field} of ${path} is not supported by this node`,
  );
}
