/** What has to happen for a plant to show, where a world of chance has it too seldom. */
import type { Step } from '#test/simulation/users/steps.ts';
import type { Fault } from './plan.ts';

export interface NarrowScript {
  readonly steps: readonly (readonly [atSeconds: number, step: Step])[];
  readonly faults?: readonly (readonly [atSeconds: number, fault: Fault])[];
}

const at = (name: string): { readonly namespace: string; readonly name: string } => ({
  namespace: 'n1',
  name,
});
const namespace = (podsMax?: number): readonly [number, Step] => [
  20,
  { kind: 'namespace', name: 'n1', podsMax },
];
const web = (replicas: number): readonly [number, Step] => [
  25,
  { kind: 'deployment', at: at('web1'), replicas, graceSeconds: 1, isRecreate: false, isProbed: false },
];

/** By the plant's name. */
export const narrowScripts: Readonly<Record<string, NarrowScript>> = {
  'budget-not-read-again': {
    steps: [
      namespace(),
      web(4),
      [30, { kind: 'budget', at: at('web1'), minAvailable: 3 }],
      [400, { kind: 'evict', at: at('web1'), count: 3 }],
    ],
  },
  'bind-without-precondition': { steps: [namespace(), web(2)] },
  'finalizer-ignored': {
    steps: [
      namespace(),
      [25, { kind: 'config', at: at('cm1'), hasFinalizer: true }],
      [30, { kind: 'delete', of: 'configmaps', at: at('cm1'), policy: 'Background' }],
    ],
  },
  'quota-not-held': { steps: [namespace(3), web(5)] },
  'address-given-twice': {
    steps: [namespace(), web(4), [100, { kind: 'scale', of: 'deployments', at: at('web1'), replicas: 9 }]],
    faults: [
      [60, { kind: 'crash', target: 'node-1', calls: 0, downMs: 500 }],
      [60, { kind: 'crash', target: 'node-2', calls: 0, downMs: 500 }],
    ],
  },
  'late-status': {
    steps: [
      namespace(),
      [25, { kind: 'job', at: at('job1'), completions: 2, parallelism: 2, seconds: 10, exitCode: 0 }],
    ],
  },
  'hasty-disc': { steps: [namespace(), web(2)] },
};
