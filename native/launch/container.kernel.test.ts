import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from './compile-container.ts';
import { createKernelPod } from './kernel.fixture.ts';
import type { KernelPod } from './kernel.fixture.ts';
import { execOf, quiet } from './launcher.conformance.ts';
import type { ContainerLaunch, LaunchMount, LaunchSecurity } from './launch.ts';

describe.skipIf(process.getuid?.() !== 0)('a container on the kernel (needs root and busybox-static)', () => {
  let pod: KernelPod;
  beforeAll(async () => void (pod = await createKernelPod()));
  afterAll(async () => pod[Symbol.asyncDispose]());

  const secured = (script: string, security: Partial<LaunchSecurity>): ContainerLaunch => {
    const container = pod.container(script);
    return { ...container, security: { ...container.security, ...security } };
  };
  const mounted = (script: string, ...mounts: readonly LaunchMount[]): ContainerLaunch => ({
    ...pod.container(script),
    mounts: [...defaultMounts, ...mounts],
  });

  it('has its environment, working directory (made), hostname, descriptors and pid namespace', async () => {
    const script = 'echo $GREETING $(pwd) $(hostname) $$ $(echo /proc/self/fd/*) $(umask)';
    const { log } = await pod.run({ ...pod.container(script), cwd: '/made/for/it' });
    expect(log).toBe(
      'stdout F hello /made/for/it pod 1 /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3 0022\n',
    );
  });

  it('becomes its user with its groups and without capabilities', async () => {
    const script =
      'id -u; id -g; id -G; grep -E "^Cap(Prm|Eff)" /proc/self/status; echo by name > /dev/stdout';
    const user = { uid: 1000, gid: 1001, additionalGids: [2000, 2001] };
    const { log } = await pod.run({ ...pod.container(script), user });
    const zero = '0000000000000000';
    expect(log.split('\n').map((line) => line.slice(9))).toEqual([
      '1000',
      '1001',
      '1001 2000 2001',
      `CapPrm:\t${zero}`,
      `CapEff:\t${zero}`,
      'by name',
      '',
    ]);
  });

  it('keeps the capabilities listed, in every set but inheritable and ambient', async () => {
    const script = 'grep ^Cap /proc/self/status';
    const { log } = await pod.run(secured(script, { capabilities: ['CAP_CHOWN', 'CAP_KILL'] }));
    const [none, kept] = ['0000000000000000', '0000000000000021'];
    const sets = [...log.matchAll(/Cap(\w+):\t(\w+)/g)].map(([, name, mask]) => [name, mask]);
    expect(sets).toEqual([
      ['Inh', none],
      ['Prm', kept],
      ['Eff', kept],
      ['Bnd', kept],
      ['Amb', none],
    ]);
  });

  it('filters system calls with and without no_new_privs', async () => {
    const script = 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status; unshare -m true 2>&1; echo $?';
    for (const noNewPrivileges of [true, false]) {
      const { log } = await pod.run(secured(script, { noNewPrivileges }));
      expect(log).toContain(`NoNewPrivs:\t${noNewPrivileges ? 1 : 0}\nstdout F Seccomp:\t2\n`);
      expect(log).toContain('Operation not permitted\nstdout F 1\n');
    }
    const { log } = await pod.run(secured(script, { seccomp: 'unconfined', privileged: true }));
    expect(log).toContain('Seccomp:\t0\nstdout F 0\n');
  });

  it('hides masked paths and protects read-only ones', async () => {
    const script =
      'cat /etc/secret; ls /hidden; echo x > /sealed/file; echo x > /proc/sys/kernel/domainname; echo done';
    const root = join(pod.directory, 'root');
    for (const name of ['hidden', 'sealed']) mkdirSync(join(root, name));
    writeFileSync(join(root, 'etc/secret'), 'secret');
    writeFileSync(join(root, 'hidden/file'), 'secret');
    const maskedPaths = ['/etc/secret', '/hidden', '/not/there'];
    const { log } = await pod.run(
      secured(script, { maskedPaths, readonlyPaths: ['/sealed', '/proc/sys', '/not/there'] }),
    );
    expect(log).not.toContain('F file');
    expect(log).not.toContain('F secret');
    expect(log.match(/Read-only file system/g)).toHaveLength(2);
    expect(log).toContain('stdout F done');
  });

  it('masks and protects what a link means inside the root, and starts nothing where it cannot', async () => {
    const root = join(pod.directory, 'root');
    mkdirSync(join(root, 'aim'));
    writeFileSync(join(root, 'aim/file'), 'secret');
    symlinkSync(`${'../'.repeat(20)}aim`, join(root, 'link'));
    symlinkSync('round', join(root, 'round'));
    const script = 'ls /aim; echo x > /aim/new; echo done';
    const { stdout } = await pod.run(secured(script, { maskedPaths: ['/link'] }));
    expect(stdout).toEqual(['done']);
    const sealed = await pod.run(secured(script, { readonlyPaths: ['/link'] }));
    expect(sealed.stdout).toEqual(['file', 'done']);
    for (const security of [{ maskedPaths: ['/round'] }, { readonlyPaths: ['/round'] }]) {
      const launched = pod.supervisor.launch('round', secured('true', security), quiet);
      await expect(launched).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'ELOOP' } });
    }
  });

  it('makes the root read-only but not what is mounted in it', async () => {
    const script = 'echo x > /tmp/x || echo refused; echo x > /scratch/x && echo written';
    const tmpfs: LaunchMount = {
      type: 'tmpfs',
      source: 'tmpfs',
      target: '/scratch',
      options: ['nosuid'],
      data: 'size=64k',
    };
    const container = mounted(script, tmpfs);
    const security = { ...container.security, readonlyRoot: true };
    const { stdout } = await pod.run({ ...container, security });
    expect(stdout).toEqual(['refused', 'written']);
  });

  it('binds files and directories, read-only where asked, on targets that it makes', async () => {
    const host = join(pod.directory, 'volume');
    mkdirSync(host);
    writeFileSync(join(host, 'hosts'), '127.0.0.1 here\n');
    const script =
      'cat /new/file; echo y >> /new/file || echo refused; echo z > /data/deep/z && cat /data/deep/z';
    const { stdout } = await pod.run(
      mounted(
        script,
        {
          type: 'bind',
          source: join(host, 'hosts'),
          target: '/new/file',
          isFile: true,
          options: ['rbind', 'ro', 'rprivate'],
        },
        { type: 'bind', source: host, target: '/data/deep', options: ['rbind', 'rw'] },
      ),
    );
    expect(stdout).toEqual(['127.0.0.1 here', 'refused', 'z']);
    expect(readFileSync(join(host, 'z'), 'utf8')).toBe('z\n');
  });

  it('never mounts through a symbolic link out of the root', async () => {
    const root = join(pod.directory, 'root');
    const outside = join(pod.directory, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(root, 'absolute'));
    symlinkSync(`${'../'.repeat(20)}${outside.slice(1)}`, join(root, 'relative'));
    symlinkSync('loop', join(root, 'loop'));
    const volume = (target: string): LaunchMount => ({ type: 'tmpfs', source: '', target, options: [] });
    const script = `touch /absolute/a /relative/r && ls ${outside}`;
    const { code, log } = await pod.run(mounted(script, volume('/absolute/x'), volume('/relative/y')));
    // The links are resolved as the container sees them: its own directory of that name, made for it.
    expect({ code, log }).toEqual({ code: 0, log: 'stdout F a\nstdout F r\nstdout F x\nstdout F y\n' });
    expect(() => readFileSync(join(outside, 'a'))).toThrow('ENOENT');
    const looped = pod.supervisor.launch('loop', mounted('true', volume('/loop/z')), quiet);
    await expect(looped).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'ELOOP' } });
  });

  it('runs from an overlay, whose changes go to the upper directory', async () => {
    const at = (name: string): string => join(pod.directory, 'overlay', name);
    for (const name of ['merged', 'more']) mkdirSync(at(name), { recursive: true });
    writeFileSync(at('more/layer'), 'from a layer\n');
    const root: ContainerLaunch['root'] = {
      kind: 'overlay',
      lower: [at('more'), join(pod.directory, 'root')],
      upper: at('own/upper'),
      work: at('own/work'),
      merged: at('merged'),
      make: { directory: at('own'), mode: 0o2751, uid: 7, gid: 8 },
    };
    const container = secured("cat /layer; echo changed > /layer; stat -c '%a %u %g' /", {
      maskedPaths: ['/proc/acpi', '/etc'],
    });
    const { code, log } = await pod.run({ ...container, root });
    expect({ code, log }).toEqual({ code: 0, log: 'stdout F from a layer\nstdout F 2751 7 8\n' });
    expect(readFileSync(at('own/upper/layer'), 'utf8')).toBe('changed\n');
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(pod.directory);
    const again = pod.supervisor.launch('again', { ...container, root }, quiet);
    await expect(again).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'EEXIST' } });
    rmSync(at('own/work'), { recursive: true });
  });

  it('runs from an overlay of more layers than a page names', async () => {
    const at = (name: string): string => join(pod.directory, 'deep', name);
    const layers = Array.from({ length: 299 }, (_, layer) =>
      at(`${'layer-of-a-long-name-'.repeat(3)}${layer}`),
    );
    for (const name of [at('merged'), ...layers]) mkdirSync(name, { recursive: true });
    layers.forEach((layer, index) => writeFileSync(join(layer, `file-${index}`), ''));
    const root: ContainerLaunch['root'] = {
      kind: 'overlay',
      lower: [...layers, join(pod.directory, 'root')],
      upper: at('own/upper'),
      work: at('own/work'),
      merged: at('merged'),
      make: { directory: at('own'), mode: 0o755, uid: 0, gid: 0 },
    };
    const { code, stdout } = await pod.run({ ...secured('set -- /file-*; echo $#', {}), root });
    expect({ code, stdout }).toEqual({ code: 0, stdout: ['299'] });
  });

  it('runs from an overlay without layers', async () => {
    const at = (name: string): string => join(pod.directory, 'scratch', name);
    mkdirSync(at('merged'), { recursive: true });
    const root: ContainerLaunch['root'] = {
      kind: 'overlay',
      lower: [],
      upper: at('own/upper'),
      work: at('own/work'),
      merged: at('merged'),
      make: { directory: at('own'), mode: 0o755, uid: 0, gid: 0 },
    };
    const bin: LaunchMount = {
      type: 'bind',
      source: join(pod.directory, 'root/bin'),
      target: '/bin',
      options: ['rbind', 'ro'],
    };
    const { code, stdout } = await pod.run({ ...mounted('echo x > /made; echo /*', bin), root });
    expect({ code, stdout }).toEqual({ code: 0, stdout: ['/bin /dev /made /proc /sys'] });
    const failure = pod.supervisor.launch(
      'bare',
      { ...pod.container(''), root: { ...root, make: undefined } },
      quiet,
    );
    await expect(failure).rejects.toMatchObject({ code: 'E_INVALID' });
  });

  it('has the limits, devices and oom_score_adj asked for', async () => {
    const script = 'ulimit -Sn; ulimit -Hn; ls -l /dev/own/zero; cat /proc/self/oom_score_adj';
    const { log } = await pod.run({
      ...pod.container(script),
      rlimits: [{ name: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
      devices: [{ path: '/dev/own/zero', type: 'c', major: 1, minor: 5, mode: 0o600 }],
      oomScoreAdj: 500,
    });
    expect(log).toMatch(/F 100\nstdout F 200\nstdout F crw------- .* 1, +5 .*\nstdout F 500\n$/);
  });

  it('says which op failed and why', async () => {
    const bad: LaunchMount = { type: 'tmpfs', source: '', target: '/x', options: [], data: 'nonsense=1' };
    const failure = pod.supervisor.launch('bad', mounted('true', bad), quiet);
    await expect(failure).rejects.toThrow(/^launch bad: op \d+ mount tmpfs on \/x: EINVAL$/);
    const op = 'makeMount("tmpfs", ["source=tmpfs","nonsense=1"], 0) -> r2  # mount tmpfs on /x';
    await expect(failure).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'EINVAL', op } });
  });

  it('looks args[0] up in PATH: EACCES where only a file without x was found, else ENOENT', async () => {
    writeFileSync(join(pod.directory, 'root/etc/data'), '');
    const run = (name: string, path: string): Promise<unknown> =>
      pod.supervisor.launch('lookup', { ...pod.container(''), args: [name], env: [`PATH=${path}`] }, quiet);
    await expect(run('data', '/nowhere:/etc:/bin')).rejects.toMatchObject({
      message: 'exec: "data": permission denied',
      detail: { errno: 'EACCES' },
    });
    await expect(run('datum', '/nowhere:/etc:/bin/sh')).rejects.toMatchObject({
      message: 'exec: "datum": executable file not found in $PATH',
      detail: { errno: 'ENOENT' },
    });
    await expect(
      pod.run({ ...pod.container(''), args: ['true'], env: ['PATH=/nowhere:/bin'] }),
    ).resolves.toMatchObject({
      code: 0,
    });
  });

  it('sees the processes of the container whose pid namespace it is in, and is none of the next one', async () => {
    const target = await pod.supervisor.launch('seen', pod.container('exec sleep 4321'), quiet);
    const beside: ContainerLaunch = {
      ...pod.container(
        'until grep -q sleep /proc/1/comm; do sleep 0.01; done; tr "\\0" " " < /proc/1/cmdline; echo; test $$ -gt 1; exit $((3 + $?))',
      ),
      pidNamespace: { ofPid: target.pid },
    };
    expect(await pod.run(beside)).toMatchObject({ code: 3, stdout: ['sleep 4321 '] });
    expect(await pod.run(pod.container('echo $$'))).toMatchObject({ stdout: ['1'] });
    // An exec into what is beside is beside, too; both see each other.
    const { pid } = await pod.supervisor.launch('beside', { ...beside, args: ['sleep', '4322'] }, quiet);
    const script = 'cat /proc/[0-9]*/comm | sort | uniq -c';
    const { stdout } = await pod.exec(execOf(beside, pid, script));
    expect(stdout).toMatch(/ 2 sleep\n/);
    await pod.supervisor.kill('seen', 9);
    expect(await pod.exitOf('beside')).toMatchObject({ code: 137, signal: 9 });
    expect(await pod.exitOf('seen')).toMatchObject({ code: 137, signal: 9 });
  });

  it('enters no working directory that a link of /proc leads to, in a container and in an exec', async () => {
    const root = join(pod.directory, 'root');
    for (const target of ['/proc/1/root', '/proc/self/fd/3', '/proc/self/cwd'])
      symlinkSync(target, join(root, `work-${target.replaceAll('/', '-')}`));
    symlinkSync('/etc', join(root, 'work-etc'));
    // Of the host: what its pid 1 has for a root is the host's.
    const container: ContainerLaunch = { ...pod.container('exec sleep 1000'), pidNamespace: 'host' };
    const { pid } = await pod.supervisor.launch('links', container, quiet);
    for (const cwd of [
      '/proc/1/root',
      '/proc/1/cwd',
      '/work--proc-1-root',
      '/work--proc-self-fd-3',
      '/proc/self/fd/4',
    ]) {
      const launched = pod.supervisor.launch('link', { ...container, cwd }, quiet);
      await expect(launched, cwd).rejects.toMatchObject({
        code: 'E_LAUNCH',
        detail: { errno: /ELOOP|ENOENT/ },
      });
      const exec = pod.supervisor.exec('exec', { ...execOf(container, pid, 'pwd'), cwd }, quiet);
      await expect(exec, cwd).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: /ELOOP|ENOENT/ } });
    }
    const inside = await pod.exec({ ...execOf(container, pid, 'pwd -P'), cwd: '/work-etc' });
    expect(inside.stdout).toBe('/etc\n');
  });

  it('exec joins every namespace of the container and keeps its own user and exit code', async () => {
    const container = pod.container('');
    const target = await pod.supervisor.launch(
      'joined',
      mounted('echo here > /scratch/x; exec sleep 1000', {
        type: 'tmpfs',
        source: '',
        target: '/scratch',
        options: [],
      }),
      quiet,
    );
    const script =
      'until grep sleep /proc/1/comm; do sleep 0.01; done; cat /scratch/x; hostname; id -u; exit 3';
    const exec = { ...execOf(container, target.pid, script), user: { uid: 33, gid: 33, additionalGids: [] } };
    expect(await pod.exec(exec)).toEqual({ code: 3, stdout: 'sleep\nhere\npod\n33\n', stderr: '' });
  });
});
