import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { renderPlan } from './plan.ts';
import { assumeImages } from './plan/plan-image.ts';

function plan(text: string): Promise<string> {
  return renderPlan(text, { source: 'pod.yaml', images: assumeImages, architecture: 'x86_64' });
}

const minimal = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n';

describe('renderPlan()', () => {
  test.each(['plain', 'full'])('%s pod', async (name) => {
    const manifest = readFileSync(new URL(`plan/fixtures/${name}.yaml`, import.meta.url), 'utf8');
    await expect(await plan(manifest)).toMatchFileSnapshot(`./plan/fixtures/${name}.plan`);
  });

  test('gives each pod of a file an address and a uid of its own', async () => {
    const text = await plan(`${minimal}---\n# nothing\n---\n${minimal.replace('name: a', 'name: b')}`);
    expect(text).toContain('uid 00000000-0000-0000-0000-000000000001, address 10.244.0.2');
    expect(text).toContain('uid 00000000-0000-0000-0000-000000000002, address 10.244.0.3');
  });

  test('reads JSON, JSON after JSON, and lists', async () => {
    const pod = (name: string): object => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, annotations: { text: '}"{' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [pod('b'), pod('c')] });
    const text = await plan(`${JSON.stringify(pod('a'))}\n${list}`);
    expect(text.match(/^# plan of pod .*$/gm)).toEqual(
      ['a', 'b', 'c'].map((name) => `# plan of pod default/${name}`),
    );
  });

  test('starts init containers, sidecars and the others in the order of the node, hooks and probes being content', async () => {
    const manifest = `apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  initContainers:
    - {name: first, image: "i:1"}
    - {name: side, image: "i:1", restartPolicy: Always, startupProbe: {tcpSocket: {port: 1}}}
    - {name: second, image: "i:2", imagePullPolicy: Always}
  containers:
    - {name: c, image: "i:1", lifecycle: {postStart: {exec: {command: [x]}}}}
    - {name: d, image: "i:1"}
`;
    const text = await plan(manifest);
    expect(text.match(/^== .*container.*: program$/gm)).toEqual([
      '== init container first: program',
      '== sidecar container side: program',
      '== init container second: program',
      '== container c: program',
      '== container d: program',
    ]);
    expect(text).toMatch(/^== images\npull i:2\n\n/m);
    expect(text).toMatch(/^write .*\/due-hooks\/[0-9a-f]{64} 0600$/m);
  });

  test('says what else is in the file', async () => {
    const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n';
    expect(await plan(`${service}---\n${minimal}`)).toMatch(/^# not planned: Service web\n/);
  });

  test.each([
    [
      'no pod',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}',
      'plan pod.yaml: there is no Pod in it, only Deployment d',
    ],
    ['nothing', '\n# empty\n', 'plan pod.yaml: there is no Pod in it'],
    [
      'an unknown field',
      minimal.replace('image: i', 'image: i, bogus: 1'),
      'unknown field "spec.containers[0].bogus"',
    ],
    ['an invalid value', minimal.replace('name: a', 'name: A'), 'metadata.name: Invalid value: "A"'],
    ['no kind', 'metadata: {name: a}', 'apiVersion and kind must be set'],
    ['broken YAML', 'kind: [', 'plan pod.yaml, document 1'],
    ['broken JSON', '{"kind": "Pod"', 'unexpected end of JSON input'],
    [
      'what is known in a cluster alone',
      minimal.replace('spec: {', 'spec: {runtimeClassName: kata, '),
      'spec.runtimeClassName: kata: who makes its containers is known in a cluster',
    ],
    ['what is no image', minimal.replace('image: i', 'image: "I:::"'), 'container c: InvalidImageName: '],
    [
      'a sandbox that cannot be described',
      minimal
        .replace('name: a', `name: a, namespace: ${'n'.repeat(60)}`)
        .replace('spec: {', 'spec: {subdomain: s, setHostnameAsFQDN: true, '),
      'is too long (64 characters is the max',
    ],
    [
      'a container that cannot be described',
      minimal
        .replace('image: i', 'image: i, volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(X)}]')
        .replace('spec: {', 'spec: {volumes: [{name: v, emptyDir: {}}], '),
      'missing value for "X"',
    ],
    [
      'a kind of volume that nodes lack',
      minimal.replace('spec: {', 'spec: {volumes: [{name: v, flocker: {datasetName: d}}], '),
      'kind flocker is not supported',
    ],
  ])('refuses %s in one line', async (_name, text, message) => {
    const failure = await plan(text).then(
      () => undefined,
      (error: unknown) => error,
    );
    const { describeError } = await import('#base/errors.ts');
    expect(describeError(failure)).toContain(message);
    expect(describeError(failure)).not.toContain('\n');
  });
});
