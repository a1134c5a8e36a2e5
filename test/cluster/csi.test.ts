/** A driver of volumes that runs on the node, and `podwright csi` beside it: from a claim to a file, larger, copied, and nothing left. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import type { ToyState } from '#proto/csi/toy-driver.fixture.ts';
import { pidsOf } from './processes.ts';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';

const name = 'toy.csi.example.com';
const image = 'podwright/demo:1';
const canLoop = existsSync('/dev/loop-control') && existsSync('/usr/sbin/losetup');

describe.skipIf(!canTestClusters())('CSI (needs kubectl)', () => {
  let cluster: TestCluster;
  let kubelet: string;
  const children: ChildProcess[] = [];
  const output: string[] = [];
  const start = (command: readonly string[]): ChildProcess => {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (text: Buffer) => void output.push(text.toString()));
    children.push(child);
    return child;
  };
  const inNode = async (): Promise<readonly string[]> => {
    const pid = (await cluster.state()).hosts.find((host) => host.name === 'node-1')?.pid ?? 0;
    return ['nsenter', '-t', String(pid), '-m', '--'];
  };
  const startDriver = async (): Promise<ChildProcess> => {
    const socket = join(kubelet, 'plugins', name, 'csi.sock');
    mkdirSync(join(kubelet, 'plugins', name), { recursive: true });
    const registry = join(kubelet, 'plugins_registry', `${name}.sock`);
    const program = join(repositoryRoot, 'test/csi/toy-driver.ts');
    return start([
      ...(await inNode()),
      process.execPath,
      program,
      name,
      socket,
      join(cluster.dataDir, 'toy'),
      registry,
    ]);
  };
  const apply = (...objects: readonly object[]): Promise<string> =>
    cluster.must('apply -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) });
  const until = (what: string, path: string, value: string): Promise<string> =>
    cluster.must(`wait ${what} --for=jsonpath={${path}}=${value} --timeout=60s`);
  const claimOf = (claim: string, rest: object = {}): object => ({
    ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: claim } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'toy',
      resources: { requests: { storage: '1Mi' } },
      ...rest,
    },
  });
  const attributesOf = (attributes: string, parameters: object): object => ({
    ...{ apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttributesClass', metadata: { name: attributes } },
    ...{ driverName: name, parameters },
  });
  const podOf = (pod: string, claim: string, script: string): object => ({
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: pod } },
    spec: {
      ...{ terminationGracePeriodSeconds: 0, restartPolicy: 'Never' },
      containers: [
        { name: 'c', image, command: ['sh', '-c', script], volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      ],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: claim } }],
    },
  });
  const left = (): readonly string[] =>
    ['pods', 'plugins/kubernetes.io']
      .flatMap((below) =>
        existsSync(join(kubelet, below))
          ? readdirSync(join(kubelet, below), { recursive: true }).map(String)
          : [],
      )
      .filter(
        (one) =>
          !/^csi(\/volumeDevices(\/(staging|publish)(\/pvc-[^/]*)?)?)?$/.test(one) && one !== `csi/${name}`,
      );

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    kubelet = join(cluster.dataDir, 'node-1', 'kubelet');
    await startDriver();
    const program = [
      join(repositoryRoot, 'podwright'),
      'csi',
      '--endpoint',
      join(kubelet, 'plugins', name, 'csi.sock'),
    ];
    await eventually('the driver serves', async () => output.join('').includes('registered'));
    start([...program, '--kubeconfig', cluster.kubeconfig, '--no-lease']);
    await apply(
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'CSIDriver',
        metadata: { name },
        spec: { storageCapacity: true, fsGroupPolicy: 'File' },
      },
      {
        ...{
          apiVersion: 'storage.k8s.io/v1',
          kind: 'StorageClass',
          metadata: { name: 'toy' },
          provisioner: name,
        },
        ...{ volumeBindingMode: 'WaitForFirstConsumer', allowVolumeExpansion: true },
      },
    );
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await cluster?.[Symbol.asyncDispose]();
  });

  it('makes, attaches, mounts, enlarges, copies and takes back a volume', async () => {
    await apply(claimOf('one'), podOf('writer', 'one', 'echo hello > /v/file; sleep 600'));
    await until('pod writer', '.status.phase', 'Running').catch(async (error: unknown) => {
      throw new Error(
        `${String(error)}\n${(await cluster.kubectl('describe pod writer')).stdout}\n${(await cluster.kubectl('describe pvc one')).stdout}\n${output.join('')}`,
      );
    });
    const csiNode = JSON.parse(await cluster.must('get csinode node-1 -o json')) as { spec: object };
    expect(csiNode.spec).toMatchObject({
      drivers: [{ name, nodeID: 'toy-node', allocatable: { count: 8 } }],
    });
    expect(await cluster.must('get volumeattachments -o jsonpath={.items[*].status.attached}')).toBe('true');
    expect(await cluster.must('get node node-1 -o jsonpath={.status.volumesInUse}')).toContain(
      `kubernetes.io/csi/${name}^vol-pvc-`,
    );
    const volume = await cluster.must('get pvc one -o jsonpath={.spec.volumeName}');
    await eventually('the file is the driver’s', async () =>
      readFileSync(join(cluster.dataDir, 'toy/data', `vol-${volume}`, 'file'), 'utf8').includes('hello'),
    );
    await apply(attributesOf('fast', { iops: '100' }), attributesOf('odd', { iops: 'many' }));
    await cluster.must(`patch pvc one -p '{"spec":{"volumeAttributesClassName":"odd"}}'`);
    await until('pvc one', '.status.modifyVolumeStatus.status', 'Infeasible');
    await cluster.must(`patch pvc one -p '{"spec":{"volumeAttributesClassName":"fast"}}'`);
    await until('pvc one', '.status.currentVolumeAttributesClassName', 'fast');
    const state = JSON.parse(readFileSync(join(cluster.dataDir, 'toy/state.json'), 'utf8')) as ToyState;
    expect(state.volumes[`vol-${volume}`]?.attributes).toEqual({ iops: '100' });
    await cluster.must(`patch pvc one -p '{"spec":{"resources":{"requests":{"storage":"3Mi"}}}}'`);
    await until(`pv ${volume}`, '.spec.capacity.storage', '3Mi');
    await cluster.must('delete pod writer');
    await apply(
      claimOf('two', {
        dataSource: { kind: 'PersistentVolumeClaim', name: 'one' },
        resources: { requests: { storage: '3Mi' } },
      }),
      podOf('reader', 'two', 'grep hello /v/file'),
      podOf('again', 'one', 'grep hello /v/file'),
    );
    await until('pod reader', '.status.phase', 'Succeeded');
    await until('pod again', '.status.phase', 'Succeeded');
    await until('pvc one', '.status.capacity.storage', '3Mi');
    await cluster.must('delete pod reader again');
    await cluster.must('delete pvc one two');
    await cluster.kubectl('wait pv --all --for=delete --timeout=60s');
    await eventually(
      'nothing is attached',
      async () => (await cluster.must('get volumeattachments -o name')) === '',
    );
    expect(readdirSync(join(cluster.dataDir, 'toy/data'))).toEqual([]);
    expect(left()).toEqual([]);
    // Kept for as long as somebody has one of them.
    await cluster.must('delete vac fast odd');
  });

  it.skipIf(!canLoop)('gives a block to a container as a device, and takes it back', async () => {
    const script =
      'test -b /dev/xvda && echo raw | dd of=/dev/xvda conv=fsync && head -c 3 /dev/xvda | grep -q raw';
    const pod = podOf('raw', 'block', script) as {
      readonly spec: { readonly containers: readonly object[] };
    };
    const [container] = pod.spec.containers;
    const volumeDevices = [{ name: 'v', devicePath: '/dev/xvda' }];
    const containers = [{ ...container, volumeMounts: [], volumeDevices }];
    await apply(claimOf('block', { volumeMode: 'Block' }), { ...pod, spec: { ...pod.spec, containers } });
    await until('pod raw', '.status.phase', 'Succeeded');
    const volume = await cluster.must('get pvc block -o jsonpath={.spec.volumeName}');
    const file = join(cluster.dataDir, 'toy/data', `vol-${volume}.img`);
    expect(readFileSync(file).subarray(0, 3).toString()).toBe('raw');
    await cluster.must('delete pod raw');
    await eventually('no loop device has it', async () => (await run(['losetup', '-j', file])).stdout === '');
    rmSync(file);
    await cluster.must('delete pvc block');
    await cluster.kubectl('wait pv --all --for=delete --timeout=60s');
    expect(left()).toEqual([]);
  });

  it('takes a snapshot, makes a volume of it, and takes both back', async () => {
    const group = { apiVersion: 'snapshot.storage.k8s.io/v1' };
    await eventually('their kinds are there', async () => (await cluster.kubectl('get vsclass')).code === 0);
    await eventually('and all', async () => (await cluster.kubectl('get vs,vsc')).code === 0);
    await apply(
      {
        ...group,
        kind: 'VolumeSnapshotClass',
        metadata: { name: 'toy' },
        driver: name,
        deletionPolicy: 'Delete',
      },
      claimOf('origin'),
      podOf('source', 'origin', 'echo before > /v/file'),
    );
    await until('pod source', '.status.phase', 'Succeeded');
    await apply({
      ...{ ...group, kind: 'VolumeSnapshot', metadata: { name: 'shot' } },
      spec: { volumeSnapshotClassName: 'toy', source: { persistentVolumeClaimName: 'origin' } },
    });
    await until('volumesnapshot shot', '.status.readyToUse', 'true');
    expect(await cluster.must('get vs shot')).toMatch(
      /READYTOUSE.*SOURCEPVC.*\nshot\s+true\s+origin\s+(<none>\s+)?1Mi\s+toy/s, // Newer kubectls say where there is nothing.
    );
    const both = { ...group, kind: 'VolumeSnapshot', metadata: { name: 'bad' } };
    const source = { persistentVolumeClaimName: 'origin', volumeSnapshotContentName: 'x' };
    const refused = await cluster.kubectl('apply -f -', {
      input: JSON.stringify({ ...both, spec: { source } }),
    });
    expect(refused.stderr).toContain(
      'exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set',
    );
    const dataSource = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 'shot' };
    await apply(claimOf('restored', { dataSource }), podOf('reader', 'restored', 'grep before /v/file'));
    await until('pod reader', '.status.phase', 'Succeeded');
    await cluster.must('delete pod source reader');
    await cluster.must('delete vs shot');
    expect(await cluster.must('get vsc -o name')).toBe('');
    await cluster.must('delete pvc origin restored');
    await cluster.kubectl('wait pv --all --for=delete --timeout=60s');
    expect(readdirSync(join(cluster.dataDir, 'toy/data'))).toEqual([]);
  });

  it('loses nothing when driver and agent are killed', async () => {
    await apply(claimOf('three'), podOf('killed', 'three', 'echo x > /v/file; sleep 600'));
    await until('pod killed', '.status.phase', 'Running');
    children[0]?.kill('SIGKILL');
    for (const pid of pidsOf(new RegExp(`agent .*${cluster.dataDir}/node-1`))) process.kill(pid, 'SIGKILL');
    await startDriver();
    await cluster.must('delete pod/killed pvc/three');
    await cluster.kubectl('wait pv --all --for=delete --timeout=60s');
    expect(left()).toEqual([]);
    const mounts = await run([...(await inNode()), 'cat', '/proc/self/mountinfo']);
    expect(mounts.stdout.split('\n').filter((line) => line.includes('kubernetes.io~csi'))).toEqual([]);
  });
});
