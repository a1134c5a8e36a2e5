import { readdir, readFile } from 'node:fs/promises';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { clusterTrustBundles, configMaps, events, pods, secrets } from '#api/schema/kind-ref.ts';
import type { PulledImages } from '#agent/kubelet/images/pulled/pulled-images.ts';
import { roots } from '#agent/volume/trust-bundles.fixture.ts';
import type { Container, PodSpec } from '#api/generated/objects.ts';
import * as failure from '#api/errors/status.ts';
import { PodwrightError } from '#base/errors.ts';
import { startTestNode, type TestNode } from '#agent/kubelet/test-node.fixture.ts';

test('kubelet runs a pod and reports it Running and Ready in one status write', async () => {
  await using node = await startTestNode();

  node.create('web', {});
  await node.settle();
  const pod = node.get('web');
  expect(pod?.status?.phase).toBe('Running');
  expect(pod?.status?.podIP).toBe('10.244.0.2');
  expect(pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status).toBe('True');
  expect(pod?.status?.containerStatuses?.[0]).toMatchObject({ ready: true, started: true, restartCount: 0 });
  expect(node.client.writes.filter((w) => w.startsWith('patch pods/status'))).toHaveLength(1);
  await node.advance(500); // Normal events wait so long to be written.
  expect(node.client.all(events).map((e) => e.reason)).toEqual(['Pulled', 'Created', 'Started']);
});

test('kubelet restarts a failing container with back-off and counts', async () => {
  await using node = await startTestNode();

  node.create('crash', {
    containers: [{ name: 'main', image: 'busybox', command: ['sh', '-c', 'sleep 1; exit 3'] }],
  });
  await node.settle();
  await node.advance(1000);
  await node.advance(500); // A restart alone is bookkeeping (status-writer).
  expect(node.get('crash')?.status?.containerStatuses?.[0]).toMatchObject({
    restartCount: 1,
    lastState: { terminated: { exitCode: 3 } },
  });
  await node.advance(500);
  const waiting = node.get('crash')?.status?.containerStatuses?.[0];
  expect(waiting).toMatchObject({
    restartCount: 1,
    ready: false,
    state: { waiting: { reason: 'CrashLoopBackOff' } },
  });
  await node.advance(9000);
  expect(node.get('crash')?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  await node.restart();
  await node.advance(1000);
  expect(node.get('crash')?.status?.containerStatuses?.[0]?.restartCount).toBe(2);
});

test('kubelet gives a port of the node to the first of two pods that come at once', async () => {
  await using node = await startTestNode();

  const ports = [{ containerPort: 80, hostPort: 8080, protocol: 'TCP' as const }];
  for (const name of ['one', 'two'])
    node.create(name, { containers: [{ name: 'main', image: 'busybox', ports }] });
  await node.settle();
  expect(node.get('one')?.status?.phase).toBe('Running');
  expect(node.get('two')?.status).toMatchObject({ phase: 'Failed', reason: 'NodePorts' });
});

test('kubelet leaves a client that changes a pod time to write its status', async () => {
  await using node = await startTestNode();

  node.create('web', {});
  await node.settle();
  const before = node.client.writes.length;
  const at = { namespace: 'default', name: 'web' };
  await node.client.patch(pods, at, {
    kind: 'merge',
    body: { spec: { activeDeadlineSeconds: 1000 } },
  });
  await node.settle();
  expect(node.client.writes.slice(before).filter((w) => w.startsWith('patch pods/status'))).toEqual([]);
  await node.advance(500);
  expect(node.get('web')?.status?.observedGeneration).toBe(2);
});

test('kubelet ends a deleted pod: stop, final status, DELETE', async () => {
  await using node = await startTestNode();

  const pod = node.create('web', { terminationGracePeriodSeconds: 5 });
  await node.settle();
  await node.client.delete(pods, { namespace: 'default', name: 'web' });
  await node.settle();
  expect(node.get('web')).toBeUndefined();
  expect(node.runtime.observeAll()).toEqual([]);
  expect(node.runtime.calls.slice(-3)).toEqual([
    `stopContainer ${pod.metadata?.uid} main 5`,
    `stopSandbox ${pod.metadata?.uid}`,
    `removePod ${pod.metadata?.uid}`,
  ]);
});

test('kubelet leaves running pods alone over a restart, without a readiness flap', async () => {
  await using node = await startTestNode({ onExec: () => ({ exitCode: 0 }) });

  node.create('web', {
    containers: [
      { name: 'main', image: 'busybox', readinessProbe: { exec: { command: ['true'] }, periodSeconds: 5 } },
    ],
  });
  await node.settle();
  await node.advance(0);
  expect(node.get('web')?.status?.conditions?.find((c) => c.type === 'Ready')?.status).toBe('True');
  await node.advance(500); // Until its events are written.
  const calls = node.runtime.calls.length;
  const writes = node.client.writes.length;
  await node.restart();
  await node.settle();
  expect(node.runtime.calls).toHaveLength(calls);
  expect(node.client.writes).toHaveLength(writes);
});

test('kubelet writes no status over a restart, whatever its pods wait for', async () => {
  await using node = await startTestNode({
    behave: ({ command }) => (command[0] === 'exit' ? { exitAfterMs: 0, exitCode: Number(command[1]) } : {}),
    onExec: (_uid, _name, args) => ({ exitCode: args[0] === 'false' ? 1 : 0 }),
  });
  const container = (more: Partial<Container> = {}): Container => ({ name: 'c', image: 'busybox', ...more });
  const probe = (command: string) => ({ exec: { command: [command] }, periodSeconds: 5 });
  const exits = (code: number): Container => container({ command: ['exit', `${code}`] });
  const secret = [{ name: 'v', secret: { secretName: 'none' } }];
  const missing = { configMapKeyRef: { name: 'none', key: 'k' } };
  const specs: Record<string, PodSpec> = {
    ready: { containers: [container({ readinessProbe: probe('true') })] },
    unready: { containers: [container({ readinessProbe: probe('false') })] },
    starting: { containers: [container({ startupProbe: { ...probe('false'), failureThreshold: 99 } })] },
    done: { restartPolicy: 'Never', containers: [exits(0)] },
    failed: { restartPolicy: 'Never', containers: [exits(3)] },
    crashing: { containers: [exits(1)] },
    sidecar: {
      initContainers: [container({ name: 's', restartPolicy: 'Always' }), { ...exits(0), name: 'i' }],
      containers: [container()],
    },
    initFails: { initContainers: [{ ...exits(1), name: 'i' }], containers: [container()] },
    unmounted: {
      volumes: secret,
      containers: [container({ volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
    },
    unconfigured: { containers: [container({ env: [{ name: 'A', valueFrom: missing }] })] },
    unnamed: { containers: [container({ image: 'Not/A:Name:' })] },
    absent: { containers: [container({ imagePullPolicy: 'Never', image: 'absent' })] },
    unpulled: { containers: [container({ image: 'unpulled' })] },
    gated: { readinessGates: [{ conditionType: 'example.com/g' }], containers: [container()] },
  };
  for (const [name, spec] of Object.entries(specs)) node.create(name, spec);
  await node.settle();
  await node.advance(0);
  await node.advance(500);
  await node.settle();
  const phases = Object.keys(specs).map((name) => node.get(name)?.status?.phase);
  expect(new Set(phases)).toEqual(new Set(['Running', 'Succeeded', 'Failed', 'Pending']));
  const calls = node.runtime.calls.length;
  const writes = node.client.writes.length;
  await node.restart();
  await node.settle();
  expect(node.runtime.calls).toHaveLength(calls);
  expect(node.client.writes.slice(writes).filter((each) => !each.includes(' events '))).toEqual([]);
});

describe('kubelet', () => {
  const main = (more: Partial<Container> = {}): Container => ({ name: 'main', image: 'busybox', ...more });
  const ready = (node: TestNode, name: string) =>
    node.get(name)?.status?.conditions?.find((c) => c.type === 'Ready')?.status;
  /** Of all events, also those that wait to be written. */
  const reasons = async (node: TestNode) => {
    await node.advance(500);
    return node.client.all(events).map((event) => event.reason);
  };

  test('waits for a missing ConfigMap and goes on the moment it comes', async () => {
    await using node = await startTestNode();

    const env = [{ name: 'KEY', valueFrom: { configMapKeyRef: { name: 'settings', key: 'k' } } }];
    node.create('web', { containers: [main({ env })] });
    await node.settle();
    expect(node.get('web')?.status?.containerStatuses?.[0]?.state?.waiting).toMatchObject({
      reason: 'CreateContainerConfigError',
      message: 'configmap "settings" not found',
    });
    await node.client.create(configMaps, {
      metadata: { name: 'settings', namespace: 'default' },
      data: { k: 'v' },
    });
    await node.settle();
    expect(node.get('web')?.status?.phase).toBe('Running');
    expect(node.startedConfigs.at(-1)?.env).toContainEqual({ name: 'KEY', value: 'v' });
  });

  test('updates a mounted ConfigMap when it changes', async () => {
    await using node = await startTestNode();

    node.client.seed(configMaps, {
      metadata: { name: 'settings', namespace: 'default' },
      data: { k: 'old' },
    });
    const pod = node.create('web', {
      volumes: [{ name: 'v', configMap: { name: 'settings' } }],
      containers: [main({ volumeMounts: [{ name: 'v', mountPath: '/etc/settings' }] })],
    });
    await node.settle();
    const file = path.join(node.directory, 'pods', pod.metadata?.uid ?? '', 'volumes/configMap/v/k');
    expect(await readFile(file, 'utf8')).toBe('old');
    expect(node.startedConfigs[0]?.mounts[0]).toMatchObject({
      target: '/etc/settings',
      options: ['rbind', 'rprivate', 'ro'],
    });
    await node.client.patch(
      configMaps,
      { namespace: 'default', name: 'settings' },
      { kind: 'merge', body: { data: { k: 'new' } } },
    );
    await node.settle();
    expect(await readFile(file, 'utf8')).toBe('new');
  });

  test('updates mounted roots of trust when a bundle changes', async () => {
    await using node = await startTestNode();

    node.client.seed(clusterTrustBundles, { metadata: { name: 'b' }, spec: { trustBundle: roots.one } });
    const sources = [{ clusterTrustBundle: { name: 'b', path: 'ca.pem' } }];
    const pod = node.create('web', {
      volumes: [{ name: 'v', projected: { sources } }],
      containers: [main({ volumeMounts: [{ name: 'v', mountPath: '/ca' }] })],
    });
    await node.settle();
    const uid = pod.metadata?.uid ?? '';
    const file = path.join(node.directory, 'memory', uid, 'volumes/projected/v/ca.pem');
    expect(await readFile(file, 'utf8')).toBe(roots.one);
    const body = { spec: { trustBundle: roots.two } };
    await node.client.patch(clusterTrustBundles, { name: 'b' }, { kind: 'merge', body });
    await node.settle();
    expect(await readFile(file, 'utf8')).toBe(roots.two);
  });

  test('needs no roots of trust that may be missing of a server that has no such kind', async () => {
    await using node = await startTestNode();

    node.client.intercept = ({ verb, resource }) => {
      if (resource === 'clustertrustbundles')
        return failure.forbidden(clusterTrustBundles, 'b', 'not served');
      return verb === 'raw' && resource.startsWith('/apis/certificates')
        ? failure.resourceNotFound()
        : undefined;
    };
    const sources = [{ clusterTrustBundle: { name: 'b', path: 'ca.pem', optional: true } }];
    node.create('web', {
      volumes: [{ name: 'v', projected: { sources } }],
      containers: [main({ volumeMounts: [{ name: 'v', mountPath: '/ca' }] })],
    });
    await node.settle();
    expect(node.get('web')?.status).toMatchObject({ phase: 'Running' });
  });

  test('says FailedMount for a volume of an unknown kind, and waits', async () => {
    await using node = await startTestNode();

    node.create('web', { volumes: [{ name: 'v', flocker: { datasetName: 's' } }] });
    await node.settle();
    expect(node.get('web')?.status).toMatchObject({ phase: 'Pending' });
    expect(await reasons(node)).toContain('FailedMount');
    await node.client.delete(pods, { namespace: 'default', name: 'web' });
    await node.settle();
    expect(node.get('web')).toBeUndefined();
  });

  test('a pod that is deleted before anything of it ran has failed', async () => {
    await using node = await startTestNode();

    const web = { namespace: 'default', name: 'web' };
    node.create('web', { volumes: [{ name: 'v', flocker: { datasetName: 's' } }] });
    await node.client.patch(pods, web, { kind: 'merge', body: { metadata: { finalizers: ['a.b/keep'] } } });
    await node.settle();
    await node.client.delete(pods, web);
    await node.settle();
    expect(node.get('web')?.status).toMatchObject({ phase: 'Failed' });
  });

  test('takes an unready pod out at once, and back in', async () => {
    let isHealthy = true;
    await using node = await startTestNode({ onExec: () => ({ exitCode: isHealthy ? 0 : 1, stdout: 'oh' }) });

    node.create('web', {
      containers: [
        main({ readinessProbe: { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 1 } }),
      ],
    });
    await node.settle();
    expect(ready(node, 'web')).toBe('True');
    isHealthy = false;
    await node.advance(1000);
    expect(ready(node, 'web')).toBe('False');
    isHealthy = true;
    await node.advance(1000);
    expect(ready(node, 'web')).toBe('True');
    expect(await reasons(node)).toContain('Unhealthy');
  });

  test('keeps a pod that ends ready as long as its probe says so, and lets no liveness disturb it', async () => {
    let isHealthy = true;
    await using node = await startTestNode({ onExec: () => ({ exitCode: isHealthy ? 0 : 1, stdout: 'oh' }) });

    const probe = { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 1 };
    const args = { command: ['sh', '-c', 'sleep 3600'], readinessProbe: probe };
    node.create('web', {
      terminationGracePeriodSeconds: 600,
      containers: [main({ ...args, livenessProbe: probe })],
    });
    await node.settle();
    expect(ready(node, 'web')).toBe('True');
    await node.client.delete(pods, { namespace: 'default', name: 'web' });
    await node.advance(3000);
    expect(ready(node, 'web')).toBe('True');
    isHealthy = false;
    await node.advance(3000);
    expect(ready(node, 'web')).toBe('False');
    expect(node.get('web')?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0 });
  });

  test('restarts a container that fails its liveness probe', async () => {
    let isAlive = true;
    await using node = await startTestNode({ onExec: () => ({ exitCode: isAlive ? 0 : 1 }) });

    node.create('web', {
      containers: [
        main({ livenessProbe: { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 3 } }),
      ],
    });
    await node.settle();
    isAlive = false;
    for (let second = 0; second < 3; second++) await node.advance(1000);
    isAlive = true;
    await node.advance(500);
    expect(node.get('web')?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 1, ready: true });
  });

  test('counts a container as started when its startup probe passes', async () => {
    let isUp = false;
    await using node = await startTestNode({ onExec: () => ({ exitCode: isUp ? 0 : 1 }) });

    const startupProbe = { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 30 };
    node.create('web', { containers: [main({ startupProbe })] });
    await node.settle();
    expect(node.get('web')?.status?.containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
    isUp = true;
    await node.advance(1000);
    expect(node.get('web')?.status?.containerStatuses?.[0]).toMatchObject({ started: true, ready: true });
  });

  test('stops a pod when no Service leads to it any more: hooks and signals come after', async () => {
    const retracted = Promise.withResolvers<void>();
    const asked: string[] = [];
    await using node = await startTestNode({
      retraction: {
        retract: ({ metadata }, timeoutMs) => {
          asked.push(`${metadata?.name ?? ''} ${timeoutMs}`);
          return metadata?.name === 'web' ? retracted.promise : undefined;
        },
      },
    });

    const stops = (): readonly string[] =>
      node.runtime.calls.filter((call) => call.startsWith('stopContainer'));
    const [pod, job] = ['web', 'job'].map((name) => node.create(name, { containers: [main()] }));
    await node.settle();
    for (const name of ['web', 'job'])
      await node.client.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds: 4 });
    await node.settle();
    expect(asked).toEqual(['web 2000', 'job 2000']);
    expect(stops()).toEqual([`stopContainer ${job?.metadata?.uid} main 4`]);
    await node.advance(1_000);
    expect(stops()).toHaveLength(1);
    retracted.resolve();
    await node.settle();
    // What was waited for is of the grace period.
    expect(stops()).toContain(`stopContainer ${pod?.metadata?.uid} main 3`);
  });

  test('runs preStop before the stop signal, within the grace period', async () => {
    await using node = await startTestNode();

    const pod = node.create('web', {
      containers: [main({ lifecycle: { preStop: { sleep: { seconds: 3 } } } })],
      terminationGracePeriodSeconds: 10,
    });
    await node.settle();
    await node.client.delete(pods, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 10 });
    await node.settle();
    expect(node.runtime.calls.some((call) => call.startsWith('stopContainer'))).toBe(false);
    await node.advance(3000);
    expect(node.runtime.calls).toContain(`stopContainer ${pod.metadata?.uid} main 7`);
    expect(node.get('web')).toBeUndefined();
  });

  test('kills a container whose postStart hook fails', async () => {
    await using node = await startTestNode({ onExec: () => ({ exitCode: 1 }) });

    node.create('web', { containers: [main({ lifecycle: { postStart: { exec: { command: ['x'] } } } })] });
    await node.settle();
    expect(await reasons(node)).toEqual(expect.arrayContaining(['FailedPostStartHook', 'Killing']));
    expect(node.get('web')?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });

  test('runs a postStart hook again whose end an earlier agent did not see, and no other', async () => {
    let hooks = 0;
    await using node = await startTestNode({
      onExec: () => (++hooks === 1 ? new Promise(() => undefined) : { exitCode: 0 }),
    });

    node.create('web', { containers: [main({ lifecycle: { postStart: { exec: { command: ['x'] } } } })] });
    await node.settle();
    const started = () => node.get('web')?.status?.containerStatuses?.[0];
    expect(started()).toMatchObject({ ready: false });
    await node.restart();
    await node.settle();
    expect(hooks).toBe(2);
    expect(started()).toMatchObject({ ready: true, started: true, restartCount: 0 });
    await node.restart();
    await node.settle();
    expect(hooks).toBe(2);
  });

  test('pulls a missing image, and backs off when it cannot', async () => {
    await using node = await startTestNode();

    node.create('web', { containers: [main({ image: 'nginx:1' })] });
    await node.settle();
    const waiting = () => node.get('web')?.status?.containerStatuses?.[0]?.state?.waiting?.reason;
    expect(waiting()).toBe('ErrImagePull');
    await node.advance(1000);
    expect(waiting()).toBe('ImagePullBackOff');
    node.runtime.images.serve('nginx:1');
    await node.advance(9000);
    expect(node.get('web')?.status?.phase).toBe('Running');
    expect(await reasons(node)).toEqual(expect.arrayContaining(['Pulling', 'Failed', 'BackOff', 'Pulled']));
  });

  test('names the pull secrets that are not there', async () => {
    await using node = await startTestNode();

    node.runtime.images.serve('nginx:1');
    const imagePullSecrets = [{ name: 'one' }, { name: 'two' }];
    node.create('web', { imagePullSecrets, containers: [main({ image: 'nginx:1' })] });
    await node.settle();
    expect(node.get('web')?.status?.phase).toBe('Running');
    await node.advance(500);
    const told = node.client.all(events).find((e) => e.reason === 'FailedToRetrieveImagePullSecret');
    expect(told).toMatchObject({
      type: 'Warning',
      message:
        'Unable to retrieve some image pull secrets (one, two); attempting to pull the image may not succeed.',
    });
  });

  test('lets a pod use what another pulled when it has the credentials, and asks the registry else', async () => {
    const access = new Set<string>();
    const pulled: PulledImages = {
      isOpen: (image) => image === 'busybox',
      mayUse: (_image, _id, { secrets }) => secrets.some(({ name }) => access.has(name)),
      begin: async () => undefined,
      end: async (_image, _id, by) => void (by.kind === 'secret' && access.add(by.secret.name)),
    };
    await using node = await startTestNode({ workers: { pulled } });

    const image = 'registry.example/app:1';
    const auths = { auths: { 'registry.example': { username: 'u', password: 'p' } } };
    const data = { '.dockerconfigjson': Buffer.from(JSON.stringify(auths)).toString('base64') };
    node.client.seed(secrets, { metadata: { name: 'login', namespace: 'default' }, data });
    node.runtime.images.serve(image);
    const imagePullSecrets = [{ name: 'login' }];
    node.create('owner', { imagePullSecrets, containers: [main({ image })] });
    await node.settle();
    node.create('same', { imagePullSecrets, containers: [main({ image })] });
    node.create('never', { containers: [main({ image, imagePullPolicy: 'Never' })] });
    await node.settle();
    expect(node.runtime.images.pulls).toEqual([image]);
    expect(['owner', 'same'].map((name) => node.get(name)?.status?.phase)).toEqual(['Running', 'Running']);
    expect(node.get('never')?.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: 'ErrImageNeverPull',
      message: `Container image "${image}" is present with pull policy of Never but does not have the proper credentials to access the image`,
    });
    node.create('stranger', { containers: [main({ image })] });
    await node.settle();
    expect(node.runtime.images.pulls).toEqual([image, image]);
    await node.advance(500);
    const told = node.client.all(events).filter(({ involvedObject }) => involvedObject?.name === 'same');
    expect(told.map(({ message }) => message)).toContain(
      `Container image "${image}" already present on machine and can be accessed by the pod`,
    );
  });

  test('a pull of what the pod asked for before comes to nothing', async () => {
    await using node = await startTestNode();

    const { images } = node.runtime;
    const ends = new Map<string, () => void>();
    vi.spyOn(images, 'pull').mockImplementation(async (reference) => {
      await new Promise<void>((resolve) => ends.set(reference, resolve));
      return images.add(reference);
    });
    node.create('web', { containers: [main({ image: 'first:1' })] });
    await node.settle();
    const at = { namespace: 'default', name: 'web' };
    const body = { spec: { containers: [main({ image: 'second:1' })] } };
    await node.client.patch(pods, at, { kind: 'merge', body });
    await node.settle();
    ends.get('first:1')?.();
    await node.settle();
    expect(node.startedConfigs).toEqual([]);
    ends.get('second:1')?.();
    await node.settle();
    expect(node.startedConfigs.map(({ imageId }) => imageId)).toEqual([images.resolve('second:1')?.id]);
  });

  test.each([
    {
      container: { image: 'UPPER CASE' },
      want: [
        `InspectFailed Failed to apply default image tag "UPPER CASE": couldn't parse image name "UPPER CASE": invalid reference format: repository name (library/UPPER CASE) must be lowercase`,
        'Failed Error: InvalidImageName',
      ],
    },
    {
      container: { image: 'a.io/b/C:1' },
      want: [
        `InspectFailed Failed to apply default image tag "a.io/b/C:1": couldn't parse image name "a.io/b/C:1": invalid reference format: repository name (b/C) must be lowercase`,
        'Failed Error: InvalidImageName',
      ],
    },
    {
      container: { image: 'a:b:c' },
      want: [
        `InspectFailed Failed to apply default image tag "a:b:c": couldn't parse image name "a:b:c": invalid reference format`,
        'Failed Error: InvalidImageName',
      ],
    },
    {
      container: { image: 'nginx:1', imagePullPolicy: 'Never' as const },
      want: [
        'ErrImageNeverPull Container image "nginx:1" is not present with pull policy of Never',
        'Failed Error: ErrImageNeverPull',
      ],
    },
  ])('tells once of an image that it does not try to pull: $container', async ({ container, want }) => {
    await using node = await startTestNode();

    node.create('web', { containers: [main(container)] });
    await node.settle();
    await node.advance(30_000);
    const warnings = node.client.all(events).filter(({ type }) => type === 'Warning');
    expect(warnings.map(({ reason, message }) => `${reason} ${message}`)).toEqual(want);
    expect(warnings.map(({ involvedObject, count }) => [involvedObject.fieldPath, count])).toEqual([
      ['spec.containers{main}', 1],
      ['spec.containers{main}', 1],
    ]);
  });

  test('replaces a dead sandbox and says so', async () => {
    await using node = await startTestNode();

    const pod = node.create('web', {});
    await node.settle();
    await node.advance(5000);
    node.runtime.killSandbox(pod.metadata?.uid ?? '');
    await node.settle();
    expect(node.get('web')?.status).toMatchObject({
      phase: 'Running',
      podIP: '10.244.0.3',
      podIPs: [{ ip: '10.244.0.3' }],
    });
    expect(node.get('web')?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 1 });
    expect(await reasons(node)).toContain('SandboxChanged');
  });

  test('goes on in a new log where only a log tells of an earlier run', async () => {
    await using node = await startTestNode();

    const uid = node.create('web', {}).metadata?.uid ?? '';
    const logs = path.join(node.directory, 'logs', `default_web_${uid}`, 'main');
    mkdirSync(logs, { recursive: true });
    for (const name of ['0.log', '1.log', '1.log.20260101-000000', 'x.log'])
      writeFileSync(path.join(logs, name), '');
    await node.settle();
    expect(node.startedConfigs.map(({ stdio }) => stdio.logPath)).toEqual([path.join(logs, '2.log')]);
    expect(node.get('web')?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 2, ready: true });
  });

  test('ends a pod that was deleted by force, and one deleted while it was away', async () => {
    await using node = await startTestNode();

    const one = node.create('one', {});
    const two = node.create('two', {});
    await node.settle();
    await node.client.delete(pods, { namespace: 'default', name: 'one' }, { gracePeriodSeconds: 0 });
    await node.settle();
    expect(node.runtime.observe(one.metadata?.uid ?? '')).toBeUndefined();
    await node.restart(async () => {
      await node.client.delete(pods, { namespace: 'default', name: 'two' }, { gracePeriodSeconds: 0 });
    });
    await node.settle();
    expect(node.runtime.observe(two.metadata?.uid ?? '')).toBeUndefined();
    expect(await readdir(path.join(node.directory, 'pods'))).toEqual([]);
  });

  test('runs a job to its end and keeps its records until it is deleted', async () => {
    await using node = await startTestNode();

    const pod = node.create('job', {
      restartPolicy: 'Never',
      containers: [main({ command: ['sh', '-c', 'sleep 2; exit 0'] })],
    });
    await node.settle();
    await node.advance(2000);
    expect(node.get('job')?.status).toMatchObject({ phase: 'Succeeded', podIP: '10.244.0.2' });
    expect(node.runtime.observe(pod.metadata?.uid ?? '')?.sandbox?.state).toBe('stopped');
    await node.restart();
    await node.settle();
    expect(node.get('job')?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(0);
    await node.client.delete(pods, { namespace: 'default', name: 'job' });
    await node.settle();
    expect(node.runtime.observeAll()).toEqual([]);
  });

  test('refuses what the node cannot do, in words', async () => {
    await using node = await startTestNode({ facts: { isSelinuxEnabled: true } });

    node.create('web', { securityContext: { seLinuxOptions: { level: 's0' } } });
    await node.settle();
    expect(node.get('web')?.status).toMatchObject({
      phase: 'Failed',
      reason: 'UnexpectedAdmissionError',
      message: 'Pod was rejected: seLinuxOptions is not supported by this node',
    });
    expect(node.get('web')?.status?.containerStatuses).toBeUndefined();
    expect(node.runtime.calls).toEqual([]);
  });

  test('writes the files of a pod before any of its containers starts', async () => {
    await using node = await startTestNode({
      behave: ({ mounts }) => {
        const missing = mounts.filter(({ source }) => !existsSync(source)).map(({ target }) => target);
        return missing.length === 0 ? undefined : { startError: `no ${missing.join()}` };
      },
    });

    const pod = node.create('web', { containers: ['a', 'b', 'c'].map((name) => main({ name })) });
    await node.settle();
    expect(node.get('web')?.status?.containerStatuses?.every(({ ready }) => ready)).toBe(true);
    const id = node.startedConfigs.find(({ name }) => name === 'a')?.id.slice(0, 12) ?? '';
    const message = path.join(node.directory, 'pods', pod.metadata?.uid ?? '', 'containers/a', id);
    expect(statSync(message).mode & 0o777).toBe(0o666);
  });

  const steps = ['runSandbox', 'startContainer', 'stopContainer', 'stopSandbox', 'removePod'];
  test.each(steps)('converges when %s fails once', async (step) => {
    await using node = await startTestNode();

    node.runtime.failNext.set(step, new PodwrightError('E_KERNEL', `${step}: EIO`));
    node.create('web', { terminationGracePeriodSeconds: 1 });
    await node.settle();
    for (let second = 0; second < 5; second++) await node.advance(1000);
    expect(node.get('web')?.status?.phase).toBe('Running');
    await node.client.delete(pods, { namespace: 'default', name: 'web' });
    await node.settle();
    for (let second = 0; second < 5; second++) await node.advance(1000);
    expect(node.get('web')).toBeUndefined();
    expect(node.runtime.observeAll()).toEqual([]);
    expect(await readdir(path.join(node.directory, 'pods'))).toEqual([]);
  });

  test('converges when the API server refuses writes for a while', async () => {
    await using node = await startTestNode();

    let refusals = 0;
    node.client.intercept = ({ verb }) =>
      verb === 'patch' && refusals++ < 3 ? new PodwrightError('E_CONNECTION', 'down') : undefined;
    node.create('web', {});
    await node.settle();
    for (let second = 0; second < 3; second++) await node.advance(1000);
    expect(node.get('web')?.status?.phase).toBe('Running');
  });
});
