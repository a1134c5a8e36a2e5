/** crun and runc as peers: the probe by the specification that `runc spec` gives, without cgroup limits. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, type Contender } from './measure.ts';

export interface OciRuntime {
  readonly name: string;
  /** A bundle that runs the probe; `netns` is joined instead of a new one. Not to be timed. */
  bundle(args: readonly string[], netns?: string): string;
  /** Runs a bundle to its end: what it printed. */
  run(bundle: string): Promise<string>;
  /** Starts a container that waits; gives its id. */
  startWaiting(): Promise<string>;
  exec(id: string): Promise<string>;
  remove(id: string): Promise<void>;
}

/** crun cannot lift RLIMIT_MEMLOCK for its device filter where CAP_SYS_RESOURCE is missing. */
const globalOptions: Readonly<Record<string, readonly string[]>> = {
  crun: ['--cgroup-manager=disabled'],
  runc: [],
};

/** Those of the two that are installed. */
export function ociContenders(
  directory: string,
  root: string,
  round: (runtime: OciRuntime) => () => Promise<number>,
): readonly Contender[] {
  return Object.keys(globalOptions).map((name) => {
    const path = findProgram(name);
    if (path === undefined) return { name, skipped: 'not installed' };
    return { name, round: round(createOciRuntime({ name, path, directory, root })) };
  });
}

function createOciRuntime(options: {
  readonly name: string;
  readonly path: string;
  readonly directory: string;
  readonly root: string;
}): OciRuntime {
  const { name, path, directory, root } = options;
  const prefix = [path, '--root', join(directory, `${name}-state`), ...(globalOptions[name] ?? [])];
  const template = readSpec(path, join(directory, `${name}-spec`));
  let count = 0;
  const bundle: OciRuntime['bundle'] = (args, netns) => {
    const at = join(directory, `${name}-${count++}`);
    mkdirSync(at);
    writeFileSync(join(at, 'config.json'), JSON.stringify(specOf(template, { args, netns, root })));
    return at;
  };
  return {
    name,
    bundle,
    run: (at) => outputOf([...prefix, 'run', '--bundle', at, `b${count++}`]),
    startWaiting: async () => {
      const id = `b${count++}`;
      const command = [...prefix, 'run', '--detach', '--bundle', bundle(['/probe', 'wait']), id];
      await outputOf(command, { isDetached: true });
      return id;
    },
    exec: (id) => outputOf([...prefix, 'exec', id, '/probe']),
    remove: async (id) => void (await outputOf([...prefix, 'delete', '--force', id])),
  };
}

interface OciSpec {
  readonly process: object;
  readonly linux: { readonly namespaces: readonly { readonly type: string }[] };
}

function readSpec(runtime: string, directory: string): OciSpec {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  execFileSync(runtime, ['spec'], { cwd: directory });
  return JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
}

function specOf(
  spec: OciSpec,
  wanted: { readonly args: readonly string[]; readonly netns: string | undefined; readonly root: string },
): object {
  const { args, netns, root } = wanted;
  const joined = netns === undefined ? {} : { path: netns };
  return {
    ...spec,
    process: { ...spec.process, terminal: false, args },
    root: { path: root, readonly: false },
    linux: {
      ...spec.linux,
      resources: {},
      cgroupsPath: undefined,
      namespaces: spec.linux.namespaces.map((each) =>
        each.type === 'network' ? { ...each, ...joined } : each,
      ),
    },
  };
}

/** Runs a command to its end: its standard output, unless what it starts lives on (`isDetached`). */
export function outputOf(
  command: readonly string[],
  options: {
    readonly input?: string;
    readonly environment?: Readonly<Record<string, string>>;
    readonly isDetached?: boolean;
  } = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const [program = '', ...args] = command;
  const pipe = options.isDetached === true ? 'ignore' : 'pipe';
  const child = spawn(program, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', pipe, pipe],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...options.environment },
  });
  let out = '';
  let errors = '';
  child.stdout?.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => void (errors += chunk.toString()));
  child.stdin?.on('error', () => undefined); // It may end without reading.
  child.stdin?.end(options.input);
  child.once('error', reject);
  child.once('close', (code) => {
    if (code === 0) resolve(out);
    else
      reject(new Error(`${command.join(' ').slice(0, 120)}: ${code}: ${(errors + out).trim().slice(-300)}`));
  });
  return promise;
}
