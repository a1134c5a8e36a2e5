/** States of a pod's facts and outcomes of every kind, for the table of fold.test.ts. */
import type { Pod } from '#api/generated/objects.ts';
import type { ContainerObservation } from '#agent/runtime/runtime.ts';
import type { Outcome } from './outcome.ts';
import type { PodFacts } from './pod-input.ts';
import { initialFacts } from './pod-memory.ts';

const now = 1_000_000;
export const pod: Pod = {
  metadata: { uid: 'u', namespace: 'ns', name: 'p', labels: { a: '1' }, generation: 1 },
  spec: { containers: [{ name: 'c', image: 'old' }] },
};
const mounted = { byName: new Map(), refreshAtMs: 7 };
/** A pod that nothing is known of. */
export const fresh: PodFacts = initialFacts(pod, 0);
const cpu = { limits: { cpu: '1' } };

/** One of each: what a pod may be in the middle of when something comes. */
export const states: { readonly [S in 'fresh' | 'busy' | 'failing' | 'over']: PodFacts } = {
  fresh,
  busy: {
    ...fresh,
    volumes: { state: 'ready', isStale: false, refreshAtMs: undefined },
    volumeChanges: 1,
    mounted,
    pulls: new Map([['c', { state: 'pulling', image: 'old', attempt: 1, failures: 1 }]]),
    postStart: new Map([['r', 'running']]),
    stopping: new Map([['r', { deadlineMs: 500 }]]),
    probes: new Map([['r', { hasStarted: true, isReady: false, failure: undefined }]]),
    backoffBase: new Map([['c', 2]]),
    loggedAttempts: new Map(),
    resize: {
      ...fresh.resize,
      actuated: new Map([['r', {}]]),
      reportedWhole: undefined,
      restarts: new Set(['r']),
      isUnderWay: true,
      isAnnounced: true,
    },
  },
  failing: {
    ...fresh,
    volumes: { state: 'failed', message: 'before', retryAtMs: now + 9 },
    volumeFailures: 2,
    sandboxFailure: { message: 'before', failures: 2, retryAtMs: now + 9 },
    pulls: new Map([
      [
        'c',
        {
          state: 'failed',
          attempt: 0,
          reason: 'ErrImagePull',
          message: 'before',
          failures: 2,
          failedAtMs: 1,
          retryAtMs: 9,
        },
      ],
    ]),
    startFailures: new Map([
      ['c', { reason: 'CreateContainerError', message: 'before', failures: 2, retryAtMs: now + 9 }],
    ]),
    postStart: new Map([['r', { failure: 'before' }]]),
    resize: {
      ...fresh.resize,
      pending: { reason: 'Deferred', message: 'before' },
      failure: { message: 'before', failures: 2, retryAtMs: 9 },
      isUnderWay: true,
    },
  },
  over: {
    ...fresh,
    volumes: { state: 'removed' },
    endingSinceMs: 5,
    rejection: { reason: 'Evicted', message: 'before' },
    isDeleted: true,
    hasFinalStatus: true,
  },
};

type Outcomes = { readonly [K in Outcome['kind']]: Extract<Outcome, { kind: K }> };

/** The fourth restart of `c`, which ran so long. */
export const ended = (ranMs: number): ContainerObservation => ({
  id: 'r',
  name: 'c',
  attempt: 4,
  image: 'old',
  imageId: 'sha256:1',
  logPath: undefined,
  state: {
    state: 'exited',
    startedAtMs: 0,
    finishedAtMs: ranMs,
    exitCode: 1,
    signal: undefined,
    reason: 'Error',
    message: '',
  },
});

/** One of each kind. */
export const outcomes: Outcomes = {
  volumesMounted: { kind: 'volumesMounted', mounted, atChange: 0 },
  volumesFailed: { kind: 'volumesFailed', message: 'm', atMs: now, atChange: 1 },
  volumesRemoved: { kind: 'volumesRemoved' },
  claimsPrepared: { kind: 'claimsPrepared', prepared: new Map() },
  claimsFailed: { kind: 'claimsFailed', message: 'm', atMs: now },
  claimsRemoved: { kind: 'claimsRemoved' },
  sandboxRunning: { kind: 'sandboxRunning', resources: { cpuWeight: 9 } },
  sandboxFailed: { kind: 'sandboxFailed', message: 'm', atMs: now },
  sandboxStopped: { kind: 'sandboxStopped' },
  pullBegun: { kind: 'pullBegun', container: 'c', image: 'old', attempt: 2 },
  containerStarted: { kind: 'containerStarted', container: 'c', id: 's', resources: cpu, hasHook: true },
  startFailed: {
    kind: 'startFailed',
    container: 'c',
    reason: 'CreateContainerConfigError',
    message: 'm',
    atMs: now,
  },
  launchFailed: { kind: 'launchFailed', container: 'c' },
  hookBegun: { kind: 'hookBegun', id: 'r' },
  stopBegun: { kind: 'stopBegun', id: 'r', deadlineMs: 400, isForResize: true },
  resized: {
    kind: 'resized',
    written: [
      { container: undefined, resources: { cpuWeight: 9 }, lowersMemory: false },
      { container: { name: 'c', id: 'r' }, resources: {}, lowersMemory: false },
    ],
    failure: { message: 'm', atMs: now },
  },
  containerRemoved: { kind: 'containerRemoved', id: 'r' },
  podRemoved: { kind: 'podRemoved' },
  objectDeleted: { kind: 'objectDeleted' },
  pullDone: { kind: 'pullDone', container: 'c', image: 'old', attempt: 2, imageId: 'sha256:2' },
  pullFailed: {
    kind: 'pullFailed',
    container: 'c',
    image: 'old',
    attempt: 2,
    reason: 'InvalidImageName',
    message: 'm',
    atMs: now,
  },
  pullAborted: { kind: 'pullAborted', container: 'c', image: 'old' },
  hookEnded: { kind: 'hookEnded', id: 'r', failure: undefined },
  stopEnded: { kind: 'stopEnded', id: 'r', deadlineMs: 500 },
  probesBegun: {
    kind: 'probesBegun',
    id: 'r',
    fact: { hasStarted: false, isReady: false, failure: undefined },
  },
  probed: { kind: 'probed', id: 'r', change: { isReady: true } },
  probesEnded: { kind: 'probesEnded', id: 'r' },
  recalled: { kind: 'recalled', dueHooks: ['r'], loggedAttempts: new Map([['c', 3]]) },
  desiredChanged: {
    kind: 'desiredChanged',
    before: pod,
    desired: {
      isPresent: true,
      pod: {
        metadata: {
          ...pod.metadata,
          labels: { a: '2' },
          deletionTimestamp: new Date(31_000).toISOString(),
          deletionGracePeriodSeconds: 30,
        },
        spec: { containers: [{ name: 'c', image: 'new' }] },
      },
    },
    nowMs: now,
  },
  objectChanged: { kind: 'objectChanged' },
  runsSeen: { kind: 'runsSeen', runs: [ended(600_000)] },
  refused: { kind: 'refused', refusal: { reason: 'OutOfcpu', message: 'm' } },
  resourcesGiven: {
    kind: 'resourcesGiven',
    allocated: { pod: undefined, containers: new Map([['c', cpu]]) },
    generation: 2,
  },
  resourcesPending: { kind: 'resourcesPending', pending: undefined },
  resizeCompleted: { kind: 'resizeCompleted' },
  finalStatusTold: { kind: 'finalStatusTold' },
};
