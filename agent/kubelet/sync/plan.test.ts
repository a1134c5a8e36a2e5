import { describe, expect, test } from 'vitest';
import type { Container, ImageVolumeSource, Pod } from '#api/generated/objects.ts';
import type { ContainerObservation, ContainerState, PodObservation } from '#agent/runtime/runtime.ts';
import { containerId } from './container-view.ts';
import { plan } from './plan.ts';
import type { Intent, KnownFacts } from './pod-input.ts';
import { status } from '#agent/kubelet/status/status.ts';

const now = Date.parse('2026-01-01T00:10:00Z');
const uid = 'u1';

/** Everything about one pod that a row may change. */
interface Scene {
  readonly pod: Pod;
  readonly isPresent: boolean;
  readonly actual: PodObservation;
  readonly facts: KnownFacts;
}

const running = (startedAtMs = now - 60_000): ContainerState => ({ state: 'running', startedAtMs, pid: 7 });
const exited = (exitCode: number, agoMs = 1000, ranMs = 1000): ContainerState => ({
  state: 'exited',
  startedAtMs: now - agoMs - ranMs,
  finishedAtMs: now - agoMs,
  exitCode,
  signal: undefined,
  reason: exitCode === 0 ? 'Completed' : 'Error',
  message: '',
});
const run = (name: string, state: ContainerState, attempt = 0): ContainerObservation => ({
  id: containerId(uid, name, attempt),
  name,
  attempt,
  image: 'busybox',
  imageId: 'sha256:1',
  logPath: undefined,
  state,
});
const container = (name: string, more: Partial<Container> = {}): Container => ({
  name,
  image: 'busybox',
  ...more,
});

const healthy: Scene = {
  pod: {
    metadata: { uid, namespace: 'ns', name: 'p', generation: 1 },
    spec: {
      containers: [container('a'), container('b')],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
    },
  },
  isPresent: true,
  actual: {
    uid,
    namespace: 'ns',
    name: 'p',
    sandbox: {
      id: 's',
      attempt: 0,
      state: 'ready',
      createdAtMs: now - 120_000,
      ips: ['10.0.0.2'],
      netnsPath: '/n',
    },
    containers: [run('a', running()), run('b', running())],
  },
  facts: {
    nodeName: 'n',
    firstSeenAtMs: now - 120_000,
    hostIps: ['192.0.2.1'],
    presentImages: new Map([
      ['a', 'sha256:1'],
      ['b', 'sha256:1'],
      ['init', 'sha256:1'],
      ['side', 'sha256:1'],
      ['debug', 'sha256:1'],
    ]),
    pulls: new Map(),
    startFailures: new Map(),
    sandboxFailure: undefined,
    volumes: { state: 'ready', isStale: false, refreshAtMs: undefined },
    claims: { state: 'absent' },
    volumeChanges: 0,
    volumeFailures: 0,
    mounted: undefined,
    probes: new Map(),
    postStart: new Map(),
    stopping: new Map(),
    backoffBase: new Map(),
    loggedAttempts: new Map(),
    resize: {
      allocated: { pod: undefined, containers: new Map() },
      podCgroup: { cpuWeight: 1 },
      actuated: new Map(),
      reportedWhole: undefined,
      pending: undefined,
      failure: undefined,
      generation: 1,
      restarts: new Set(),
      isUnderWay: false,
      isAnnounced: false,
    },
    endingSinceMs: undefined,
    rejection: undefined,
    isDeleted: false,
    hasFinalStatus: false,
    isStatusCurrent: true,
  },
};

const withSpec = (scene: Scene, spec: Partial<NonNullable<Pod['spec']>>): Scene => ({
  ...scene,
  pod: { ...scene.pod, spec: { containers: [], ...scene.pod.spec, ...spec } },
});
const withRuns = (scene: Scene, ...containers: readonly ContainerObservation[]): Scene => ({
  ...scene,
  actual: { ...scene.actual, containers },
});
const withFacts = (scene: Scene, facts: Partial<KnownFacts>): Scene => ({
  ...scene,
  facts: { ...scene.facts, ...facts },
});
const withSandbox = (scene: Scene, state: 'ready' | 'dead' | 'stopped' | undefined): Scene => {
  const { sandbox } = healthy.actual;
  return {
    ...scene,
    actual: {
      ...scene.actual,
      sandbox: state === undefined || sandbox === undefined ? undefined : { ...sandbox, state },
    },
  };
};
const deleted = (scene: Scene, graceSeconds = 30, agoMs = 0): Scene => ({
  ...scene,
  pod: {
    ...scene.pod,
    metadata: {
      ...scene.pod.metadata,
      deletionTimestamp: new Date(now + graceSeconds * 1000).toISOString(),
      deletionGracePeriodSeconds: graceSeconds,
    },
  },
  facts: { ...scene.facts, endingSinceMs: now - agoMs },
});

/** An action in one line: `start a#1`, `stop b 30s`. */
function line(action: Intent): string {
  switch (action.kind) {
    case 'startContainer': {
      const images = [...(action.volumeImages ?? [])].map(([name, id]) => ` ${name}=${id}`);
      return `start ${action.container}#${action.attempt}${images.join('')}`;
    }
    case 'stopContainer':
      return `stop ${action.container} ${action.graceSeconds}s`;
    case 'pullImage':
      return `pull ${action.container}#${action.attempt}`;
    case 'runSandbox':
      return `runSandbox#${action.attempt}${action.replaces ? ' replaces' : ''}`;
    case 'removeContainer':
      return `remove ${action.container}`;
    default:
      return action.kind;
  }
}

const planned = ({ pod, isPresent, actual, facts }: Scene) => plan({ pod, isPresent }, actual, now, facts);
const reported = ({ pod, isPresent, actual, facts }: Scene) => status({ pod, isPresent }, actual, now, facts);

const fresh = withRuns(withSandbox(withFacts(healthy, { volumes: { state: 'absent' } }), undefined));
const withInit = withSpec(healthy, { initContainers: [container('init')] });
const withSidecar = withSpec(healthy, { initContainers: [container('side', { restartPolicy: 'Always' })] });
const files = { name: 'files', mountPath: '/files' };
/** Two containers that mount an image, and do not run yet. */
const withImageVolume = (source: ImageVolumeSource, facts: Partial<KnownFacts> = {}): Scene =>
  withRuns(
    withFacts(
      withSpec(healthy, {
        containers: ['a', 'b'].map((name) => container(name, { volumeMounts: [files] })),
        volumes: [{ name: 'files', image: { reference: 'docs:1', ...source } }],
      }),
      facts,
    ),
  );
const presentFiles = {
  presentImages: new Map([...healthy.facts.presentImages, ['volumes/files', 'sha256:2']]),
};
const pulledFiles = ['volumes/files', { state: 'done', attempt: 0, imageId: 'sha256:2' }] as const;
const claiming = (scene: Scene): Scene =>
  withSpec(scene, { resourceClaims: [{ name: 'gpu', resourceClaimName: 'mine' }] });
const ida = containerId(uid, 'a', 0);

interface Row {
  readonly name: string;
  readonly given: Scene;
  readonly want: readonly string[];
  /** Milliseconds from now. */
  readonly wake?: number;
  readonly phase?: string;
  /** Reasons of waiting containers, by name. */
  readonly waiting?: Readonly<Record<string, string>>;
}

const rows: readonly Row[] = [
  { name: 'a healthy pod needs nothing', given: healthy, want: [], phase: 'Running' },
  {
    name: 'a new pod gets volumes and sandbox at once',
    given: fresh,
    want: ['prepareVolumes', 'runSandbox#0'],
    phase: 'Pending',
    waiting: { a: 'ContainerCreating' },
  },
  { name: 'all main containers start together', given: withRuns(healthy), want: ['start a#0', 'start b#0'] },
  {
    name: 'volumes that failed are waited for without a sandbox',
    given: withFacts(fresh, { volumes: { state: 'failed', message: '', retryAtMs: now + 500 } }),
    want: [],
    wake: 500,
  },
  {
    name: 'volumes that failed are tried again',
    given: withFacts(fresh, { volumes: { state: 'failed', message: '', retryAtMs: now } }),
    want: ['prepareVolumes'],
  },
  {
    name: 'claims are prepared beside the volumes, before anything runs',
    given: claiming(fresh),
    want: ['prepareVolumes', 'prepareClaims'],
    phase: 'Pending',
    waiting: { a: 'ContainerCreating' },
  },
  {
    name: 'claims that failed are waited for without a sandbox',
    given: withFacts(claiming(fresh), {
      claims: { state: 'failed', message: '', failures: 1, retryAtMs: now + 500 },
    }),
    want: ['prepareVolumes'],
    wake: 500,
  },
  {
    name: 'claims that are ready let the sandbox begin',
    given: withFacts(claiming(fresh), { claims: { state: 'ready', prepared: new Map() } }),
    want: ['prepareVolumes', 'runSandbox#0'],
  },
  {
    name: 'stale volumes are refreshed',
    given: withFacts(healthy, { volumes: { state: 'ready', isStale: true, refreshAtMs: undefined } }),
    want: ['refreshVolumes'],
  },
  {
    name: 'tokens are refreshed in time',
    given: withFacts(healthy, { volumes: { state: 'ready', isStale: false, refreshAtMs: now + 9 } }),
    want: [],
    wake: 9,
  },
  {
    name: 'a sandbox that failed is tried again later',
    given: withFacts(withSandbox(withRuns(healthy), undefined), {
      sandboxFailure: { message: '', failures: 1, retryAtMs: now + 7 },
    }),
    want: [],
    wake: 7,
  },
  {
    name: 'a dead sandbox is replaced',
    given: withRuns(withSandbox(healthy, 'dead'), run('a', exited(137)), run('b', exited(137))),
    want: ['runSandbox#1 replaces'],
  },
  {
    name: 'a dead sandbox of a finished pod gives back its network',
    given: withSpec(withRuns(withSandbox(healthy, 'dead'), run('a', exited(0)), run('b', exited(1))), {
      restartPolicy: 'Never',
    }),
    want: ['stopSandbox'],
    phase: 'Failed',
  },
  {
    name: 'a stopped sandbox of a finished pod is left',
    given: withFacts(
      withSpec(withRuns(withSandbox(healthy, 'stopped'), run('a', exited(0)), run('b', exited(1))), {
        restartPolicy: 'Never',
      }),
      { volumes: { state: 'removed' } },
    ),
    want: [],
    phase: 'Failed',
  },

  {
    name: 'a first failure restarts at once',
    given: withRuns(healthy, run('a', exited(1)), run('b', running())),
    want: ['start a#1'],
  },
  {
    name: 'a second failure waits 10 s',
    given: withRuns(healthy, run('a', exited(1, 4000), 1), run('b', running())),
    want: [],
    wake: 6000,
    phase: 'Running',
    waiting: { a: 'CrashLoopBackOff' },
  },
  {
    name: 'a sixth failure waits 160 s',
    given: withRuns(healthy, run('a', exited(1, 1000), 5), run('b', running())),
    want: [],
    wake: 159_000,
  },
  {
    name: 'no back-off is longer than 5 min',
    given: withRuns(healthy, run('a', exited(1, 1000), 50), run('b', running())),
    want: [],
    wake: 299_000,
  },
  {
    name: 'a run of 10 min ends the back-off',
    given: withRuns(withFacts(healthy, {}), run('a', exited(1, 1000, 600_000), 5), run('b', running())),
    want: ['start a#6'],
  },
  {
    name: 'the back-off counts from the last long run',
    given: withRuns(
      withFacts(healthy, { backoffBase: new Map([['a', 5]]) }),
      run('a', exited(1, 1000), 6),
      run('b', running()),
    ),
    want: [],
    wake: 9000,
  },
  {
    name: 'OnFailure leaves success alone',
    given: withSpec(withRuns(healthy, run('a', exited(0)), run('b', running())), {
      restartPolicy: 'OnFailure',
    }),
    want: [],
    phase: 'Running',
  },
  {
    name: 'OnFailure restarts failure',
    given: withSpec(withRuns(healthy, run('a', exited(2)), run('b', running())), {
      restartPolicy: 'OnFailure',
    }),
    want: ['start a#1'],
  },
  {
    name: 'Never leaves failure alone',
    given: withSpec(withRuns(healthy, run('a', exited(2)), run('b', running())), { restartPolicy: 'Never' }),
    want: [],
    phase: 'Running',
  },
  {
    name: 'a pod whose containers all succeeded is over',
    given: withSpec(withRuns(healthy, run('a', exited(0)), run('b', exited(0))), {
      restartPolicy: 'OnFailure',
    }),
    want: ['stopSandbox'],
    phase: 'Succeeded',
  },
  {
    name: 'a pod with a failure that is not restarted is over',
    given: withSpec(withRuns(healthy, run('a', exited(0)), run('b', exited(1))), { restartPolicy: 'Never' }),
    want: ['stopSandbox'],
    phase: 'Failed',
  },
  {
    name: 'a phase once reported as over stays',
    given: { ...healthy, pod: { ...healthy.pod, status: { phase: 'Failed' } } },
    want: ['stop a 30s', 'stop b 30s'],
    phase: 'Failed',
  },
  {
    name: 'restart counts that the API knows are not undercut',
    given: {
      ...withRuns(healthy, run('b', running())),
      pod: {
        ...healthy.pod,
        status: {
          containerStatuses: [
            {
              name: 'a',
              image: '',
              imageID: '',
              ready: true,
              restartCount: 4,
              containerID: 'podwright://x',
              state: { running: {} },
            },
          ],
        },
      },
    },
    want: ['start a#5'],
  },
  {
    name: 'nor are those that only logs tell of',
    given: withFacts(withRuns(healthy, run('b', running())), { loggedAttempts: new Map([['a', 2]]) }),
    want: ['start a#3'],
  },
  {
    name: 'only the newest run and the one before are kept',
    given: withRuns(
      healthy,
      run('a', exited(1), 0),
      run('a', exited(1), 1),
      run('a', running(), 2),
      run('b', running()),
    ),
    want: ['remove a'],
  },

  {
    name: 'init containers run one after another, before the others',
    given: withRuns(withInit),
    want: ['start init#0'],
    phase: 'Pending',
    waiting: { init: 'PodInitializing', a: 'PodInitializing' },
  },
  {
    name: 'nothing starts while an init container runs',
    given: withRuns(withInit, run('init', running())),
    want: [],
    phase: 'Pending',
  },
  {
    name: 'main containers start after the init containers',
    given: withRuns(withInit, run('init', exited(0))),
    want: ['start a#0', 'start b#0'],
  },
  {
    name: 'a failed init container is restarted',
    given: withRuns(withInit, run('init', exited(1))),
    want: ['start init#1'],
  },
  {
    name: 'a failed init container ends a pod of policy Never',
    given: withSpec(withRuns(withInit, run('init', exited(1))), { restartPolicy: 'Never' }),
    want: ['stopSandbox'],
    phase: 'Failed',
  },
  {
    name: 'init containers are done once the main ones ran',
    given: withRuns(withInit, run('a', exited(1)), run('b', running())),
    want: ['start a#1'],
  },
  {
    name: 'in a new sandbox the init containers run again',
    given: withRuns(
      withInit,
      run('init', exited(0, 200_000)),
      run('a', exited(137, 130_000)),
      run('b', exited(137, 130_000)),
    ),
    want: ['start init#1'],
  },

  {
    name: 'a sidecar starts before the main containers',
    given: withRuns(withSidecar),
    want: ['start side#0'],
  },
  {
    name: 'main containers start once the sidecar has',
    given: withRuns(withSidecar, run('side', running())),
    want: ['start a#0', 'start b#0'],
  },
  {
    name: 'a sidecar with a startup probe is waited for',
    given: withSpec(withRuns(withSidecar, run('side', running())), {
      initContainers: [container('side', { restartPolicy: 'Always', startupProbe: {} })],
    }),
    want: [],
    phase: 'Pending',
  },
  {
    name: 'a sidecar restarts whatever its exit code',
    given: withSpec(withRuns(withSidecar, run('side', exited(0)), run('a', running()), run('b', running())), {
      restartPolicy: 'Never',
    }),
    want: ['start side#1'],
  },
  {
    name: 'sidecars stop when the main containers are done',
    given: withSpec(withRuns(withSidecar, run('side', running()), run('a', exited(0)), run('b', exited(0))), {
      restartPolicy: 'Never',
    }),
    want: ['stop side 30s'],
    phase: 'Running',
  },
  {
    name: 'an ephemeral container starts once',
    given: withSpec(healthy, { ephemeralContainers: [container('debug')] }),
    want: ['start debug#0'],
  },
  {
    name: 'an ephemeral container is never restarted',
    given: withSpec(withRuns(healthy, run('a', running()), run('b', running()), run('debug', exited(1))), {
      ephemeralContainers: [container('debug')],
    }),
    want: [],
  },

  {
    name: 'a missing image is pulled',
    given: withRuns(withFacts(healthy, { presentImages: new Map([['b', 'sha256:1']]) }), run('b', running())),
    want: ['pull a#0'],
  },
  {
    name: 'policy Always pulls what is there',
    given: withSpec(withRuns(healthy, run('b', running())), {
      containers: [container('a', { imagePullPolicy: 'Always' }), container('b')],
    }),
    want: ['pull a#0'],
  },
  {
    name: 'policy Always starts after its pull',
    given: withFacts(
      withSpec(withRuns(healthy, run('b', running())), {
        containers: [container('a', { imagePullPolicy: 'Always' }), container('b')],
      }),
      { pulls: new Map([['a', { state: 'done', attempt: 0, imageId: 'sha256:2' }]]) },
    ),
    want: ['start a#0'],
  },
  {
    name: 'an image that was removed between its pull and the start is pulled again',
    given: withFacts(withRuns(healthy, run('b', running())), {
      presentImages: new Map([['b', 'sha256:1']]),
      pulls: new Map([['a', { state: 'done', attempt: 0, imageId: 'sha256:1' }]]),
    }),
    want: ['pull a#0'],
  },
  {
    name: 'policy Never does not pull',
    given: withFacts(
      withSpec(withRuns(healthy, run('b', running())), {
        containers: [container('a', { imagePullPolicy: 'Never' }), container('b')],
      }),
      { presentImages: new Map([['b', 'sha256:1']]) },
    ),
    want: [],
    wake: 10_000,
    phase: 'Pending',
    waiting: { a: 'ErrImageNeverPull' },
  },
  {
    name: 'an invalid image name is told',
    given: withFacts(
      withSpec(withRuns(healthy, run('b', running())), {
        containers: [container('a', { image: 'UPPER CASE' }), container('b')],
      }),
      { presentImages: new Map([['b', 'sha256:1']]) },
    ),
    want: [],
    waiting: { a: 'InvalidImageName' },
  },
  {
    name: 'the image of a volume is pulled first, once for all containers that mount it',
    given: withImageVolume({ pullPolicy: 'Always' }, { presentImages: new Map() }),
    want: ['pull volumes/files#0'],
    waiting: { a: 'ContainerCreating' },
  },
  {
    name: 'a container that mounts no image does not wait for one',
    given: withSpec(withImageVolume({ pullPolicy: 'Always' }), {
      containers: [container('a', { volumeMounts: [files] }), container('b')],
    }),
    want: ['pull volumes/files#0', 'start b#0'],
  },
  {
    name: 'an image of a volume that is there, whoever pulled it, is mounted',
    given: withImageVolume({ pullPolicy: 'IfNotPresent' }, presentFiles),
    want: ['start a#0 files=sha256:2', 'start b#0 files=sha256:2'],
  },
  {
    name: 'a volume is pulled once for a pod, whatever run of whatever container mounts it',
    given: withRuns(
      withImageVolume({ pullPolicy: 'Always' }, { ...presentFiles, pulls: new Map([pulledFiles]) }),
      run('a', exited(1, 60_000)),
      run('b', running()),
    ),
    want: ['start a#1 files=sha256:2'],
  },
  {
    name: 'an image of a volume that was removed meanwhile is pulled again',
    given: withImageVolume({ pullPolicy: 'Always' }, { pulls: new Map([pulledFiles]) }),
    want: ['pull volumes/files#0'],
  },
  {
    name: 'containers say why the image of their volume is not there',
    given: withImageVolume({ pullPolicy: 'Never' }),
    want: [],
    wake: 10_000,
    waiting: { a: 'ErrImageNeverPull', b: 'ErrImageNeverPull' },
  },
  {
    name: 'a name that is none of an image is told so',
    given: withImageVolume({ reference: 'A b' }),
    want: [],
    waiting: { a: 'InvalidImageName', b: 'InvalidImageName' },
  },
  {
    name: 'a pull under way is waited for',
    given: withFacts(withRuns(healthy, run('b', running())), {
      presentImages: new Map(),
      pulls: new Map([['a', { state: 'pulling', image: 'busybox', attempt: 0, failures: 0 }]]),
    }),
    want: [],
    waiting: { a: 'ContainerCreating' },
  },
  {
    name: 'a failed pull shows its error first',
    given: failedPull(0),
    want: [],
    wake: 1000,
    waiting: { a: 'ErrImagePull' },
  },
  {
    name: 'a failed pull backs off',
    given: failedPull(2000),
    want: [],
    wake: 8000,
    waiting: { a: 'ImagePullBackOff' },
  },
  { name: 'a failed pull is tried again', given: failedPull(10_000), want: ['pull a#0'] },
  {
    name: 'a container that cannot be described waits',
    given: withFacts(withRuns(healthy, run('b', running())), {
      startFailures: new Map([
        [
          'a',
          {
            reason: 'CreateContainerConfigError',
            message: 'configmap "x" not found',
            failures: 1,
            retryAtMs: now + 5,
          },
        ],
      ]),
    }),
    want: [],
    wake: 5,
    waiting: { a: 'CreateContainerConfigError' },
  },

  {
    name: 'a failed liveness probe stops its container',
    given: withFacts(healthy, {
      probes: new Map([
        [ida, { hasStarted: true, isReady: true, failure: { probe: 'liveness', message: '' } }],
      ]),
    }),
    want: ['stop a 30s'],
  },
  {
    name: 'a probe has a grace period of its own',
    given: withSpec(
      withFacts(healthy, {
        probes: new Map([
          [ida, { hasStarted: true, isReady: true, failure: { probe: 'liveness', message: '' } }],
        ]),
      }),
      {
        containers: [container('a', { livenessProbe: { terminationGracePeriodSeconds: 3 } }), container('b')],
      },
    ),
    want: ['stop a 3s'],
  },
  {
    name: 'a failed postStart hook stops its container',
    given: withFacts(healthy, { postStart: new Map([[ida, { failure: 'x' }]]) }),
    want: ['stop a 30s'],
  },
  {
    name: 'a hook that an earlier agent left due is started',
    given: withFacts(healthy, { postStart: new Map([[ida, 'due']]) }),
    want: ['startHook'],
  },
  {
    name: 'a stop under way is not begun again',
    given: withFacts(healthy, {
      postStart: new Map([[ida, { failure: 'x' }]]),
      stopping: new Map([[ida, { deadlineMs: now + 30_000 }]]),
    }),
    want: [],
  },
  {
    name: 'a deadline ends the pod, which is not over before its containers are',
    given: withSpec(healthy, { activeDeadlineSeconds: 120 }),
    want: ['stop a 30s', 'stop b 30s'],
    phase: 'Running',
  },
  {
    name: 'a pod ended by its deadline has failed, whatever its containers said',
    given: withSpec(withRuns(healthy, run('a', exited(0)), run('b', exited(0))), {
      activeDeadlineSeconds: 120,
    }),
    want: ['stopSandbox'],
    phase: 'Failed',
  },
  {
    name: 'a deadline to come wakes the worker',
    given: withSpec(healthy, { activeDeadlineSeconds: 130 }),
    want: [],
    wake: 10_000,
  },
  {
    name: 'a refused pod is Failed and gets nothing',
    given: withFacts(withFacts(fresh, { volumes: { state: 'removed' } }), {
      rejection: { reason: 'OutOfcpu', message: 'x' },
    }),
    want: [],
    phase: 'Failed',
  },

  {
    name: 'a deleted pod stops its containers',
    given: deleted(healthy),
    want: ['stop a 30s', 'stop b 30s'],
    phase: 'Running',
  },
  {
    name: 'a deleted pod has only the rest of its grace',
    given: deleted(healthy, 30, 20_000),
    want: ['stop a 10s', 'stop b 10s'],
  },
  { name: 'grace is never less than a second', given: deleted(healthy, 0), want: ['stop a 1s', 'stop b 1s'] },
  {
    name: 'a cut grace period stops sooner',
    given: deleted(withFacts(healthy, { stopping: new Map([[ida, { deadlineMs: now + 30_000 }]]) }), 2),
    want: ['stop a 2s', 'stop b 2s'],
  },
  {
    name: 'sidecars outlive the main containers',
    given: deleted(withRuns(withSidecar, run('side', running()), run('a', exited(0)), run('b', running()))),
    want: ['stop b 30s'],
  },
  {
    name: 'sidecars stop last',
    given: deleted(withRuns(withSidecar, run('side', running()), run('a', exited(0)), run('b', exited(143)))),
    want: ['stop side 30s'],
  },
  {
    name: 'then the sandbox',
    given: deleted(withRuns(healthy, run('a', exited(0)), run('b', exited(143)))),
    want: ['stopSandbox'],
    phase: 'Failed',
  },
  {
    name: 'then the sandbox, whose supervisor may have died',
    given: deleted(withRuns(withSandbox(healthy, 'dead'), run('a', exited(0)), run('b', exited(0)))),
    want: ['stopSandbox'],
    phase: 'Succeeded',
  },
  {
    name: 'then the volumes',
    given: deleted(withRuns(withSandbox(healthy, 'stopped'), run('a', exited(0)), run('b', exited(0)))),
    want: ['removeVolumes'],
    phase: 'Succeeded',
  },
  {
    name: 'then the claims, before the volumes',
    given: deleted(claiming(withRuns(withSandbox(healthy, 'stopped'), run('a', exited(0))))),
    want: ['unprepareClaims'],
  },
  {
    name: 'and of claims that are undone nothing more',
    given: deleted(
      withFacts(claiming(withRuns(withSandbox(healthy, 'stopped'), run('a', exited(0)))), {
        claims: { state: 'removed' },
      }),
    ),
    want: ['removeVolumes'],
  },
  {
    name: 'then the records',
    given: deleted(
      withFacts(withRuns(withSandbox(healthy, 'stopped'), run('a', exited(0))), {
        volumes: { state: 'removed' },
      }),
    ),
    want: ['removePod'],
  },
  {
    name: 'then the object',
    given: deleted(withFacts(withRuns(withSandbox(healthy, undefined)), { volumes: { state: 'removed' } })),
    want: ['deleteObject'],
  },
  {
    name: 'but not before its last status is written',
    given: deleted(
      withFacts(withRuns(withSandbox(healthy, undefined)), {
        volumes: { state: 'removed' },
        isStatusCurrent: false,
      }),
    ),
    want: [],
  },
  {
    name: 'and then nothing',
    given: deleted(
      withFacts(withRuns(withSandbox(healthy, undefined)), {
        volumes: { state: 'removed' },
        isDeleted: true,
      }),
    ),
    want: [],
  },
  {
    name: 'a pod gone from the API ends without a DELETE',
    given: {
      ...withFacts(withRuns(withSandbox(healthy, undefined)), { volumes: { state: 'removed' } }),
      isPresent: false,
    },
    want: [],
  },
  {
    name: 'a pod whose object is gone, and containers of no known spec, are stopped at once',
    given: { ...withSpec(healthy, { containers: [] }), isPresent: false },
    want: ['stop a 1s', 'stop b 1s'],
  },
  { name: 'a deleted pod that never started is let go', given: deleted(fresh), want: ['removeVolumes'] },
];

function failedPull(agoMs: number): Scene {
  return withFacts(withRuns(healthy, run('b', running())), {
    presentImages: new Map(),
    pulls: new Map([
      [
        'a',
        {
          state: 'failed',
          attempt: 0,
          reason: 'ErrImagePull',
          message: 'x',
          failures: 1,
          failedAtMs: now - agoMs,
          retryAtMs: now - agoMs + 10_000,
        },
      ],
    ]),
  });
}

describe('plan()', () => {
  test.each(rows)('$name', ({ given, want, wake }) => {
    const { intents, wakeAtMs } = planned(given);
    expect(intents.map(line)).toEqual(want);
    if (wake !== undefined) expect((wakeAtMs ?? Number.NaN) - now).toBe(wake);
  });

  test.each([
    ['a deletion', deleted(healthy), 3000],
    ['one with little grace, half of it', deleted(healthy, 2), 1000],
    ['one of which most is over', deleted(healthy, 30, 29_000), 500],
    ['a forced deletion', { ...deleted(healthy, 0), isPresent: false }, 0],
    ['a pod that is over', withSpec(healthy, { activeDeadlineSeconds: 1 }), 0],
  ] as const)('how long Services may take to forget the pod: %s', (_name, scene, want) => {
    const stops = planned(scene).intents.filter((intent) => intent.kind === 'stopContainer');
    expect(stops.length).toBeGreaterThan(0);
    expect(new Set(stops.map(({ retractMsMax }) => retractMsMax ?? 0))).toEqual(new Set([want]));
  });

  test('every kind of action is planned by some row', () => {
    const kinds = new Set(rows.flatMap(({ given }) => planned(given).intents.map((intent) => intent.kind)));
    expect([...kinds].toSorted()).toEqual([
      'deleteObject',
      'prepareClaims',
      'prepareVolumes',
      'pullImage',
      'refreshVolumes',
      'removeContainer',
      'removePod',
      'removeVolumes',
      'runSandbox',
      'startContainer',
      'startHook',
      'stopContainer',
      'stopSandbox',
      'unprepareClaims',
    ]);
  });
});

describe('status()', () => {
  test.each(rows.filter((row) => row.phase !== undefined || row.waiting !== undefined))(
    '$name',
    ({ given, phase, waiting = {} }) => {
      const result = reported(given);
      if (phase !== undefined) expect(result.phase).toBe(phase);
      const statuses = [...(result.initContainerStatuses ?? []), ...(result.containerStatuses ?? [])];
      for (const [name, reason] of Object.entries(waiting)) {
        expect(statuses.find((s) => s.name === name)?.state?.waiting?.reason).toBe(reason);
      }
    },
  );

  const conditions = (scene: Scene) =>
    Object.fromEntries(
      (reported(scene).conditions ?? []).map(({ type, status: value, reason }) => [
        type,
        reason === undefined ? value : `${value} ${reason}`,
      ]),
    );

  test('a healthy pod is ready in every respect', () => {
    expect(conditions(healthy)).toEqual({
      PodReadyToStartContainers: 'True',
      Initialized: 'True',
      Ready: 'True',
      ContainersReady: 'True',
      PodScheduled: 'True',
    });
  });

  test('an unready container is named', () => {
    const scene = withFacts(healthy, {
      probes: new Map([[ida, { hasStarted: true, isReady: false, failure: undefined }]]),
    });
    expect(reported(scene).conditions?.find((c) => c.type === 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [a]',
    });
  });

  test('readiness gates hold Ready back, not ContainersReady', () => {
    const scene = withSpec(healthy, { readinessGates: [{ conditionType: 'example.com/gate' }] });
    expect(conditions(scene)).toMatchObject({
      ContainersReady: 'True',
      Ready: 'False ReadinessGatesNotReady',
    });
    const open = {
      ...scene,
      pod: { ...scene.pod, status: { conditions: [{ type: 'example.com/gate', status: 'True' }] } },
    };
    expect(conditions(open)).toMatchObject({ Ready: 'True', 'example.com/gate': 'True' });
  });

  test('transition times stay while a condition does', () => {
    const lastTransitionTime = '2026-01-01T00:00:00Z';
    const scene = {
      ...healthy,
      pod: {
        ...healthy.pod,
        status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }] },
      },
    };
    expect(reported(scene).conditions?.find((c) => c.type === 'Ready')?.lastTransitionTime).toBe(
      lastTransitionTime,
    );
  });

  test('a finished pod is PodCompleted', () => {
    const scene = withSpec(withRuns(healthy, run('a', exited(0)), run('b', exited(0))), {
      restartPolicy: 'Never',
    });
    expect(conditions(scene)).toMatchObject({
      Ready: 'False PodCompleted',
      ContainersReady: 'False PodCompleted',
      Initialized: 'True PodCompleted',
    });
  });

  test('why a pod is over is said when it is over', () => {
    const pastDeadline = (scene: Scene): Scene => withSpec(scene, { activeDeadlineSeconds: 120 });
    expect(reported(pastDeadline(healthy)).reason).toBeUndefined();
    const ended = withRuns(healthy, run('a', exited(143)), run('b', exited(143)));
    expect(reported(pastDeadline(ended)).reason).toBe('DeadlineExceeded');
  });

  test('an ended run shows code, reason, times and the run before', () => {
    const scene = withSpec(
      withRuns(healthy, run('a', exited(3), 1), run('a', exited(2), 0), run('b', running())),
      { restartPolicy: 'Never' },
    );
    expect(reported(scene).containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      ready: false,
      started: false,
      containerID: `podwright://${containerId(uid, 'a', 1)}`,
      state: { terminated: { exitCode: 3, reason: 'Error', finishedAt: '2026-01-01T00:09:59Z' } },
      lastState: { terminated: { exitCode: 2 } },
    });
  });
});
