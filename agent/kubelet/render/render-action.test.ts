import { describe, expect, test } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import type { Action } from './action.ts';
import { allocationOf } from '#agent/kubelet/allocation.ts';
import { containerId } from '#agent/kubelet/sync/container-view.ts';
import type { Intent } from '#agent/kubelet/sync/pod-input.ts';
import { renderAction, type ReadIntent } from './render-action.ts';
import type { RenderInput } from './render-input.ts';
import type { StartSources } from './render-start.ts';

const uid = 'u1';
const id = containerId(uid, 'c', 0);
const pod: Pod = {
  metadata: { uid, namespace: 'ns', name: 'p' },
  spec: {
    containers: [
      {
        name: 'c',
        image: 'busybox',
        env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
        lifecycle: { postStart: { exec: { command: ['a'] } }, preStop: { exec: { command: ['b'] } } },
        volumeMounts: [
          { name: 'v', mountPath: '/whole' },
          { name: 'v', mountPath: '/part', subPath: 'x' },
        ],
      },
    ],
    imagePullSecrets: [{ name: 'login' }],
  },
};
const input: RenderInput = {
  pod,
  allocated: allocationOf(pod),
  actual: {
    uid,
    namespace: 'ns',
    name: 'p',
    sandbox: { id: 's', attempt: 0, state: 'ready', createdAtMs: 0, ips: ['10.0.0.2'], netnsPath: '/n' },
    containers: [],
  },
  mounted: { byName: new Map([['v', { path: '/vol' }]]), refreshAtMs: undefined },
  volumeChanges: 3,
  node: {
    name: 'n',
    ips: ['192.0.2.1'],
    allocatable: { cpuMilli: 1000, memoryBytes: 1000, storageBytes: 1000 },
    memoryBytes: 1000,
    podsMax: 1,
    podPidsMax: 7,
    isSelinuxEnabled: false,
    userNamespaceProblem: undefined,
    hostsFile: '',
  },
  dns: { clusterDns: [], clusterDomain: 'cluster.local', hostResolvConf: '' },
  directories: {
    pods: '/pods',
    podsMemory: '/memory',
    volumes: '/volumes',
    logs: '/logs',
    kubelet: '/kubelet',
  },
};
const reading: StartSources = {
  configMaps: new Map(),
  secrets: new Map(),
  services: [],
  envFiles: new Map(),
  image: undefined,
};
const start = {
  kind: 'startContainer',
  container: 'c',
  id,
  attempt: 0,
  imageId: 'sha256:1',
  reading,
} as const;
const hook = (command: string): object => ({
  handler: { exec: { command: [command] } },
  target: { pod, container: pod.spec?.containers[0], containerId: id, podIp: '10.0.0.2' },
  dueFile: `/pods/${uid}/due-hooks/${id}`,
});
const messageFile = `/pods/${uid}/containers/c/${id.slice(0, 12)}`;

/** Each kind of intent, and what its action has that the intent has not. */
const rows: { readonly [K in Intent['kind']]: readonly [Extract<ReadIntent, { kind: K }>, object] } = {
  prepareVolumes: [
    { kind: 'prepareVolumes' },
    { volumes: { pod, atChange: 3 }, directories: [`/pods/${uid}/containers/c`, '/logs/ns_p_u1/c'] },
  ],
  refreshVolumes: [{ kind: 'refreshVolumes' }, { volumes: { pod, atChange: 3 } }],
  removeVolumes: [{ kind: 'removeVolumes' }, {}],
  prepareClaims: [{ kind: 'prepareClaims' }, { pod }],
  unprepareClaims: [{ kind: 'unprepareClaims' }, {}],
  runSandbox: [
    { kind: 'runSandbox', attempt: 2, replaces: true, reading: { handler: 'crun' } },
    { replaces: true, config: { uid, attempt: 2, hostname: 'p', resources: { pidsMax: 7 } } },
  ],
  stopSandbox: [{ kind: 'stopSandbox' }, {}],
  pullImage: [
    { kind: 'pullImage', container: 'c', image: 'busybox', attempt: 1 },
    { attempt: 1, secrets: ['login'] },
  ],
  startContainer: [
    start,
    {
      container: 'c',
      image: 'busybox',
      isPullTold: false,
      config: { id, imageId: 'sha256:1', env: [{ name: 'IP', value: '10.0.0.2' }] },
      sources: [
        { kind: 'volume', path: '/vol' },
        { kind: 'subPath', root: '/vol', subPath: 'x', target: `/pods/${uid}/subpaths/c/1` },
      ],
      podFiles: { sandboxId: 's' },
      messageFile,
      hook: hook('a'),
    },
  ],
  startHook: [
    { kind: 'startHook', container: 'c', id },
    { id, hook: hook('a') },
  ],
  stopContainer: [
    { kind: 'stopContainer', container: 'c', id, graceSeconds: 3, message: 'm' },
    { graceSeconds: 3, isForResize: false, isCut: false, preStop: hook('b') },
  ],
  resize: [{ kind: 'resize', steps: [] }, { steps: [] }],
  removeContainer: [
    { kind: 'removeContainer', container: 'c', id },
    { files: [messageFile, `/pods/${uid}/due-hooks/${id}`] },
  ],
  removePod: [{ kind: 'removePod' }, { logs: '/logs/ns_p_u1' }],
  deleteObject: [{ kind: 'deleteObject' }, { namespace: 'ns', name: 'p' }],
};

describe('renderAction()', () => {
  test.each(Object.entries(rows))('%s', (kind, [intent, want]) => {
    expect(renderAction(intent, input)).toMatchObject({ kind, ...want });
  });

  test('mounts of volumes come first, one for each source', () => {
    const action = renderAction(start, input);
    const mounts = action.kind === 'startContainer' ? action.config.mounts : [];
    expect(mounts.slice(0, 2).map(({ target }) => target)).toEqual(['/whole', '/part']);
  });

  test('the hook of a stop that is cut does not run again', () => {
    const [intent] = rows.stopContainer;
    expect(renderAction({ ...intent, isCut: true }, input)).toMatchObject({ preStop: undefined });
  });

  const unmounted = { ...input, mounted: undefined };
  const spec = {
    containers: [],
    ...pod.spec,
    hostname: 'h'.repeat(60),
    subdomain: 's',
    setHostnameAsFQDN: true,
  };
  test.each<[string, ReadIntent, RenderInput, Partial<Action>]>([
    [
      'a sandbox whose name is too long',
      rows.runSandbox[0],
      { ...input, pod: { ...pod, spec } },
      { kind: 'failSandbox' },
    ],
    [
      'a volume that is not there',
      start,
      unmounted,
      { kind: 'failStart', message: 'volume "v" of container c is not mounted' },
    ],
    [
      'what could not be read',
      { ...start, reading: { failure: new Error('no such thing') } },
      input,
      { kind: 'failStart', message: 'no such thing', reason: 'CreateContainerConfigError' },
    ],
  ])('%s is an action that says so', (_name, intent, around, want) => {
    expect(renderAction(intent, around)).toMatchObject(want);
  });
});
