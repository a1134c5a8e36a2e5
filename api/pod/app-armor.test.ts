import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at, withPath } from '#api/wire/json.ts';
import { appArmorWarnings, withAppArmorFields } from './app-armor.ts';

const pod: JsonObject = {
  metadata: { name: 'p', annotations: {} },
  spec: { containers: [{ name: 'c' }], initContainers: [{ name: 'i' }] },
};
const annotated = (container: string, value: string): JsonObject =>
  withPath(pod, 'metadata.annotations', {
    [`container.apparmor.security.beta.kubernetes.io/${container}`]: value,
  });
const profilesOf = (made: JsonObject): unknown =>
  ['spec.containers', 'spec.initContainers'].map((list) =>
    (at(made, list) as JsonObject[]).map((container) => at(container, 'securityContext.appArmorProfile')),
  );

describe('withAppArmorFields()', () => {
  it.each<{ readonly name: string; readonly given: JsonObject; readonly want: unknown }>([
    { name: 'leaves a pod without annotations', given: pod, want: [[undefined], [undefined]] },
    {
      name: 'unconfined',
      given: annotated('c', 'unconfined'),
      want: [[{ type: 'Unconfined' }], [undefined]],
    },
    {
      name: 'the default of the runtime',
      given: annotated('i', 'runtime/default'),
      want: [[undefined], [{ type: 'RuntimeDefault' }]],
    },
    {
      name: 'a profile of the node',
      given: annotated('c', 'localhost/a/b'),
      want: [[{ type: 'Localhost', localhostProfile: 'a/b' }], [undefined]],
    },
    { name: 'no profile', given: annotated('c', 'localhost/'), want: [[undefined], [undefined]] },
    { name: 'of no container', given: annotated('d', 'unconfined'), want: [[undefined], [undefined]] },
    {
      name: 'what the pod says anyway',
      given: withPath(annotated('c', 'unconfined'), 'spec.securityContext.appArmorProfile', {
        type: 'Unconfined',
      }),
      want: [[undefined], [undefined]],
    },
    {
      name: 'what the field says otherwise',
      given: withPath(annotated('c', 'unconfined'), 'spec.containers', [
        { name: 'c', securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } },
      ]),
      want: [[{ type: 'RuntimeDefault' }], [undefined]],
    },
    {
      name: 'nothing on Windows',
      given: withPath(annotated('c', 'unconfined'), 'spec.os', { name: 'windows' }),
      want: [[undefined], [undefined]],
    },
  ])('$name', ({ given, want }) => {
    expect(profilesOf(withAppArmorFields(given))).toEqual(want);
  });
});

describe('appArmorWarnings()', () => {
  it('names annotations in the place of fields, also such as name no profile', () => {
    for (const value of ['unconfined', 'nonsense']) {
      expect(appArmorWarnings(annotated('c', value))).toEqual([
        'metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the "appArmorProfile" field instead',
      ]);
    }
    const both = withPath(annotated('c', 'unconfined'), 'spec.containers', [
      { name: 'c', securityContext: { appArmorProfile: { type: 'Unconfined' } } },
    ]);
    for (const quiet of [pod, both, annotated('d', 'unconfined')])
      expect(appArmorWarnings(quiet)).toEqual([]);
  });
});
