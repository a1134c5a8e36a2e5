/**
 * What whoever drives an OCI runtime counts on (runtime-spec, runtime.md and config.md; the idea is that of runtime-tools): the same for
 * ours and for those that are there already, by which the suite itself is tested.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';

export interface RuntimeUnderTest {
  /** Before the command's own name, the options that say where states are included. */
  readonly command: readonly string[];
  readonly isOurs: boolean;
}

interface Done {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
const tmpfs = { type: 'tmpfs', source: 'tmpfs' };
const mounts = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', ...tmpfs, options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
  },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];
const capabilities = ['CAP_KILL', 'CAP_CHOWN'];

type Edit = (config: ReturnType<typeof configOf>) => object;

function configOf(script: string) {
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs', readonly: false },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/bin', 'GREETING=hello'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 512, soft: 256 }],
      noNewPrivileges: true,
    },
    hostname: 'conformance',
    mounts,
    annotations: { 'org.example.key': 'value' },
    linux: {
      namespaces,
      maskedPaths: ['/proc/kcore', '/sys/firmware'],
      readonlyPaths: ['/proc/sys'],
    },
  };
}

/** @param find undefined: not on this machine */
export function proveRuntime(
  name: string,
  find: (directory: string) => Promise<RuntimeUnderTest>,
  busybox: string,
): void {
  describe(name, () => {
    const directory = scratchDirectory('oci-');
    let runtime: RuntimeUnderTest;
    let count = 0;
    beforeAll(async () => {
      runtime = await find(directory);
    });
    // Into files: what a container has of a pipe would be waited for.
    const run = (...args: readonly string[]): Done => {
      const [program = '', ...before] = runtime.command;
      const paths = ['stdout', 'stderr'].map((stream) => join(directory, stream));
      const files = paths.map((path) => openSync(path, 'w'));
      const { status } = spawnSync(program, [...before, ...args], {
        stdio: ['ignore', ...files],
        timeout: 60_000,
      });
      for (const file of files) closeSync(file);
      const [stdout = '', stderr = ''] = paths.map((path) => readFileSync(path, 'utf8'));
      return { status, stdout, stderr };
    };
    const good = (...args: readonly string[]): string => {
      const { status, stdout, stderr } = run(...args);
      expect(status, `${args.join(' ')}: ${stderr}`).toBe(0);
      return stdout;
    };
    const statusOf = (id: string): unknown => JSON.parse(good('state', id)).status;
    const made: string[] = [];
    afterAll(() => {
      for (const id of made) run('delete', '--force', id);
    });
    const bundleOf = (
      script: string,
      edit: Edit = (config) => config,
    ): { readonly id: string; readonly path: string } => {
      const id = `oci-${process.pid}-${name.replaceAll(/\W/g, '')}-${count++}`;
      const path = join(directory, id);
      mkdirSync(join(path, 'rootfs/bin'), { recursive: true });
      for (const each of ['proc', 'dev', 'sys', 'tmp']) mkdirSync(join(path, 'rootfs', each));
      copyFileSync(busybox, join(path, 'rootfs/bin/busybox'));
      for (const applet of ['sh', 'cat', 'echo', 'sleep', 'id', 'hostname', 'grep', 'touch', 'stat', 'kill'])
        symlinkSync('busybox', join(path, 'rootfs/bin', applet));
      writeFileSync(
        join(path, 'config.json'),
        JSON.stringify({ ...configOf(script), ...edit(configOf(script)) }),
      );
      made.push(id);
      return { id, path };
    };
    /** Started; its end is waited for by what it leaves. */
    const create = (script: string, edit?: Edit): { readonly id: string; readonly path: string } => {
      const bundle = bundleOf(script, edit);
      good('create', '--bundle', bundle.path, bundle.id);
      return bundle;
    };

    test('create, start, kill, delete: and the state at each', async () => {
      const { id, path } = bundleOf('trap "exit 0" TERM; touch /started; while :; do sleep 0.05; done');
      good('create', '--bundle', path, '--pid-file', join(path, 'pid'), id);
      const state = JSON.parse(good('state', id));
      expect(state).toMatchObject({
        id,
        status: 'created',
        bundle: path,
        annotations: { 'org.example.key': 'value' },
      });
      expect(Number(readFileSync(join(path, 'pid'), 'utf8'))).toBe(state.pid);
      expect(existsSync(join(path, 'rootfs/started'))).toBe(false);
      good('start', id);
      await expect.poll(() => existsSync(join(path, 'rootfs/started'))).toBe(true);
      expect(statusOf(id)).toBe('running');
      expect(run('start', id).status).not.toBe(0);
      expect(run('delete', id).status).not.toBe(0);
      good('kill', id, 'KILL');
      await expect.poll(() => statusOf(id)).toBe('stopped');
      expect(run('kill', id, 'KILL').status).not.toBe(0);
      good('delete', id);
      expect(run('state', id).status).not.toBe(0);
    });

    test('an id is taken once; one that is not there is an error', () => {
      const { id, path } = create('sleep 1000');
      expect(run('create', '--bundle', path, id).status).not.toBe(0);
      good('delete', '--force', id);
      for (const verb of ['state', 'start', 'kill', 'delete']) {
        const { status, stderr } = run(verb, id);
        expect(status, verb).not.toBe(0);
        // Others look for these words of runc's.
        if (runtime.isOurs) expect(stderr, verb).toContain('does not exist');
      }
    });

    test('run gives the exit code, streams are the caller’s own', () => {
      const { id, path } = bundleOf('echo out; echo err >&2; exit 7');
      expect(run('run', '--bundle', path, id)).toMatchObject({
        status: 7,
        stdout: 'out\n',
        stderr: expect.stringContaining('err\n'),
      });
      expect(run('state', id).status).not.toBe(0);
    });

    test('the process is as the bundle has it', () => {
      const script =
        'id -u; id -g; hostname; echo $GREETING; ulimit -n; grep -E "^(CapBnd|CapEff|NoNewPrivs)" /proc/self/status; ' +
        'cat /proc/kcore | grep -c .; echo x 2>/dev/null > /proc/sys/kernel/domainname || echo sealed; cat /proc/1/cmdline | grep -c sh';
      const { id, path } = bundleOf(script);
      expect(run('run', '--bundle', path, id).stdout.split('\n')).toEqual([
        ...['0', '0', 'conformance', 'hello', '256'],
        ...['CapEff:\t0000000000000021', 'CapBnd:\t0000000000000021', 'NoNewPrivs:\t1'],
        ...['0', 'sealed', '1', ''],
      ]);
    });

    test('a user, a working directory, a read-only root', () => {
      const { id, path } = bundleOf(
        'id -u; id -G; pwd; touch /x 2>/dev/null || echo read-only',
        ({ process, root }) => ({
          process: {
            ...process,
            user: { uid: 1000, gid: 1001, additionalGids: [1002] },
            cwd: '/made/for/it',
          },
          root: { ...root, readonly: true },
        }),
      );
      expect(run('run', '--bundle', path, id).stdout).toBe('1000\n1001 1002\n/made/for/it\nread-only\n');
    });

    test('binds, tmpfs and devices', () => {
      const { id, path } = bundleOf(
        'cat /file; echo x > /file || echo refused; echo y > /scratch/y && cat /scratch/y; stat -c %t:%T /dev/null /dev/own',
        (config) => ({
          mounts: [
            ...mounts,
            { destination: '/file', type: 'bind', source: join(directory, 'file'), options: ['bind', 'ro'] },
            { destination: '/scratch', ...tmpfs, options: ['size=64k', 'mode=700'] },
          ],
          linux: {
            ...config.linux,
            devices: [{ path: '/dev/own', type: 'c', major: 1, minor: 5, fileMode: 0o666 }],
          },
        }),
      );
      writeFileSync(join(directory, 'file'), 'of the host\n');
      expect(run('run', '--bundle', path, id).stdout).toBe('of the host\nrefused\ny\n1:3\n1:5\n');
    });

    test('exec: its output, its exit code, its own user', () => {
      const { id, path } = create('sleep 1000');
      good('start', id);
      expect(run('exec', id, '/bin/sh', '-c', 'hostname; exit 5')).toMatchObject({
        status: 5,
        stdout: 'conformance\n',
      });
      const process = { ...configOf('').process, args: ['/bin/id', '-u'], user: { uid: 7, gid: 7 } };
      writeFileSync(join(path, 'process.json'), JSON.stringify(process));
      expect(good('exec', '--process', join(path, 'process.json'), id)).toBe('7\n');
      expect(run('exec', id, '/nowhere').status).not.toBe(0);
      good('delete', '--force', id);
      expect(run('exec', id, '/bin/id').status).not.toBe(0);
    });

    test('what cannot be executed fails the creation, and nothing is left', () => {
      const { id, path } = bundleOf('', ({ process }) => ({ process: { ...process, args: ['nowhere'] } }));
      const { status, stderr } = run('create', '--bundle', path, id);
      expect(status).not.toBe(0);
      expect(stderr).toContain('executable file');
      expect(run('state', id).status).not.toBe(0);
    });

    test('hooks run in their order, with the state, and a failure ends the creation', async () => {
      const log = join(directory, `hooks-${name.replaceAll(/\W/g, '')}`);
      const hook = (stage: string, path = busybox): readonly object[] => [
        {
          path,
          args: ['sh', '-c', `${path} cat | ${path} grep -q '"id"' && echo ${stage} >> ${log}`],
          env: [],
        },
      ];
      const stages = ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'];
      const hooks = Object.fromEntries(stages.map((stage) => [stage, hook(stage)]));
      const inside = { path: '/bin/busybox', args: ['sh', '-c', '/bin/busybox cat > /inside'], env: [] };
      const { id, path } = bundleOf('echo body >> /log; sleep 1000', () => ({
        hooks: { ...hooks, startContainer: [inside] },
      }));
      good('create', '--bundle', path, id);
      // runc 1.1 runs those of `poststart` here already.
      const early = readFileSync(log, 'utf8').replace(runtime.isOurs ? '' : 'poststart\n', '');
      expect(early).toBe('prestart\ncreateRuntime\ncreateContainer\n');
      expect(existsSync(join(path, 'rootfs/inside'))).toBe(false);
      good('start', id);
      expect(JSON.parse(readFileSync(join(path, 'rootfs/inside'), 'utf8'))).toMatchObject({ id });
      good('delete', '--force', id);
      expect(readFileSync(log, 'utf8')).toBe(`${stages.join('\n')}\n`);

      const failing = bundleOf('sleep 1000', () => ({
        hooks: { createRuntime: [{ path: busybox, args: ['false'] }] },
      }));
      expect(run('create', '--bundle', failing.path, failing.id).status).not.toBe(0);
      expect(run('state', failing.id).status).not.toBe(0);
    });

    test('namespaces of others are joined', () => {
      const first = create('sleep 1000');
      const { pid } = JSON.parse(good('state', first.id));
      const second = bundleOf('hostname; cat /proc/1/comm', (config) => ({
        hostname: '',
        linux: {
          ...config.linux,
          namespaces: namespaces.map(({ type }) =>
            type === 'mount'
              ? { type }
              : { type, path: `/proc/${pid}/ns/${type === 'network' ? 'net' : type}` },
          ),
        },
      }));
      good('start', first.id);
      expect(run('run', '--bundle', second.path, second.id).stdout).toMatch(/^conformance\n(sleep|sh)\n$/);
      good('delete', '--force', first.id);
    });

    test('a user namespace with clocks of its own, for execs too', ({ skip }) => {
      if (!runtime.isOurs) skip('runc 1.1 and crun 1.8 know no clocks');
      const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      const { id, path } = bundleOf('sleep 1000', (config) => ({
        linux: {
          ...config.linux,
          namespaces: [...namespaces, { type: 'user' }, { type: 'time' }],
          ...{ uidMappings: mapping, gidMappings: mapping },
          timeOffsets: { boottime: { secs: 1_000_000_000 } },
        },
      }));
      expect(spawnSync('chown', ['-R', '100000:100000', join(path, 'rootfs')]).status).toBe(0);
      good('create', '--bundle', path, id);
      good('start', id);
      const script = 'id -u; cat /proc/self/uid_map; touch /made; cat /proc/uptime';
      const lines = good('exec', id, '/bin/sh', '-c', script).split('\n');
      expect(lines[0]).toBe('0');
      expect(lines[1]?.trim().split(/\s+/)).toEqual(['0', '100000', '65536']);
      expect(Number(lines[2]?.split(' ')[0])).toBeGreaterThan(1_000_000_000);
      expect(statSync(join(path, 'rootfs/made')).uid).toBe(100_000);
      good('delete', '--force', id);
    });

    test('a seccomp profile refuses what it says', () => {
      const syscalls = [{ names: ['sethostname'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }];
      const { id, path } = bundleOf('hostname other 2>&1; hostname', (config) => ({
        process: {
          ...config.process,
          capabilities: {
            bounding: ['CAP_SYS_ADMIN'],
            effective: ['CAP_SYS_ADMIN'],
            permitted: ['CAP_SYS_ADMIN'],
          },
        },
        linux: { ...config.linux, seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls } },
      }));
      expect(run('run', '--bundle', path, id).stdout).toMatch(/Function not implemented\nconformance\n/);
    });
  });
}
