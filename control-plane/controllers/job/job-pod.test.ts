import { expect, it } from 'vitest';
import { jobPod } from './job-pod.ts';

it.each([
  ['short', 3, 'short-3-'],
  ['j'.repeat(61), 12, `${'j'.repeat(54)}-12-`],
])('the name of a pod of job %s begins with it and the whole of index %d', (name, index, want) => {
  expect(jobPod({ metadata: { name } }, { index, annotations: {} }).metadata?.generateName).toBe(want);
});
