import { describe, expect, test } from 'vitest';
import { ended, fresh, outcomes, pod, states } from './fold.fixture.ts';
import { fold } from './fold.ts';
import type { Outcome } from './outcome.ts';
import type { PodFacts } from './pod-input.ts';

function show(value: unknown): string {
  if (value === undefined) return 'undefined';
  if (value instanceof Map)
    return value.size === 0
      ? 'none'
      : [...value].map(([key, member]) => `${key}: ${show(member)}`).join(', ');
  if (value instanceof Set) return `[${[...value].join(' ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${key} ${show(member)}`)
    .join(', ')}}`;
}

/** Each member that the outcome changed, and those of resize for themselves. */
function changes(before: PodFacts, after: PodFacts): string {
  const flat = ({ resize, ...facts }: PodFacts): readonly [string, string][] => [
    ...Object.entries(facts).map(([key, value]): [string, string] => [key, show(value)]),
    ...Object.entries(resize).map(([key, value]): [string, string] => [`resize.${key}`, show(value)]),
  ];
  const old = new Map(flat(before));
  return flat(after)
    .filter(([key, value]) => old.get(key) !== value)
    .map(([key, value]) => `${key} → ${value}`)
    .join('; ');
}

/** What each outcome changes in each state; '' is nothing. A kind or a state that is missing here does not compile. */
const wanted: { readonly [K in Outcome['kind']]: { readonly [S in keyof typeof states]: string } } = {
  volumesMounted: {
    fresh: 'volumes → {state ready, isStale false, refreshAtMs 7}; mounted → {byName none, refreshAtMs 7}',
    busy: 'volumes → {state ready, isStale true, refreshAtMs 7}',
    failing:
      'volumes → {state ready, isStale false, refreshAtMs 7}; volumeFailures → 0; mounted → {byName none, refreshAtMs 7}',
    over: 'volumes → {state ready, isStale false, refreshAtMs 7}; mounted → {byName none, refreshAtMs 7}',
  },
  volumesFailed: {
    fresh: 'volumes → {state failed, message m, retryAtMs 1001000}; volumeFailures → 1',
    busy: 'volumes → {state ready, isStale false, refreshAtMs 1001000}; volumeFailures → 1',
    failing: 'volumes → {state failed, message m, retryAtMs 1004000}; volumeFailures → 3',
    over: 'volumes → {state failed, message m, retryAtMs 1001000}; volumeFailures → 1',
  },
  volumesRemoved: {
    fresh: 'volumes → {state removed}',
    busy: 'volumes → {state removed}',
    failing: 'volumes → {state removed}',
    over: '',
  },
  claimsPrepared: {
    fresh: 'claims → {state ready, prepared none}',
    busy: 'claims → {state ready, prepared none}',
    failing: 'claims → {state ready, prepared none}',
    over: 'claims → {state ready, prepared none}',
  },
  claimsFailed: {
    fresh: 'claims → {state failed, message m, failures 1, retryAtMs 1001000}',
    busy: 'claims → {state failed, message m, failures 1, retryAtMs 1001000}',
    failing: 'claims → {state failed, message m, failures 1, retryAtMs 1001000}',
    over: 'claims → {state failed, message m, failures 1, retryAtMs 1001000}',
  },
  claimsRemoved: {
    fresh: 'claims → {state removed}',
    busy: 'claims → {state removed}',
    failing: 'claims → {state removed}',
    over: 'claims → {state removed}',
  },
  sandboxRunning: {
    fresh: 'resize.podCgroup → {cpuWeight 9}',
    busy: 'resize.podCgroup → {cpuWeight 9}',
    failing: 'sandboxFailure → undefined; resize.podCgroup → {cpuWeight 9}',
    over: 'resize.podCgroup → {cpuWeight 9}',
  },
  sandboxFailed: {
    fresh: 'sandboxFailure → {message m, failures 1, retryAtMs 1001000}',
    busy: 'sandboxFailure → {message m, failures 1, retryAtMs 1001000}',
    failing: 'sandboxFailure → {message m, failures 3, retryAtMs 1004000}',
    over: 'sandboxFailure → {message m, failures 1, retryAtMs 1001000}',
  },
  sandboxStopped: {
    fresh: '',
    busy: '',
    failing: '',
    over: '',
  },
  pullBegun: {
    fresh: 'pulls → c: {state pulling, image old, attempt 2, failures 0}',
    busy: 'pulls → c: {state pulling, image old, attempt 2, failures 1}',
    failing: 'pulls → c: {state pulling, image old, attempt 2, failures 2}',
    over: 'pulls → c: {state pulling, image old, attempt 2, failures 0}',
  },
  containerStarted: {
    fresh: 'postStart → s: running; resize.actuated → s: {limits {cpu 1}}',
    busy: 'postStart → r: running, s: running; resize.actuated → r: {}, s: {limits {cpu 1}}',
    failing:
      'startFailures → none; postStart → r: {failure before}, s: running; resize.actuated → s: {limits {cpu 1}}',
    over: 'postStart → s: running; resize.actuated → s: {limits {cpu 1}}',
  },
  startFailed: {
    fresh: 'startFailures → c: {reason CreateContainerConfigError, message m, failures 1, retryAtMs 1002000}',
    busy: 'startFailures → c: {reason CreateContainerConfigError, message m, failures 1, retryAtMs 1002000}',
    failing:
      'startFailures → c: {reason CreateContainerConfigError, message m, failures 3, retryAtMs 1008000}',
    over: 'startFailures → c: {reason CreateContainerConfigError, message m, failures 1, retryAtMs 1002000}',
  },
  launchFailed: {
    fresh: '',
    busy: '',
    failing: 'startFailures → none',
    over: '',
  },
  hookBegun: {
    fresh: 'postStart → r: running',
    busy: '',
    failing: 'postStart → r: running',
    over: 'postStart → r: running',
  },
  stopBegun: {
    fresh: 'stopping → r: {deadlineMs 400}; resize.restarts → [r]',
    busy: 'stopping → r: {deadlineMs 400}',
    failing: 'stopping → r: {deadlineMs 400}; resize.restarts → [r]',
    over: 'stopping → r: {deadlineMs 400}; resize.restarts → [r]',
  },
  resized: {
    fresh:
      'resize.podCgroup → {cpuWeight 9}; resize.actuated → r: {}; resize.failure → {message m, failures 1, retryAtMs 1002000}',
    busy: 'resize.podCgroup → {cpuWeight 9}; resize.failure → {message m, failures 1, retryAtMs 1002000}',
    failing:
      'resize.podCgroup → {cpuWeight 9}; resize.actuated → r: {}; resize.failure → {message m, failures 3, retryAtMs 1008000}',
    over: 'resize.podCgroup → {cpuWeight 9}; resize.actuated → r: {}; resize.failure → {message m, failures 1, retryAtMs 1002000}',
  },
  containerRemoved: {
    fresh: '',
    busy: 'postStart → none; resize.actuated → none; resize.restarts → []',
    failing: 'postStart → none',
    over: '',
  },
  podRemoved: {
    fresh: '',
    busy: '',
    failing: '',
    over: '',
  },
  objectDeleted: {
    fresh: 'isDeleted → true',
    busy: 'isDeleted → true',
    failing: 'isDeleted → true',
    over: '',
  },
  pullDone: {
    fresh: '',
    busy: 'pulls → c: {state done, attempt 2, imageId sha256:2}',
    failing: '',
    over: '',
  },
  pullFailed: {
    fresh: '',
    busy: 'pulls → c: {state failed, attempt 2, reason InvalidImageName, failedAtMs 1000000, message m, failures 2, retryAtMs 1020000}',
    failing: '',
    over: '',
  },
  pullAborted: {
    fresh: '',
    busy: 'pulls → none',
    failing: '',
    over: '',
  },
  hookEnded: {
    fresh: '',
    busy: 'postStart → r: done',
    failing: 'postStart → r: done',
    over: '',
  },
  stopEnded: {
    fresh: '',
    busy: 'stopping → none',
    failing: '',
    over: '',
  },
  probesBegun: {
    fresh: 'probes → r: {hasStarted false, isReady false, failure undefined}',
    busy: 'probes → r: {hasStarted false, isReady false, failure undefined}',
    failing: 'probes → r: {hasStarted false, isReady false, failure undefined}',
    over: 'probes → r: {hasStarted false, isReady false, failure undefined}',
  },
  probed: {
    fresh: '',
    busy: 'probes → r: {hasStarted true, isReady true, failure undefined}',
    failing: '',
    over: '',
  },
  probesEnded: {
    fresh: '',
    busy: 'probes → none',
    failing: '',
    over: '',
  },
  recalled: {
    fresh: 'postStart → r: due; loggedAttempts → c: 3',
    busy: 'postStart → r: due; loggedAttempts → c: 3',
    failing: 'postStart → r: due; loggedAttempts → c: 3',
    over: 'postStart → r: due; loggedAttempts → c: 3',
  },
  desiredChanged: {
    fresh: 'volumeChanges → 1; endingSinceMs → 3000',
    busy: 'pulls → none; volumes → {state ready, isStale true, refreshAtMs undefined}; volumeChanges → 2; endingSinceMs → 3000',
    failing: 'pulls → none; volumeChanges → 1; endingSinceMs → 3000',
    over: 'volumeChanges → 1',
  },
  objectChanged: {
    fresh: 'volumeChanges → 1',
    busy: 'volumes → {state ready, isStale true, refreshAtMs undefined}; volumeChanges → 2',
    failing:
      'startFailures → c: {reason CreateContainerError, message before, failures 2, retryAtMs 0}; volumes → {state failed, message before, retryAtMs 0}; volumeChanges → 1',
    over: 'volumeChanges → 1',
  },
  runsSeen: {
    fresh: 'backoffBase → c: 4',
    busy: 'backoffBase → c: 5',
    failing: 'backoffBase → c: 4',
    over: 'backoffBase → c: 4',
  },
  refused: {
    fresh: 'rejection → {reason OutOfcpu, message m}',
    busy: 'rejection → {reason OutOfcpu, message m}',
    failing: 'rejection → {reason OutOfcpu, message m}',
    over: 'rejection → {reason OutOfcpu, message m}',
  },
  resourcesGiven: {
    fresh:
      'volumeChanges → 1; resize.allocated → {pod undefined, containers c: {limits {cpu 1}}}; resize.generation → 2; resize.isUnderWay → true; resize.isAnnounced → true',
    busy: 'volumes → {state ready, isStale true, refreshAtMs undefined}; volumeChanges → 2; resize.allocated → {pod undefined, containers c: {limits {cpu 1}}}; resize.generation → 2',
    failing:
      'volumeChanges → 1; resize.allocated → {pod undefined, containers c: {limits {cpu 1}}}; resize.pending → undefined; resize.failure → undefined; resize.generation → 2; resize.isAnnounced → true',
    over: 'volumeChanges → 1; resize.allocated → {pod undefined, containers c: {limits {cpu 1}}}; resize.generation → 2; resize.isUnderWay → true; resize.isAnnounced → true',
  },
  resourcesPending: {
    fresh: '',
    busy: '',
    failing: 'resize.pending → undefined',
    over: '',
  },
  resizeCompleted: {
    fresh: '',
    busy: 'resize.isUnderWay → false; resize.isAnnounced → false',
    failing: 'resize.isUnderWay → false',
    over: '',
  },
  finalStatusTold: {
    fresh: 'hasFinalStatus → true',
    busy: 'hasFinalStatus → true',
    failing: 'hasFinalStatus → true',
    over: '',
  },
};

describe('fold()', () => {
  test.each(['fresh', 'busy', 'failing', 'over'] as const)('a pod that is %s', (state) => {
    const facts = states[state];
    const before = show(facts);
    const found = Object.values(outcomes).map((outcome) => [
      outcome.kind,
      changes(facts, fold(facts, outcome)),
    ]);
    expect(found).toEqual(Object.entries(wanted).map(([kind, cells]) => [kind, cells[state]]));
    expect(show(facts)).toBe(before);
  });

  test.each<[string, PodFacts, Outcome, string]>([
    ['a stop that another replaced', states.busy, { ...outcomes.stopEnded, deadlineMs: 900 }, ''],
    [
      'a hook that failed',
      states.busy,
      { ...outcomes.hookEnded, failure: 'x' },
      'postStart → r: {failure x}',
    ],
    ['a probe that says the same', states.busy, { ...outcomes.probed, change: { isReady: false } }, ''],
    [
      'no change while volumes were made',
      states.busy,
      { ...outcomes.volumesMounted, atChange: 1 },
      'volumes → {state ready, isStale false, refreshAtMs 7}',
    ],
    [
      'a change while volumes were refreshed in vain',
      states.busy,
      { ...outcomes.volumesFailed, atChange: 0 },
      'volumes → {state ready, isStale true, refreshAtMs 1001000}; volumeFailures → 1',
    ],
    ['a run that did not last', states.fresh, { ...outcomes.runsSeen, runs: [ended(599_999)] }, ''],
    [
      'a resize that went well',
      states.failing,
      { ...outcomes.resized, written: [], failure: undefined },
      'resize.failure → undefined',
    ],
    [
      'a container without a hook',
      states.fresh,
      { ...outcomes.containerStarted, hasHook: false },
      'resize.actuated → s: {limits {cpu 1}}',
    ],
    [
      'the same object again',
      states.busy,
      { ...outcomes.desiredChanged, desired: { isPresent: true, pod } },
      '',
    ],
    [
      'an object that is gone',
      states.fresh,
      { ...outcomes.desiredChanged, desired: { isPresent: false, pod } },
      'endingSinceMs → 1000000',
    ],
    [
      'an end in the future',
      states.fresh,
      { ...outcomes.desiredChanged, nowMs: 2000 },
      'volumeChanges → 1; endingSinceMs → 2000',
    ],
    [
      'a pull of what the pod does not ask for any more',
      states.busy,
      { ...outcomes.pullDone, image: 'older' },
      '',
    ],
  ])('%s', (_name, facts, outcome, want) => {
    expect(changes(facts, fold(facts, outcome))).toBe(want);
  });

  test('is the same object where nothing was learned', () => {
    const late = [
      outcomes.hookEnded,
      outcomes.stopEnded,
      outcomes.probed,
      outcomes.probesEnded,
      outcomes.resourcesPending,
    ];
    for (const outcome of late) expect(fold(fresh, outcome)).toBe(fresh);
  });
});
