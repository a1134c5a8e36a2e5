/**
 * What a node makes of a pod, as text: its launch down to the syscalls, what is asked of runtime and drivers, the files of its volumes, its
 * probes and hooks over half a minute, what is planned and told in each state that it can be in. Nothing of the object itself is in it, so a
 * field that changes the text is acted on.
 */
import { renderRequest } from '#agent/volume/certificates/pod-certificates.ts';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { refusalOf } from '#agent/kubelet/admit/admission.ts';
import { followProbes } from '#agent/kubelet/probe/probe-loop.ts';
import { runHook, type HandlerPorts } from '#agent/kubelet/probe/handler.ts';
import { renderAction } from '#agent/kubelet/render/render-action.ts';
import { downwardOf, hookOf, type RenderInput } from '#agent/kubelet/render/render-input.ts';
import { localhostProfileOf } from '#agent/kubelet/render/seccomp.ts';
import type { StartSources } from '#agent/kubelet/render/render-start.ts';
import { status } from '#agent/kubelet/status/status.ts';
import { containerId } from '#agent/kubelet/sync/container-view.ts';
import { plan } from '#agent/kubelet/sync/plan.ts';
import { containersOf, emptyObservation, type KnownFacts } from '#agent/kubelet/sync/pod-input.ts';
import { initialFacts } from '#agent/kubelet/sync/pod-memory.ts';
import type { ContainerConfig, ContainerState, ExecRequest, PodObservation } from '#agent/runtime/runtime.ts';
import { noClaims } from '#agent/volume/claims/no-claims.fixture.ts';
import { createFakeMounter } from '#agent/volume/mounter.fake.ts';
import { roots } from '#agent/volume/trust-bundles.fixture.ts';
import { createPodVolumes } from '#agent/volume/pod-volumes.ts';
import type { CsiVolumes, VolumeObjects } from '#agent/volume/volume.ts';
import type { Container, EphemeralContainer, Pod, PodSpec, Service } from '#api/generated/objects.ts';
import { createFakeClock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { directories, dns, node } from '#bin/plan/assumed-node.ts';
import { referencedValues } from '#bin/plan/assumed-objects.ts';
import { assumeImages } from '#bin/plan/plan-image.ts';
import { planPod } from '#bin/plan/plan-pod.ts';
import { createPlannedNetwork } from '#bin/plan/recorder.ts';

type AnyContainer = Container | EphemeralContainer;

const never = new AbortController().signal;
const uid = '00000000-0000-0000-0000-000000000001';
const namespace = 'ns';
const web: Service = {
  metadata: { name: 'web', namespace },
  spec: { clusterIP: '10.96.0.9', ports: [{ port: 80, protocol: 'TCP' }] },
};
const data = { k: 'v', l: 'w' };
const configMap = { metadata: { namespace, name: 'm' }, data };
const secret = { metadata: { namespace, name: 's' }, data: { k: 'dg==', l: 'dw==' } };

export function podOf(spec: PodSpec): Pod {
  return { metadata: { uid, namespace, name: 'p', labels: { a: '1' }, generation: 1 }, spec };
}

/** The same text for the same pod. */
export async function nodeView(pod: Pod): Promise<string> {
  const parts: Readonly<Record<string, unknown>> = {
    refused: refusalOf(pod, [], node),
    launch: await told(() => launchOf(pod)),
    actions: actionsOf(pod),
    states: statesOf(pod),
    volumes: await told(() => volumesOf(pod)),
    work: await workOf(pod),
  };
  return JSON.stringify(parts, (_key, value: unknown) => (value instanceof Map ? [...value] : value), 1);
}

async function told(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return describeError(error);
  }
}

/** `podwright plan` of it. */
async function launchOf(pod: Pod): Promise<readonly string[]> {
  const manifest = { pods: [pod], configMaps: [configMap], secrets: [secret], others: [] };
  const context = {
    manifest,
    images: assumeImages,
    network: createPlannedNetwork(),
    architecture: 'x86_64',
  } as const;
  return (await planPod(pod, context, never)).split('\n');
}

const mountedOf = ({ spec }: Pod): RenderInput['mounted'] => ({
  byName: new Map(
    (spec?.volumes ?? []).map(({ name }) => [
      name,
      name.startsWith('device')
        ? { path: '', device: { major: 7, minor: 1, mode: 0o660 } }
        : { path: `/v/${name}` },
    ]),
  ),
  refreshAtMs: undefined,
});

function inputOf(pod: Pod, actual: PodObservation): RenderInput {
  const { allocated } = initialFacts(pod, 0).resize;
  return {
    pod,
    allocated,
    actual,
    mounted: mountedOf(pod),
    volumeChanges: 0,
    node: { ...node, ips: ['192.0.2.1'] },
    dns,
    directories,
  };
}

function readingOf(pod: Pod, container: AnyContainer): StartSources {
  const manifest = { pods: [pod], configMaps: [configMap], secrets: [secret], others: [] };
  const values = referencedValues(container, namespace, manifest);
  // What there is to be optional about.
  const isThere = ([name]: readonly [string, unknown]): boolean => !name.endsWith('none');
  const configMaps = new Map([...values.configMaps].filter(isThere));
  const secrets = new Map([...values.secrets].filter(isThere));
  const envFiles = new Map([...values.envFiles].filter(isThere));
  const profile = localhostProfileOf(pod, container);
  const seccompProfile = profile === 'none' ? undefined : `{"defaultAction":"${profile ?? ''}"}`;
  const image = { id: 'sha256:1', names: [], digests: [], sizeBytes: 0, createdAtMs: 0, user: '' };
  const appArmor = { has: (name: string) => name !== 'none' };
  return { configMaps, secrets, envFiles, services: [web], image, seccompProfile, appArmor };
}

/** What the runtime is asked, and which secrets a pull has. */
function actionsOf(pod: Pod): unknown {
  const input = inputOf(pod, observed(pod, { state: 'running', startedAtMs: 0, pid: 7 }));
  const reading = { handler: pod.spec?.runtimeClassName ?? '' };
  const sandbox = renderAction({ kind: 'runSandbox', attempt: 0, replaces: false, reading }, input);
  const containers = containersOf(pod).map(({ spec }) => {
    const { name: container, image = '' } = spec;
    const start = { container, id: containerId(uid, container, 0), attempt: 0, imageId: 'sha256:1' };
    const started = renderAction({ kind: 'startContainer', ...start, reading: readingOf(pod, spec) }, input);
    const pull = renderAction({ kind: 'pullImage', container, image, attempt: 0 }, input);
    const shown =
      started.kind === 'startContainer'
        ? [unplanned(started.config), started.sources, started.podFiles]
        : [started.kind === 'failStart' ? started.message : started.kind];
    return [shown, pull.kind === 'pullImage' ? pull.secrets : []];
  });
  const { hasOwnUsers } = sandbox.kind === 'runSandbox' ? sandbox.config : {};
  return [sandbox.kind, hasOwnUsers, containers];
}

/** What of a container the text of its launch does not say; what it says is shown by that alone. */
function unplanned({ env, stdio, stopSignal, user, devices, termination }: ContainerConfig): unknown {
  const { leavesImageGroups } = user;
  return {
    env,
    stdinOnce: stdio.stdinOnce,
    stopSignal,
    leavesImageGroups,
    devices,
    fallback: termination?.fallbackToLogsOnError,
  };
}

const now = 1000_000;
const ended = (exitCode: number, finishedAtMs = now - 1000): ContainerState => ({
  ...{ state: 'exited', startedAtMs: 0, finishedAtMs, exitCode },
  ...{ signal: undefined, reason: exitCode === 0 ? 'Completed' : 'Error', message: '' },
});

function observed(pod: Pod, state: ContainerState): PodObservation {
  return {
    ...emptyObservation(pod),
    sandbox: {
      ...{ id: 's', attempt: 0, state: 'ready', createdAtMs: 0 },
      ...{ ips: ['10.244.0.2'], netnsPath: '/n' },
    },
    containers: containersOf(pod).map(({ spec: { name, image = '' } }) => ({
      ...{ id: containerId(uid, name, 0), name, attempt: 0, image, imageId: 'sha256:1' },
      ...{ logPath: undefined, state },
    })),
  };
}

/** What is planned and told when all of its containers run, ended, failed; when images lack; when a probe failed; when it is deleted. */
function statesOf(pod: Pod): unknown {
  const running: ContainerState = { state: 'running', startedAtMs: 0, pid: 7 };
  const names = containersOf(pod).map(({ spec }) => spec.name);
  const known: KnownFacts = {
    ...initialFacts(pod, 0),
    ...{ nodeName: node.name, hostIps: node.ips, isStatusCurrent: true },
    volumes: { state: 'ready', isStale: false, refreshAtMs: undefined },
    presentImages: new Map(names.map((name) => [name, 'sha256:1'])),
  };
  const failure = { probe: 'liveness', message: 'no' } as const;
  const probes = new Map(
    names.map((name) => [containerId(uid, name, 0), { hasStarted: true, isReady: true, failure }]),
  );
  const deleted: Pod = {
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: new Date(now).toISOString() },
  };
  const scenes: readonly (readonly [Pod, PodObservation, KnownFacts])[] = [
    [pod, emptyObservation(pod), { ...known, volumes: { state: 'absent' } }],
    [pod, observed(pod, running), known],
    [pod, observed(pod, running), { ...known, probes }],
    ...[0, 1, 42].map((code) => [pod, observed(pod, ended(code)), known] as const),
    [pod, observed({ ...pod, spec: { containers: [] } }, running), { ...known, presentImages: new Map() }],
    [pod, observed({ ...pod, spec: { containers: [] } }, running), known],
    [deleted, observed(pod, running), known],
  ];
  return scenes.map(([desired, actual, facts]) => {
    const wanted = { pod: desired, isPresent: true };
    return [plan(wanted, actual, now, facts), status(wanted, actual, now, facts)];
  });
}

/** Each file with its mode, and what was asked of mounter, API and drivers. */
async function volumesOf(pod: Pod): Promise<unknown> {
  const root = mkdtempSync(path.join(tmpdir(), 'view-'));
  try {
    const asked: unknown[] = [];
    const mounter = createFakeMounter();
    const [directory, memoryDirectory] = [path.join(root, 'disk'), path.join(root, 'memory')];
    const objects = (): VolumeObjects => recordingObjects((what) => void asked.push(what));
    const volumes = createPodVolumes({ directory, memoryDirectory, mounter, objects });
    const downward = downwardOf(inputOf(pod, emptyObservation(pod)));
    const { byName } = await volumes.mount({ pod, downward, now: 0, signal: never });
    const files = [...byName.values()].flatMap((mounted) => filesOf(mounted.path, root));
    const places = [...byName].map(([name, mounted]) => [name, mounted]);
    return JSON.parse(JSON.stringify([files, places, [...mounter.mounts], asked]).replaceAll(root, ''));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function filesOf(directory: string, root: string): readonly unknown[] {
  if (!directory.startsWith(root)) return [directory];
  const { mode, gid } = statSync(directory);
  const below = readdirSync(directory)
    .filter((name) => !name.startsWith('..'))
    .flatMap((name) => {
      const file = path.join(directory, name);
      const found = statSync(file);
      if (found.isDirectory()) return filesOf(file, root);
      return [[file, found.mode, found.uid, found.gid, readFileSync(file, 'utf8')]];
    });
  return [[directory, mode, gid], ...below];
}

function recordingObjects(note: (what: unknown) => void): VolumeObjects {
  const annotations = { 'pv.kubernetes.io/bind-completed': 'yes' };
  const claimed = { metadata: { namespace, name: 'c', uid: 'claim-uid', annotations } };
  const csi: CsiVolumes = {
    mountVolume: async ({ isReadOnly }) => {
      note(['csi', isReadOnly]);
      return { path: '/csi' };
    },
    mountInline: async (source) => {
      note(['inline', source.driver]);
      return { path: '/csi' };
    },
    unmountPod: async () => {},
    unstageSoon: () => {},
    unstageUnused: async () => {},
    volumesInUse: async () => [],
  };
  return {
    ...noClaims,
    csi,
    configMap: async (_namespace, name) => (name === 'm' ? configMap : undefined),
    secret: async (_namespace, name) => (name === 's' ? secret : undefined),
    trustBundles: async () => [
      { metadata: { name: 'b' }, spec: { signerName: 'x/one', trustBundle: roots.one } },
      { metadata: { name: 'c' }, spec: { signerName: 'x/two', trustBundle: roots.two } },
    ],
    serviceAccountToken: async ({ pod, audience, expirationSeconds }) => {
      note(['token', pod.spec?.serviceAccountName, audience, expirationSeconds]);
      return { token: 'token', refreshAtMs: 1 };
    },
    podCertificate: async ({
      source: { keyPath: _key, certificateChainPath: _chain, credentialBundlePath: _both, ...asked },
    }) => {
      const key = { request: Buffer.from(asked.keyType) };
      const facts = { key, nodeName: 'n', nodeUID: 'n-uid', serviceAccountUID: 's-uid' };
      note(['certificate', renderRequest({}, asked, facts)]);
      return { keyPem: 'key', chainPem: 'chain', refreshAtMs: 1 };
    },
    claim: async (_namespace, name) => {
      note(['claim', name]);
      return {
        ...claimed,
        spec: { volumeName: 'pv' },
        status: { phase: 'Bound' },
      };
    },
    persistentVolume: async (name) => ({
      metadata: { name, uid: 'pv-uid' },
      spec: {
        ...{ accessModes: ['ReadWriteOnce'], claimRef: { namespace, name: 'c', uid: 'claim-uid' } },
        csi: { driver: 'd.example', volumeHandle: 'h' },
      },
    }),
  };
}

/** What its probes and hooks ask of the runtime, and when: a command fails from second 6 to 14. */
async function workOf(pod: Pod): Promise<unknown> {
  if (!containersOf(pod).some(({ spec }) => hasWork(spec))) return undefined;
  const lines: unknown[] = [];
  const clock = createFakeClock();
  const note = (...what: readonly unknown[]): void => void lines.push([clock.now() / 1000, ...what]);
  const exec = async (_uid: string, id: string, { args, timeoutSeconds }: ExecRequest) => {
    note('exec', id.slice(0, 4), args, timeoutSeconds);
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    stdout.end();
    stderr.end();
    const streams = { stdin: undefined, stdout, stderr, resize: () => {} };
    const isFailing = clock.now() >= 6000 && clock.now() < 14_000;
    return {
      streams: { ...streams, [Symbol.asyncDispose]: async () => {} },
      exitCode: Promise.resolve(isFailing ? 1 : 0),
      kill: async () => {},
    };
  };
  const ports: HandlerPorts = { runtime: { exec }, clock };
  const end = new AbortController();
  const work = containersOf(pod).flatMap(({ spec: container }) => {
    const id = containerId(uid, container.name, 0);
    const target = { pod, container, containerId: id, podIp: '127.0.0.1' };
    const hooks = (['postStart', 'preStop'] as const).map(async (name) => {
      const hook = hookOf({ container: container.name, id, name }, inputOf(pod, emptyObservation(pod)));
      if (hook === undefined) return;
      await runHook(hook.handler, hook.target, ports, end.signal);
      note(name);
    });
    const probes = followProbes(
      { target, startedAtMs: 0, hasStarted: false },
      {
        ...ports,
        ...{ signal: end.signal, killing: new AbortController().signal },
        note: (change) => note('verdict', change),
        tell: (type, event) => note('told', type, event),
      },
    );
    return [probes, ...hooks];
  });
  const settled = Promise.allSettled(work);
  for (let second = 0; second < 30; second++) {
    await untilTurnsEnd();
    clock.advance(1000);
  }
  end.abort();
  await settled;
  return lines;
}

function hasWork({ lifecycle, startupProbe, livenessProbe, readinessProbe }: AnyContainer): boolean {
  return [lifecycle, startupProbe, livenessProbe, readinessProbe].some((each) => each !== undefined);
}
