import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodes, pods } from '#api/schema/kind-ref.ts';
import { startTestNode, type TestNode } from '#agent/kubelet/test-node.fixture.ts';
import { configAnnotations } from './static-pod.ts';

const text = (image: string): string =>
  `apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  terminationGracePeriodSeconds: 5\n  containers:\n  - name: c\n    image: ${image}\n    imagePullPolicy: IfNotPresent\n    args: [${JSON.stringify(image)}]\n`;

/** Lets the directory be looked at, and what comes of it. */
async function pass(node: TestNode): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await node.advance(21_000);
    await node.settle();
  }
}

describe('static pods of a node', () => {
  test('run, are shown by mirrors, change and go with their files', async () => {
    await using node = await startTestNode({ hasStaticPods: true });
    await node.client.create(nodes, { metadata: { name: 'node-1' } });
    const directory = path.join(node.directory, 'manifests');
    mkdirSync(directory);
    writeFileSync(path.join(directory, 'web.yaml'), text('busybox'));
    await pass(node);

    const [first] = node.runtime.observeAll();
    expect(first).toMatchObject({ name: 'web-node-1', namespace: 'default' });
    const mirror = node.get('web-node-1');
    expect(mirror?.metadata?.annotations).toMatchObject({ [configAnnotations.mirror]: first?.uid });
    expect(mirror?.metadata?.uid).not.toBe(first?.uid);
    expect(mirror?.status?.phase).toBe('Running');
    expect(node.kubelet.podByName('default', 'web-node-1')?.metadata?.uid).toBe(first?.uid);

    await node.client.delete(pods, { namespace: 'default', name: 'web-node-1' });
    await pass(node);
    expect(node.get('web-node-1')?.status?.phase).toBe('Running');
    expect(node.get('web-node-1')?.metadata?.uid).not.toBe(mirror?.metadata?.uid);
    expect(node.runtime.observeAll().map(({ uid }) => uid)).toEqual([first?.uid]);

    writeFileSync(path.join(directory, 'web.yaml'), '{');
    await pass(node);
    expect(node.runtime.observeAll().map(({ uid }) => uid)).toEqual([first?.uid]);

    writeFileSync(path.join(directory, 'web.yaml'), text('busybox').replace('web', 'web\n  labels: {a: b}'));
    await pass(node);
    const [second] = node.runtime.observeAll();
    expect(second?.uid).not.toBe(first?.uid);
    expect(node.get('web-node-1')?.metadata?.annotations?.[configAnnotations.mirror]).toBe(second?.uid);

    rmSync(path.join(directory, 'web.yaml'));
    await pass(node);
    expect(node.runtime.observeAll()).toEqual([]);
    expect(node.get('web-node-1')).toBeUndefined();
  });

  test('go on over a new agent', async () => {
    await using node = await startTestNode({ hasStaticPods: true });
    await node.client.create(nodes, { metadata: { name: 'node-1' } });
    mkdirSync(path.join(node.directory, 'manifests'));
    writeFileSync(path.join(node.directory, 'manifests/web.yaml'), text('busybox'));
    await pass(node);
    const [before] = node.runtime.observeAll();
    await node.restart();
    await pass(node);
    const [after] = node.runtime.observeAll();
    expect(after).toMatchObject({ uid: before?.uid, containers: [{ attempt: 0 }] });
  });
});
