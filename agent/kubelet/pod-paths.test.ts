import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { podPaths } from './pod-paths.ts';

const uid = '11111111-2222-3333-4444-555555555555';
const directories = {
  pods: '/pods',
  podsMemory: '/memory',
  volumes: '/volumes',
  logs: '/logs',
  kubelet: '/kubelet',
};

it.each([
  ['web', 'default', `default_web_${uid}`],
  ['q'.repeat(253), 'n'.repeat(63), `${'n'.repeat(63)}_${'q'.repeat(154)}_${uid}`],
])('the logs of %s are in a directory that can be made', (name, namespace, want) => {
  const { logs } = podPaths({ metadata: { name, namespace, uid } }, directories);
  expect(basename(logs)).toBe(want);
  expect(basename(logs).length).toBeLessThanOrEqual(255);
});
