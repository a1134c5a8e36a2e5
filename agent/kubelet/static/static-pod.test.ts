import { describe, expect, test } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { configAnnotations, fullNameOf, mirrorOf, planMirrors } from './static-pod.ts';
import { staticPodOf } from './static-pod-of.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');
const manifest = (spec: object = {}, metadata: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', ...metadata },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  });
const read = (text: string, file = '/etc/pods/web.yaml'): Pod => staticPodOf({ text, file }, 'node-1', nowMs);

describe('a static pod', () => {
  test('has the name of its node, and says where it is from', () => {
    const pod = read(
      'apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: c\n    image: i\n',
    );
    const { metadata, spec } = pod;
    expect([metadata?.name, metadata?.namespace, spec?.nodeName]).toEqual([
      'web-node-1',
      'default',
      'node-1',
    ]);
    expect(metadata?.uid).toMatch(/^[0-9a-f]{32}$/);
    expect(metadata?.annotations).toEqual({
      [configAnnotations.hash]: metadata?.uid,
      [configAnnotations.source]: 'file',
      [configAnnotations.seen]: '2026-01-01T00:00:00.000Z',
    });
    expect(spec).toMatchObject({
      restartPolicy: 'Always',
      tolerations: [{ operator: 'Exists', effect: 'NoExecute' }],
    });
    expect(pod.status?.phase).toBe('Pending');
  });

  test('is another with each change of its file, and in another file', () => {
    const uids = [
      read(manifest()),
      read(manifest()),
      read(manifest({ hostNetwork: true })),
      read(manifest(), '/b'),
    ].map(({ metadata }) => metadata?.uid);
    expect(uids[0]).toBe(uids[1]);
    expect(new Set(uids).size).toBe(3);
    const own = { uid: 'my-own' };
    const [before, after] = [{}, { hostNetwork: true }].map(
      (spec) => read(manifest(spec, own)).metadata?.uid,
    );
    expect(before).not.toBe(after);
  });

  test.each<[string, string, string]>([
    ['nothing', '', 'one object of kind Pod'],
    [
      'another kind',
      '{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}',
      'one object of kind Pod',
    ],
    ['two pods', `${manifest()}\n---\n${manifest()}`, 'one object of kind Pod'],
    ['no YAML', '{', ''],
    ['a field of nobody', manifest({ hostNetwrok: true }), 'hostNetwrok'],
    ['what no pod may', manifest({ containers: [] }), 'spec.containers'],
    ['a Secret', manifest({ volumes: [{ name: 'v', secret: { secretName: 's' } }] }), 'secrets/s'],
    [
      'a ConfigMap',
      manifest({ containers: [{ name: 'c', image: 'i', envFrom: [{ configMapRef: { name: 'm' } }] }] }),
      'configmaps/m',
    ],
    ['an account', manifest({ serviceAccountName: 'a' }), 'serviceaccounts/a'],
  ])('is not made of %s', (_name, text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

describe('mirrors', () => {
  const pod = read(manifest());
  const mirror: Pod = mirrorOf(pod, { name: 'node-1', uid: 'of-node' });
  const there: Pod = { ...mirror, metadata: { ...mirror.metadata, uid: 'of-mirror' } };

  test('are the pod, with its hash, and of the node', () => {
    expect(mirror.metadata).toMatchObject({
      name: 'web-node-1',
      annotations: { [configAnnotations.mirror]: pod.metadata?.uid, [configAnnotations.source]: 'file' },
      ownerReferences: [{ kind: 'Node', name: 'node-1', uid: 'of-node', controller: true }],
    });
    expect(mirror.metadata?.uid).toBeUndefined();
    expect(mirror.spec).toEqual(pod.spec);
  });

  const dying: Pod = { ...there, metadata: { ...there.metadata, deletionTimestamp: 'x' } };
  const former: Pod = {
    ...there,
    metadata: { ...there.metadata, annotations: { [configAnnotations.mirror]: 'old' } },
  };
  const other: Pod = { metadata: { name: 'web-node-1', namespace: 'default', uid: 'other' } };
  const plain: Pod = { metadata: { name: 'plain', namespace: 'default' } };
  test.each<[string, readonly Pod[], readonly Pod[], readonly string[]]>([
    ['none yet', [pod], [plain], ['create default/web-node-1']],
    ['its own', [pod], [there, plain], []],
    ['one that somebody deletes', [pod], [dying], ['delete default/web-node-1']],
    ['one of an earlier file', [pod], [former], ['delete default/web-node-1']],
    ['one of a file that went', [], [there, plain], ['delete default/web-node-1']],
    ['another pod of the name', [pod], [other], ['taken default/web-node-1']],
  ])('where there is %s', (_name, statics, apiPods, want) => {
    expect(planMirrors(statics, apiPods).map((step) => `${step.op} ${fullNameOf(step.pod)}`)).toEqual(want);
  });
});
