import { controllersFor } from '#agent/runtime/cgroup-resources.ts';
import type { LaunchMount } from '#native/launch/launch.ts';
import { describe, expect, it } from 'vitest';
import { parseImageConfig, type ImageConfig } from '#api/oci/config.ts';
import {
  allAccess,
  DEVICE_ACCESS,
  mayOpen,
  normaliseDeviceRules,
  renderDeviceRules,
} from '#native/bpf/device-rules.ts';
import type { Device } from '#native/bpf/device-rules.ts';
import { nonRootRefusal, parseAccounts, resolveUser } from '#agent/runtime/image-user.ts';
import {
  planContainer,
  signalNumber,
  type ContainerContext,
  type PlacedContainer,
} from './plan-container.ts';
import { planSandbox } from './plan-sandbox.ts';
import { containerConfig, sandboxConfig } from '#agent/runtime/runtime.conformance.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';

const paths = { runDirectory: '/run/p', dataDirectory: '/var/lib/p' };
const uid = '11111111-2222-3333-4444-555555555555';

const accounts = parseAccounts(
  'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\nbroken line\n#web:x:0:0\n',
  'root:x:0:\nwww:x:34:\nlogs:x:40:web,other\n',
);

function imageConfig(change: object = {}): ImageConfig {
  const base = { Env: ['PATH=/bin', 'A=image'], Entrypoint: ['/entry'], Cmd: ['cmd'] };
  return parseImageConfig(
    Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        rootfs: { type: 'layers', diff_ids: [] },
        config: { ...base, ...change },
      }),
    ),
  );
}

/** Of the image's /. */
const root = { mode: 0o1755, uid: 0, gid: 7 };

function context(
  change: {
    readonly image?: object;
    readonly sandbox?: Partial<SandboxConfig>;
    readonly targetPid?: number;
    readonly hostDevices?: ContainerContext['hostDevices'];
    readonly isDeviceFiltered?: boolean;
  } = {},
): ContainerContext {
  return {
    paths,
    sandbox: sandboxConfig(uid, { hostname: 'web-0', cgroupParent: 'kubepods/podX', ...change.sandbox }),
    sharedMemoryPath: `/run/p/pods/${uid}/shm`,
    supervisorDirectory: `/run/p/pods/${uid}/s0`,
    hostDevices: change.hostDevices ?? [],
    isDeviceFiltered: change.isDeviceFiltered ?? true,
    targetPid: change.targetPid,
    image: { config: imageConfig(change.image), lower: ['/layers/b', '/layers/a'], accounts, root },
  };
}

function container(change: Partial<PlacedContainer> = {}): PlacedContainer {
  const base = containerConfig({ imageId: 'sha256:0', directory: '/logs' }, { id: 'c'.repeat(64) });
  return { ...base, mounts: [], command: [], args: [], ...change };
}

describe('planSandbox()', () => {
  it.each<[string, Partial<SandboxConfig>]>([
    ['net.ipv4.tcp_syncookies', { hostNetwork: true }],
    ['kernel.shm_rmid_forced', { hostIpc: true }],
    ['kernel.sem', { hostIpc: true }],
    ['fs.mqueue.msg_max', { hostIpc: true }],
    ['vm.swappiness', {}],
    ['kernel.core_pattern', {}],
    ['net.//.kernel.core_pattern', {}],
    ['net/../kernel/core_pattern', {}],
    ['net...kernel.core_pattern', {}],
  ])('refuses the sysctl %s with %j, which is not the pod’s own', (name, change) =>
    expect(() => planSandbox(sandboxConfig(uid, { sysctls: { [name]: '1' }, ...change }), paths)).toThrow(
      `set sysctl ${name}: not of a namespace of the pod's own`,
    ),
  );

  it('hands controllers down that containers will have before a process of the sandbox lives below', () => {
    const { cgroups } = planSandbox(sandboxConfig(uid, { resources: { hugePages: { '2MB': 0 } } }), paths);
    expect(cgroups.map(({ resources }) => controllersFor(resources).includes('hugetlb'))).toEqual([
      true,
      true,
    ]);
    expect(cgroups.at(-1)?.resources).toEqual({ hugePages: {} });
  });

  it('decides everything of an ordinary pod', () => {
    expect(planSandbox(sandboxConfig(uid, { sysctls: { 'net.ipv4.ip_forward': '1' } }), paths))
      .toMatchInlineSnapshot(`
        {
          "cgroups": [
            {
              "path": "kubepods/besteffort/pod11111111-2222-3333-4444-555555555555",
              "resources": {},
            },
            {
              "path": "kubepods/besteffort/pod11111111-2222-3333-4444-555555555555/sup",
              "resources": {},
            },
          ],
          "id": "18eeecfe0cde05589b9201037c938ca8d39f16c350905dc9acaaee2e69669656",
          "netnsPath": "/run/p/netns/18eeecfe0cde0558",
          "network": {
            "netnsPath": "/run/p/netns/18eeecfe0cde0558",
            "podName": "pod-11111111-2222-3333-4444-555555555555",
            "podNamespace": "default",
            "podUid": "11111111-2222-3333-4444-555555555555",
            "portMappings": [],
            "sandboxId": "18eeecfe0cde05589b9201037c938ca8d39f16c350905dc9acaaee2e69669656",
          },
          "podDirectory": "/run/p/pods/11111111-2222-3333-4444-555555555555",
          "sharedMemory": {
            "path": "/run/p/pods/11111111-2222-3333-4444-555555555555/shm",
            "sizeBytes": 67108864,
          },
          "supervisor": {
            "directory": "/run/p/pods/11111111-2222-3333-4444-555555555555/s0",
            "hostname": "pod-11111111-2222-3333-4444-555555555555",
            "ids": undefined,
            "ipcNamespace": true,
            "netns": "/run/p/netns/18eeecfe0cde0558",
            "pidNamespace": false,
            "sysctls": {
              "net.ipv4.ip_forward": "1",
            },
          },
          "supervisorCgroup": "kubepods/besteffort/pod11111111-2222-3333-4444-555555555555/sup",
        }
      `);
  });

  it.each([
    [
      { hostNetwork: true },
      { netnsPath: undefined, network: undefined, supervisor: { netns: undefined, hostname: undefined } },
    ],
    [{ hostIpc: true }, { sharedMemory: undefined, supervisor: { ipcNamespace: false } }],
    [{ sharePidNamespace: true }, { supervisor: { pidNamespace: true } }],
    [{ sharePidNamespace: true, hostPid: true }, { supervisor: { pidNamespace: false } }],
    [{ attempt: 3 }, { supervisor: { directory: `/run/p/pods/${uid}/s3` } }],
  ])('%j', (change, want) => {
    expect(planSandbox(sandboxConfig(uid, change), paths)).toMatchObject(want);
  });

  it('another attempt is another sandbox', () => {
    const ids = [0, 1].map((attempt) => planSandbox(sandboxConfig(uid, { attempt }), paths).id);
    expect(new Set(ids).size).toBe(2);
  });

  it.each(['', '..', '../x', 'a/b', 'x'.repeat(65)])('refuses the uid %j', (bad) => {
    expect(() => planSandbox(sandboxConfig(bad), paths)).toThrow('is not a pod uid');
  });
});

describe('planContainer(): devices', () => {
  const device = (path: string, minor: number): ContainerContext['hostDevices'][number] => ({
    path,
    type: 'c',
    major: 10,
    minor,
    mode: 0o660,
    uid: 0,
    gid: 5,
  });
  const hostDevices = [
    device('/dev/fuse', 229),
    device('/dev/net/tun', 200),
    device('/dev/loop-control', 237),
  ];
  const tun: Device = { type: 'c', major: 10, minor: 200 };

  it('gives a privileged container all of the host, but where it mounts something itself', () => {
    const security = { ...container().security, privileged: true };
    const mounts = [{ type: 'bind', source: '/x', target: '/dev/net/', options: ['rbind'] }] as const;
    const plan = planContainer(container({ security, mounts }), context({ hostDevices }));
    expect(plan.launch.devices.map(({ path }) => path)).toEqual(['/dev/fuse', '/dev/loop-control']);
    expect(mayOpen(plan.cgroup.devices, tun, allAccess)).toBe(true);
    const whole = [{ type: 'bind', source: '/dev', target: '/dev', options: ['rbind'] }] as const;
    const hosts = planContainer(container({ security, mounts: whole }), context({ hostDevices }));
    expect(hosts.launch.devices).toEqual([]);
  });

  it('gives another its own, to make and to open', () => {
    const plan = planContainer(container({ devices: [device('/dev/own', 200)] }), context({ hostDevices }));
    expect(plan.launch.devices.map(({ path }) => path)).toEqual(['/dev/own']);
    expect(mayOpen(plan.cgroup.devices, tun, allAccess)).toBe(true);
    expect(mayOpen(planContainer(container(), context()).cgroup.devices, tun, DEVICE_ACCESS.r)).toBe(false);
  });

  it('takes devices from file systems where nobody looks at what is opened', () => {
    const plan = planContainer(container(), context({ isDeviceFiltered: false }));
    expect(plan.launch.security.nodev).toBe(true);
    expect(planContainer(container(), context()).launch.security.nodev).toBeUndefined();
  });
});

describe('planContainer()', () => {
  it('shifts the ids of what it mounts, and knows no id beyond them', () => {
    const ids = { first: 131_072, count: 65_536 };
    const users = context({ sandbox: sandboxConfig(uid, { ids }) });
    const bind = { type: 'bind', source: '/v', target: '/v', options: ['rbind'] } as const;
    const { launch } = planContainer(container({ mounts: [bind] }), users);
    expect(launch.ids).toEqual(ids);
    const shifted = launch.mounts.filter(({ isIdMapped }) => isIdMapped === true).map(({ target }) => target);
    expect(shifted).toEqual(['/v']);
    const beyond = container({ user: { uid: 70_000, fsGroups: [] } });
    expect(() => planContainer(beyond, users)).toThrow(
      "run main with id 70000: the pod's user namespace has the ids 0 to 65535",
    );
  });

  it('decides everything of an ordinary container', () => {
    const plan = planContainer(container(), context());
    const devices = renderDeviceRules(normaliseDeviceRules(plan.cgroup.devices));
    expect({ ...plan, cgroup: { ...plan.cgroup, devices } }).toMatchInlineSnapshot(`
      {
        "cgroup": {
          "devices": "c 1:3 rwm, c 1:5 rwm, c 1:7 rwm, c 1:8 rwm, c 1:9 rwm, c 5:0 rwm, c 5:2 rwm, c 136:* rwm, otherwise b m, c m",
          "path": "kubepods/podX/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
          "resources": {},
        },
        "id": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
        "launch": {
          "args": [
            "/entry",
            "cmd",
          ],
          "cwd": "/",
          "devices": [],
          "env": [
            "PATH=/bin",
            "HOSTNAME=web-0",
            "A=image",
            "HOME=/root",
          ],
          "ids": undefined,
          "mounts": [
            {
              "options": [
                "nosuid",
                "nodev",
                "noexec",
              ],
              "source": "proc",
              "target": "/proc",
              "type": "proc",
            },
            {
              "data": "mode=755,size=65536k",
              "options": [
                "nosuid",
                "strictatime",
              ],
              "source": "tmpfs",
              "target": "/dev",
              "type": "tmpfs",
            },
            {
              "data": "newinstance,ptmxmode=0666,mode=0620,gid=5",
              "options": [
                "nosuid",
                "noexec",
              ],
              "source": "devpts",
              "target": "/dev/pts",
              "type": "devpts",
            },
            {
              "options": [
                "nosuid",
                "nodev",
                "noexec",
              ],
              "source": "mqueue",
              "target": "/dev/mqueue",
              "type": "mqueue",
            },
            {
              "options": [
                "nosuid",
                "nodev",
                "noexec",
                "ro",
              ],
              "source": "sysfs",
              "target": "/sys",
              "type": "sysfs",
            },
            {
              "options": [
                "rbind",
                "nosuid",
                "nodev",
                "noexec",
              ],
              "source": "/run/p/pods/11111111-2222-3333-4444-555555555555/shm",
              "target": "/dev/shm",
              "type": "bind",
            },
            {
              "options": [
                "nosuid",
                "noexec",
                "nodev",
                "relatime",
                "ro",
              ],
              "source": "cgroup",
              "target": "/sys/fs/cgroup",
              "type": "cgroup2",
            },
          ],
          "oomScoreAdj": 0,
          "pidNamespace": "private",
          "rlimits": [],
          "root": {
            "kind": "overlay",
            "lower": [
              "/layers/b",
              "/layers/a",
            ],
            "make": {
              "directory": "/var/lib/p/containers/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
              "gid": 7,
              "mode": 1005,
              "uid": 0,
            },
            "merged": "/run/p/pods/11111111-2222-3333-4444-555555555555/s0",
            "upper": "/var/lib/p/containers/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc/upper",
            "work": "/var/lib/p/containers/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc/work",
          },
          "security": {
            "capabilities": [
              "CAP_CHOWN",
              "CAP_NET_BIND_SERVICE",
              "CAP_SETUID",
              "CAP_SETGID",
              "CAP_KILL",
            ],
            "maskedPaths": [
              "/proc/kcore",
              "/sys/firmware",
            ],
            "noNewPrivileges": false,
            "privileged": false,
            "readonlyPaths": [
              "/proc/sys",
            ],
            "readonlyRoot": false,
            "seccomp": "unconfined",
          },
          "sysctls": {},
          "user": {
            "additionalGids": [
              0,
            ],
            "gid": 0,
            "uid": 0,
          },
        },
        "stdio": {
          "logPath": "/logs/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.log",
          "stdin": false,
          "stdinOnce": false,
          "tty": false,
        },
        "stopSignal": 15,
        "volumes": [],
      }
    `);
  });

  const commands: readonly (readonly [readonly string[], readonly string[], readonly string[]])[] = [
    [[], [], ['/entry', 'cmd']],
    [[], ['arg'], ['/entry', 'arg']],
    [['/own'], [], ['/own']],
    [['/own'], ['arg'], ['/own', 'arg']],
  ];
  it.each(commands)('command %j with args %j runs %j', (command, args, want) => {
    expect(planContainer(container({ command, args }), context()).launch.args).toEqual(want);
  });

  it('refuses a container without a command', () => {
    const image = { Entrypoint: null, Cmd: null };
    expect(() => planContainer(container(), context({ image }))).toThrow('no command specified');
  });

  const bind = (target: string, source = '/v'): LaunchMount => ({
    type: 'bind',
    source,
    target,
    options: ['rbind'],
  });
  it.each([
    ['/proc', '/v', '"/proc" cannot be mounted because it is not of type proc'],
    ['/proc/self/attr', '/v', '"/proc/self/attr" cannot be mounted because it is inside /proc'],
    ['/a/../proc//sys/', '/v', '"/proc/sys" cannot be mounted because it is inside /proc'],
    ['proc/1', '/v', '"/proc/1" cannot be mounted because it is inside /proc'],
  ])('planContainer() refuses a mount at %s', (target, source, want) => {
    expect(() => planContainer(container({ mounts: [bind(target, source)] }), context())).toThrow(want);
  });

  it.each([
    ['/proc', '/proc'],
    ['/proc/meminfo', '/v'],
    ['/procedures', '/v'],
    ['/a:b', '/v'],
  ])('planContainer() takes a mount at %s from %s', (target, source) => {
    const { launch } = planContainer(container({ mounts: [bind(target, source)] }), context());
    expect(launch.mounts).toContainEqual(bind(target, source));
  });

  it('mounts parents before what is below them, else in the order given', () => {
    const given = ['/a/b/c', '/x/y/', '/a//b', '/etc/hosts', '/etc', '//a', '/d', '/a/./b/e'];
    const { launch } = planContainer(container({ mounts: given.map((target) => bind(target)) }), context());
    const made = launch.mounts.filter(({ source }) => source === '/v').map(({ target }) => target);
    expect(made).toEqual(['/etc', '//a', '/d', '/x/y/', '/a//b', '/etc/hosts', '/a/b/c', '/a/./b/e']);
  });

  it('lays the environment of the pod over the image, and a terminal over neither', () => {
    const env = [
      { name: 'A', value: 'pod' },
      { name: 'HOME', value: '/mine' },
    ];
    const stdio = { logPath: undefined, stdin: true, stdinOnce: false, tty: true };
    expect(planContainer(container({ env, stdio }), context()).launch.env).toEqual([
      'PATH=/bin',
      'TERM=xterm',
      'HOSTNAME=web-0',
      'A=pod',
      'HOME=/mine',
    ]);
  });

  it('a mount of the pod replaces the default at the same place', () => {
    const mounts = [{ type: 'tmpfs', source: 'tmpfs', target: '/dev/shm/', options: [] }] as const;
    const targets = planContainer(container({ mounts }), context()).launch.mounts.map(
      (mount) => mount.target,
    );
    expect(targets.filter((target) => target.startsWith('/dev/shm'))).toEqual(['/dev/shm/']);
  });

  it('privileged containers get /sys and /sys/fs/cgroup writable', () => {
    const security = { ...container().security, privileged: true };
    const { mounts } = planContainer(container({ security }), context()).launch;
    expect(
      mounts.filter((mount) => mount.target.startsWith('/sys')).map((mount) => mount.options.at(-1)),
    ).toEqual(['rw', 'rw']);
  });

  it.each([
    [{ hostPid: true, sharePidNamespace: true }, 'host'],
    [{ sharePidNamespace: true }, 'pod'],
    [{}, 'private'],
  ] as const)('pid namespace of %j is %s', (sandbox, want) => {
    expect(planContainer(container(), context({ sandbox })).launch.pidNamespace).toBe(want);
  });

  it.each([
    [{ hostPid: true }, 'host'],
    [{ sharePidNamespace: true }, 'pod'],
    [{}, { ofPid: 77 }],
  ] as const)('pid namespace of a container with a target, in %j, is %j', (sandbox, want) => {
    const { launch } = planContainer(container({ pidTarget: 'id' }), context({ sandbox, targetPid: 77 }));
    expect(launch.pidNamespace).toEqual(want);
  });

  it('refuses a target that does not run', () => {
    const plan = (): unknown => planContainer(container({ pidTarget: 'id' }), context());
    expect(plan).toThrow('run main: the container of its pid namespace does not run');
  });

  it('takes working directory and stop signal from the pod, else the image', () => {
    const image = { WorkingDir: '/srv', StopSignal: 'SIGQUIT' };
    expect(planContainer(container(), context({ image }))).toMatchObject({
      launch: { cwd: '/srv' },
      stopSignal: 3,
    });
    const own = container({ workingDir: '/own', stopSignal: 'SIGUSR1' });
    expect(planContainer(own, context({ image }))).toMatchObject({ launch: { cwd: '/own' }, stopSignal: 10 });
  });
});

describe('signalNumber()', () => {
  it.each([
    ['SIGTERM', 15],
    ['term', 15],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['RTMIN', 34],
    ['SIGRTMAX-2', 62],
    ['SIGCLD', 17],
  ] as const)('%s is %i', (text, want) => {
    expect(signalNumber(text)).toBe(want);
  });

  it.each(['SIGFOO', '0', '65', 'RTMIN+99', ''])('refuses %j', (text) => {
    expect(() => signalNumber(text)).toThrow('no such signal');
  });
});

describe('resolveUser()', () => {
  it('leaves out the groups of the image under supplementalGroupsPolicy Strict', () => {
    const accounts = parseAccounts('web:x:5:6::/:/bin/sh', 'more:x:7:web');
    const asked = { uid: 5, additionalGids: [9], fsGroups: [] };
    expect(resolveUser(asked, '', accounts).additionalGids).toEqual([6, 7, 9]);
    expect(resolveUser({ ...asked, leavesImageGroups: true }, '', accounts).additionalGids).toEqual([6, 9]);
  });

  const none = { fsGroups: [] };
  it.each([
    ['the image names nobody', none, '', { uid: 0, gid: 0, home: '/root' }],
    ['a name', none, 'web', { uid: 33, gid: 34, additionalGids: [34, 40], home: '/srv' }],
    ['a number with an account', none, '33', { uid: 33, gid: 34, additionalGids: [34, 40] }],
    ['a number without one', none, '1000', { uid: 1000, gid: 0, home: '/' }],
    ['a name and a group', none, 'web:logs', { uid: 33, gid: 40 }],
    ['numbers', none, '5:6', { uid: 5, gid: 6 }],
    [
      'runAsUser over the image',
      { uid: 1000, fsGroups: [] },
      'web:logs',
      { uid: 1000, gid: 0, additionalGids: [0] },
    ],
    [
      'runAsGroup over all',
      { gid: 9, fsGroups: [] },
      'web:logs',
      { uid: 33, gid: 9, additionalGids: [9, 40] },
    ],
    ['further groups', { additionalGids: [7], fsGroups: [5] }, 'web', { additionalGids: [5, 7, 34, 40] }],
  ])('%s', (_name, asked, imageUser, want) => {
    expect(resolveUser(asked, imageUser, accounts)).toMatchObject(want);
  });

  it('refuses names that the image does not know', () => {
    expect(() => resolveUser(none, 'nobody', accounts)).toThrow("not in the image's /etc/passwd");
    expect(() => resolveUser(none, 'web:nogroup', accounts)).toThrow("not in the image's /etc/group");
  });
});

describe('nonRootRefusal()', () => {
  it.each([
    ['', undefined, 'container has runAsNonRoot and image will run as root'],
    ['0:5', undefined, 'container has runAsNonRoot and image will run as root'],
    ['web', undefined, 'non-numeric user (web)'],
    ['33', undefined, undefined],
    ['', 1000, undefined],
    ['33', 0, 'breaks non-root policy'],
  ] as const)('image user %j, runAsUser %j: %s', (imageUser, askedUid, want) => {
    const refusal = nonRootRefusal(
      { ...(askedUid === undefined ? {} : { uid: askedUid }), fsGroups: [] },
      imageUser,
    );
    if (want === undefined) expect(refusal).toBeUndefined();
    else expect(refusal).toContain(want);
  });
});
