/** Fields of pods that only a whole node shows to work, and those that it refuses. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isAppArmorEnabled } from '#agent/node/apparmor.ts';
import type { ContainerState, Pod, PodSpec } from '#api/generated/objects.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';

describe.skipIf(!canRun)('fields of pods under podwright up (needs kubectl)', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster();
    // What is not there is looked for every 20 s; what is, is watched.
    mkdirSync(join(cluster.dataDir, 'node-1', 'static-pods'), { recursive: true });
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  const create = async (name: string, spec: PodSpec): Promise<void> => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { terminationGracePeriodSeconds: 1, ...spec },
    };
    await cluster.must('create -f -', { input: JSON.stringify(pod) });
  };
  const get = async (name: string): Promise<Pod> => JSON.parse(await cluster.must(`get pod ${name} -o json`));
  const inPhase = (name: string, phase: string): Promise<Pod> =>
    eventually(`pod ${name} ${phase}`, async () => {
      const pod = await get(name);
      return pod.status?.phase === phase ? pod : undefined;
    });

  it('resizes a pod in place, and says why not', async () => {
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    const resources = { requests: { cpu: '10m' }, limits: { cpu: '200m', memory: '64Mi' } };
    await create('resized', {
      containers: [{ name: 'c', image, command: ['sleep', '3600'], resources, resizePolicy }],
    });
    await inPhase('resized', 'Running');
    const resize = (amounts: string): Promise<string> =>
      cluster.must(
        `patch pod resized --subresource resize -p '{"spec":{"containers":[{"name":"c","resources":${amounts}}]}}'`,
      );
    const has = (what: string, cpu: string, memory: string, restarts: number): Promise<true> =>
      eventually(what, async () => {
        const [status] = (await get('resized')).status?.containerStatuses ?? [];
        const limits = status?.resources?.limits;
        const isSo =
          limits?.['cpu'] === cpu && limits['memory'] === memory && status?.restartCount === restarts;
        return isSo || undefined;
      });
    await resize('{"limits":{"cpu":"300m"}}');
    await has('more cpu', '300m', '64Mi', 0);
    await resize('{"limits":{"memory":"96Mi"}}');
    await has('more memory, after a restart', '300m', '96Mi', 1);
    await resize('{"requests":{"cpu":"900"},"limits":{"cpu":"900"}}');
    const pending = await eventually('PodResizePending', async () =>
      (await get('resized')).status?.conditions?.find(({ type }) => type === 'PodResizePending'),
    );
    expect(pending).toMatchObject({ status: 'True', reason: 'Infeasible' });
  });

  it('resizes a pod as a whole, with what has its limits', async () => {
    const limits = (cpu: string, memory: string): object => ({ limits: { cpu, memory } });
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    const sleeps = { image, command: ['sleep', '3600'] };
    const own = { name: 'own', ...sleeps, resizePolicy, resources: limits('50m', '16Mi') };
    await create('whole', {
      resources: { requests: { cpu: '60m', memory: '32Mi' }, ...limits('200m', '64Mi') },
      containers: [{ name: 'all', ...sleeps, resizePolicy }, own],
    });
    await inPhase('whole', 'Running');
    await cluster.must(
      `patch pod whole --subresource resize -p '{"spec":{"resources":{"limits":{"memory":"96Mi"}}}}'`,
    );
    const status = await eventually('a larger pod', async () => {
      const { status: told } = await get('whole');
      const [all] = told?.containerStatuses ?? [];
      return told?.resources?.limits?.['memory'] === '96Mi' && all?.restartCount === 1 ? told : undefined;
    });
    expect(status.resources).toMatchObject(limits('200m', '96Mi'));
    expect(status.allocatedResources).toMatchObject({ cpu: '60m', memory: '32Mi' });
    expect(status.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([1, 0]);
    expect(status.conditions?.some(({ type }) => type.startsWith('PodResize'))).toBe(false);
  });

  it('is root of a user namespace alone, with its files on every kind of volume', async () => {
    await cluster.must('create configmap of-users --from-literal=key=value');
    const script = [
      'cat /proc/self/uid_map | tr -s " "',
      'id -u',
      'cat /c/key /etc/hostname; echo',
      'stat -c %u / /c/key /e /etc/hosts /var/run/secrets/kubernetes.io/serviceaccount/token | tr "\\n" " "',
      'echo x > /e/own; echo x > /own; chown 1000 /e/own; stat -c %u /e/own',
      'nc -l -p 80 -e true & sleep 1; kill $! && echo bound',
      'echo done',
      'sleep 3600',
    ].join('; ');
    await create('users', {
      hostUsers: false,
      volumes: [
        { name: 'e', emptyDir: {} },
        { name: 'c', configMap: { name: 'of-users' } },
      ],
      containers: [
        {
          name: 'c',
          image,
          command: ['sh', '-c', script],
          volumeMounts: [
            { name: 'e', mountPath: '/e' },
            { name: 'c', mountPath: '/c' },
          ],
        },
      ],
    });
    await inPhase('users', 'Running');
    const log = await eventually('its log', async () => {
      const text = await cluster.must('logs users');
      return text.includes('done') ? text : undefined;
    });
    expect(log).toMatch(/^ ?0 \d{7,} 65536\n0\nvalueusers\n\n0 0 0 0 0 1000\nbound\ndone\n$/);
    expect(await cluster.must('exec users -- cat /proc/self/uid_map')).toMatch(/^ *0 +\d{7,} +65536\n$/);
    const first = Number(/^ ?0 (\d+)/.exec(log)?.[1]);
    const uids = await cluster.inHost('node-1', [
      'sh',
      '-c',
      'grep -h ^Uid: /proc/[0-9]*/status 2>/dev/null',
    ]);
    expect(uids.stdout).toContain(`Uid:\t${first}\t${first}`);
  });

  it('makes the system calls that a profile of the node allows', async () => {
    const directory = join(cluster.dataDir, 'node-1', 'seccomp');
    mkdirSync(join(directory, 'profiles'), { recursive: true });
    const refusing = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
    };
    writeFileSync(join(directory, 'profiles/no-mkdir.json'), JSON.stringify(refusing));
    const confined = (localhostProfile: string): PodSpec => ({
      restartPolicy: 'Never',
      securityContext: { seccompProfile: { type: 'Localhost', localhostProfile } },
      containers: [
        { name: 'c', image, command: ['sh', '-c', 'mkdir /tmp/x; grep Seccomp: /proc/self/status'] },
      ],
    });
    await create('confined', confined('profiles/no-mkdir.json'));
    await create('profile-missing', confined('profiles/none.json'));
    await inPhase('confined', 'Succeeded');
    const log = await cluster.must('logs confined');
    expect(log).toContain('No space left on device');
    expect(log).toContain('Seccomp:\t2');
    const waiting = await eventually('why it does not start', async () => {
      const [status] = (await get('profile-missing')).status?.containerStatuses ?? [];
      return status?.state?.waiting?.reason === 'CreateContainerConfigError'
        ? status.state.waiting
        : undefined;
    });
    expect(waiting.message).toContain('load seccomp profile "profiles/none.json": no such file');
  });

  it('runs the pods of a directory, and shows them again when somebody deletes what shows them', async () => {
    const directory = join(cluster.dataDir, 'node-1', 'static-pods');
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'of-file' },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'c', image, command: ['sleep', '3600'] }],
      },
    };
    writeFileSync(join(directory, 'of-file.yaml'), JSON.stringify(manifest));
    const shown = (): Promise<Pod> =>
      eventually('its mirror runs', async () => {
        const { code, stdout } = await cluster.kubectl('get pod of-file-node-1 -o json');
        const pod: Pod | undefined = code === 0 ? JSON.parse(stdout) : undefined;
        return pod?.status?.phase === 'Running' ? pod : undefined;
      });
    const before = await shown();
    await cluster.must('delete pod of-file-node-1 --wait=false');
    const after = await eventually('another mirror', async () => {
      const pod = await shown();
      return pod.metadata?.uid === before.metadata?.uid ? undefined : pod;
    });
    const idOf = (pod: Pod): string | undefined => pod.status?.containerStatuses?.[0]?.containerID;
    expect(idOf(after)).toBe(idOf(before));
    expect(await cluster.must('exec of-file-node-1 -- echo here')).toBe('here\n');
    rmSync(join(directory, 'of-file.yaml'));
    await eventually(
      'it goes with its file',
      async () => (await cluster.kubectl('get pod of-file-node-1')).code !== 0,
    );
  });

  it('takes variables from a file that an init container wrote', async () => {
    const fileKeyRef = { volumeName: 'v', path: 'a.env', key: 'A' };
    await create('env-file', {
      restartPolicy: 'Never',
      volumes: [{ name: 'v', emptyDir: {} }],
      initContainers: [
        {
          name: 'write',
          image,
          command: ['sh', '-c', `echo "A='one two'" > /v/a.env`],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        },
      ],
      containers: [
        {
          name: 'c',
          image,
          command: ['sh', '-c', 'echo "$A"'],
          env: [{ name: 'A', valueFrom: { fileKeyRef } }],
        },
      ],
    });
    await inPhase('env-file', 'Succeeded');
    expect(await cluster.must('logs env-file -c c')).toBe('one two\n');
  });

  it('has the logs of its pods where collectors look for them', async () => {
    await create('chatty', {
      restartPolicy: 'Never',
      containers: [{ name: 'c', image, command: ['echo', 'a line'] }],
    });
    await inPhase('chatty', 'Succeeded');
    await create('collector', {
      restartPolicy: 'Never',
      volumes: [{ name: 'log', hostPath: { path: '/var/log' } }],
      containers: [
        {
          name: 'c',
          image,
          command: [
            'sh',
            '-c',
            'ls /var/log; cat /var/log/pods/*_chatty_*/c/0.log /var/log/containers/chatty_*_c-*.log',
          ],
          volumeMounts: [{ name: 'log', mountPath: '/var/log', readOnly: true }],
        },
      ],
    });
    await inPhase('collector', 'Succeeded');
    expect(await cluster.must('logs collector')).toMatch(/^containers\npods\n(\S+Z stdout F a line\n){2}$/);
  });

  it('mounts read-only all the way down', async () => {
    await create('read-only', {
      restartPolicy: 'Never',
      volumes: [{ name: 'run', hostPath: { path: '/run' } }],
      containers: [
        {
          name: 'c',
          image,
          command: ['sh', '-c', 'grep " /host" /proc/self/mountinfo'],
          volumeMounts: [{ name: 'run', mountPath: '/host', readOnly: true, recursiveReadOnly: 'Enabled' }],
        },
      ],
    });
    const { status } = await inPhase('read-only', 'Succeeded');
    expect(status?.containerStatuses?.[0]?.volumeMounts).toMatchObject([
      { recursiveReadOnly: 'Enabled' },
      {},
    ]);
    // The node's own tmpfs is below /run.
    const mounts = (await cluster.must('logs read-only')).trim().split('\n');
    expect(mounts.length).toBeGreaterThan(1);
    expect(mounts.filter((line) => !line.split(' ')[5]?.split(',').includes('ro'))).toEqual([]);
  });

  it('shares what a privileged container mounts, and finds a path that a variable is part of', async () => {
    const mount = { name: 'v', mountPath: '/v' };
    const env = [{ name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
    const shared = { ...mount, mountPropagation: 'Bidirectional' } as const;
    const seen = { ...mount, mountPropagation: 'HostToContainer', readOnly: true } as const;
    const own = { ...mount, mountPath: '/own', subPathExpr: 'of-$(NAME)' };
    const [made, made_] = [
      'mkdir -p /v/in && mount -t tmpfs tmpfs /v/in && touch /v/in/file',
      'umount /v/in',
    ];
    await create('shared', {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        {
          ...{ name: 'mounts', image, command: ['sh', '-c', `${made}; sleep 3600`] },
          securityContext: { privileged: true },
          volumeMounts: [shared],
          lifecycle: { preStop: { exec: { command: ['sh', '-c', made_] } } },
        },
        { ...{ name: 'sees', image, command: ['sleep', '3600'], env }, volumeMounts: [seen, own] },
      ],
    });
    await inPhase('shared', 'Running');
    const has = async (container: string): Promise<boolean> =>
      (await cluster.kubectl(`exec shared -c ${container} -- test -e /v/in/file`)).code === 0;
    await eventually('the mount is seen', async () => has('sees'));
    await cluster.must('exec shared -c sees -- touch /own/file');
    await cluster.must('exec shared -c mounts -- test -e /v/of-shared/file');
    const statuses = (await get('shared')).status?.containerStatuses ?? [];
    const sees = statuses.find(({ name }) => name === 'sees');
    expect(sees?.volumeMounts).toContainEqual({
      ...{ name: 'v', mountPath: '/v', readOnly: true, recursiveReadOnly: 'Disabled' },
    });
    await cluster.must('delete pod shared --wait=true');
  });

  it('has mounts go from whom to whom the propagation says (upstream: mount_propagation.go)', async () => {
    const modes = { master: 'Bidirectional', slave: 'HostToContainer', private: 'None', default: undefined };
    const names = Object.keys(modes);
    for (const [name, mountPropagation] of Object.entries(modes)) {
      const mount = { name: 'v', mountPath: '/mnt', ...(mountPropagation && { mountPropagation }) };
      await create(name, {
        nodeName: 'node-1',
        volumes: [{ name: 'v', hostPath: { path: '/run/propagated', type: 'DirectoryOrCreate' } }],
        containers: [
          {
            ...{ name: 'c', image, command: ['sleep', '3600'], volumeMounts: [mount] },
            securityContext: { privileged: true },
          },
        ],
      } as PodSpec);
    }
    for (const name of names) await inPhase(name, 'Running');
    const making = (root: string, name: string): string =>
      `mkdir -p ${root}/${name} && mount -t tmpfs x ${root}/${name} && touch ${root}/${name}/file`;
    const up = JSON.parse(readFileSync(join(cluster.dataDir, 'up.json'), 'utf8'));
    const holder = up.hosts.find((host: { readonly name: string }) => host.name === 'node-1').pid;
    for (const name of names) await cluster.must(`exec ${name} -- sh -c '${making('/mnt', name)}'`);
    const onNode = (script: string): string =>
      execFileSync('nsenter', ['-t', String(holder), '-m', 'sh', '-c', script], { encoding: 'utf8' });
    onNode(making('/run/propagated', 'host'));
    const files = (root: string): string =>
      `for name in ${[...names, 'host'].join(' ')}; do test -e ${root}/$name/file && echo $name; done; true`;
    const seen = async (name: string): Promise<string> =>
      (await cluster.must(`exec ${name} -- sh -c '${files('/mnt')}'`)).trim().replaceAll('\n', ' ');
    try {
      expect(await seen('master')).toBe('master host');
      expect(await seen('slave')).toBe('master slave host');
      expect(await seen('private')).toBe('private');
      expect(await seen('default')).toBe('default');
      expect(onNode(files('/run/propagated')).trim().replaceAll('\n', ' ')).toBe('master host');
    } finally {
      onNode('umount /run/propagated/master /run/propagated/host');
      await cluster.must(`delete pod ${names.join(' ')} --wait=true`);
    }
  });

  it('mounts the files of images, and says of a container why those that it mounts are not there', async () => {
    const mount = { name: 'files', mountPath: '/files' };
    const script = 'cat /one; /files/www/cgi-bin/index.cgi; touch /files/x; exit 0';
    const container = { image, command: ['sh', '-c', `exec 2>&1; ${script}`] };
    await create('image-volume', {
      restartPolicy: 'Never',
      volumes: [{ name: 'files', image: { reference: image } }],
      containers: [
        {
          ...container,
          name: 'c',
          volumeMounts: [mount, { name: 'files', mountPath: '/one', subPath: 'www/cgi-bin/index.cgi' }],
        },
      ],
    });
    const { status } = await inPhase('image-volume', 'Succeeded');
    expect(await cluster.must('logs image-volume')).toMatch(/Hello from image-volume.*Read-only file/is);
    const [run] = status?.containerStatuses ?? [];
    const imageStatus = { image: { imageRef: run?.imageID } };
    expect(run?.volumeMounts).toContainEqual({ ...mount, volumeStatus: imageStatus });
    await create('no-image', {
      restartPolicy: 'Never',
      volumes: [{ name: 'files', image: { reference: 'example.com/none:1', pullPolicy: 'Never' } }],
      containers: [
        { ...container, name: 'c', volumeMounts: [mount] },
        { name: 'other', image, command: ['true'] },
      ],
    });
    const waiting = await eventually('why it waits', async () => {
      const [first, other] = (await get('no-image')).status?.containerStatuses ?? [];
      return other?.state?.terminated === undefined ? undefined : first?.state?.waiting;
    });
    const message = 'Container image "example.com/none:1" is not present with pull policy of Never';
    expect(waiting).toEqual({ reason: 'ErrImageNeverPull', message });
  });

  it('starts a container again by its own rule, under a pod that never does', async () => {
    await create('rule', {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'c',
          image,
          command: ['sh', '-c', 'exit 42'],
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        },
      ],
    });
    await eventually('a restart', async () => {
      const [status] = (await get('rule')).status?.containerStatuses ?? [];
      return (status?.restartCount ?? 0) > 0 || undefined;
    });
  });

  it('shows a debug container the processes of its target, and ends it with that', async () => {
    const command = ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done'];
    await create('watched', { restartPolicy: 'Never', containers: [{ name: 'c', image, command }] });
    await inPhase('watched', 'Running');
    await cluster.must(`debug watched --image=${image} --target=c -c d -- sh -c "ps; exec sleep 3600"`);
    const debugState = async (): Promise<ContainerState | undefined> =>
      (await get('watched')).status?.ephemeralContainerStatuses?.[0]?.state;
    await eventually('the debug container', async () => (await debugState())?.running);
    const seen = await eventually('its output', async () => {
      const text = await cluster.must('logs watched -c d');
      return text.includes('trap "exit 3" TERM') ? text : undefined;
    });
    expect(seen).toMatch(/^ +1 .* sh -c trap/m);
    await cluster.must('exec watched -c d -- kill 1');
    const ended = await eventually('its end', async () => (await debugState())?.terminated);
    expect(ended).toMatchObject({ exitCode: 137, reason: 'Error' });
    const [target] = (await inPhase('watched', 'Failed')).status?.containerStatuses ?? [];
    expect(target?.state?.terminated).toMatchObject({ exitCode: 3 });
  });

  it('evicts a pod that writes more than its limit of local storage', async () => {
    const resources = { limits: { 'ephemeral-storage': '1Mi' } };
    const command = ['sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=3; sleep 3600'];
    await create('writer', {
      restartPolicy: 'Never',
      containers: [{ name: 'c', image, command, resources }],
    });
    const { status } = await inPhase('writer', 'Failed');
    expect(status).toMatchObject({ reason: 'Evicted' });
    expect(status?.message).toContain('exceeds the total limit of containers 1Mi');
  });

  it('says which command is not there, in a container and in kubectl exec', async () => {
    await create('typo', { restartPolicy: 'Never', containers: [{ name: 'c', image, command: ['xyz'] }] });
    const [status] = (await inPhase('typo', 'Failed')).status?.containerStatuses ?? [];
    const message = 'exec: "xyz": executable file not found in $PATH';
    expect(status?.state?.terminated).toMatchObject({ exitCode: 128, reason: 'StartError', message });
    await create('idle', { containers: [{ name: 'c', image, command: ['sleep', '3600'] }] });
    await inPhase('idle', 'Running');
    const result = await cluster.kubectl('exec idle -- xyz');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(message);
  });

  it.skipIf(isAppArmorEnabled())('refuses AppArmor where there is none, as the kubelet does', async () => {
    await create('apparmored', {
      containers: [{ name: 'c', image, securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }],
    });
    expect((await inPhase('apparmored', 'Failed')).status).toMatchObject({
      reason: 'AppArmor',
      message: 'Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host',
    });
  });
});
