/**
 * What programs on client-node do, one function each: `node examples.mjs KUBECONFIG NAMESPACE`. Each prints a line of JSON, in the words of
 * test/vm/report.ts. JavaScript, for the package is in the cache only, and its types with it; the lane runs a copy that lies beside it.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';

import * as k8s from '@kubernetes/client-node';

const [kubeconfig, namespace] = process.argv.slice(2);
const image = 'podwright/demo:1';
const deadlineMs = 60_000;

const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);

const sleep = (ms) => new Promise((resolve) => void setTimeout(resolve, ms));

async function eventually(what, probe) {
  const giveUp = Date.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > giveUp) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await sleep(100);
  }
}

/** What is written into it, as text; `end` is settled when nothing more comes. */
function collector() {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { stream, text: () => text };
}

async function fails(code, promise) {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  assert.equal(error?.code, code, String(error));
  return error;
}

function podOf(name, command) {
  return {
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image, ...(command === undefined ? {} : { command }) }],
    },
  };
}

async function runPod(name, command, phases = ['Running', 'Succeeded']) {
  await core.createNamespacedPod({ namespace, body: podOf(name, command) });
  await eventually(name, async () =>
    phases.includes((await core.readNamespacedPod({ name, namespace })).status.phase),
  );
}

async function execute(pod, command, { stdin = null, tty = false } = {}) {
  const out = collector();
  const err = collector();
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config)
      .exec(namespace, pod, 'main', command, out.stream, err.stream, stdin, tty, resolve)
      .catch(reject);
  });
  return { status, out: out.text(), err: err.text() };
}

const examples = {
  async 'lists pods and namespaces'() {
    const { items } = await core.listNamespace();
    assert.ok(items.some(({ metadata }) => metadata.name === namespace));
    assert.ok((await core.listPodForAllNamespaces()).metadata.resourceVersion);
  },

  async 'creates, reads, replaces and deletes a namespace and a pod'() {
    const name = `${namespace}-made`;
    await core.createNamespace({ body: { metadata: { name } } });
    assert.equal((await core.readNamespace({ name })).status.phase, 'Active');
    await core.deleteNamespace({ name });
    await eventually('the namespace to go', async () =>
      core.readNamespace({ name }).then(
        () => false,
        (error) => error.code === 404,
      ),
    );
  },

  async 'replaces on the version that it read'() {
    const made = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'crud' }, data: { a: '1' } },
    });
    assert.ok(made.metadata.creationTimestamp instanceof Date);
    const body = { ...made, data: { a: '2' } };
    assert.equal((await core.replaceNamespacedConfigMap({ name: 'crud', namespace, body })).data.a, '2');
    await fails(409, core.replaceNamespacedConfigMap({ name: 'crud', namespace, body }));
    await fails(404, core.readNamespacedConfigMap({ name: 'none', namespace }));
    await fails(422, core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'A_b' } } }));
  },

  async 'patches by three kinds of patch'() {
    const patch = (body, strategy) =>
      core.patchNamespacedConfigMap(
        { name: 'crud', namespace, body },
        k8s.setHeaderOptions('Content-Type', strategy),
      );
    const byJson = await patch(
      [{ op: 'replace', path: '/data', value: { b: '3' } }],
      k8s.PatchStrategy.JsonPatch,
    );
    assert.deepEqual(byJson.data, { b: '3' });
    assert.deepEqual((await patch({ data: { c: '4' } }, k8s.PatchStrategy.MergePatch)).data, {
      b: '3',
      c: '4',
    });
    const strategic = await patch({ data: { b: null } }, k8s.PatchStrategy.StrategicMergePatch);
    assert.deepEqual(strategic.data, { c: '4' });
    // Without a word about it: a JSON patch.
    const plain = await core.patchNamespacedConfigMap({
      name: 'crud',
      namespace,
      body: [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }],
    });
    assert.deepEqual(plain.metadata.labels, { a: 'b' });
  },

  async 'applies on the server'() {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { a: 'b' } };
    const applied = await core.patchNamespacedConfigMap(
      { name: 'applied', namespace, body, fieldManager: 'example', force: true },
      k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply),
    );
    assert.deepEqual(applied.data, { a: 'b' });
  },

  async 'lists in pages and by selectors'() {
    for (let index = 0; index < 5; index++)
      await core.createNamespacedConfigMap({
        namespace,
        body: { metadata: { name: `page-${index}`, labels: { page: 'yes' } } },
      });
    const names = [];
    let next;
    do {
      const page = await core.listNamespacedConfigMap({
        namespace,
        labelSelector: 'page=yes',
        limit: 2,
        ...(next === undefined ? {} : { _continue: next }),
      });
      names.push(...page.items.map(({ metadata }) => metadata.name));
      next = page.metadata._continue;
    } while (next);
    assert.deepEqual(
      names,
      [0, 1, 2, 3, 4].map((index) => `page-${index}`),
    );
    const one = await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=page-3' });
    assert.equal(one.items.length, 1);
  },

  async watches() {
    const seen = [];
    const watch = new k8s.Watch(config);
    const ended = Promise.withResolvers();
    const controller = await watch.watch(
      `/api/v1/namespaces/${namespace}/pods`,
      { labelSelector: 'app=watched', allowWatchBookmarks: true },
      (type, pod) => seen.push(`${type} ${pod.status.phase}`),
      ended.resolve,
    );
    await runPod('watched', ['true'], ['Succeeded']);
    await eventually('the end of the pod', async () => seen.includes('MODIFIED Succeeded'));
    assert.equal(seen[0], 'ADDED Pending');
    controller.abort();
    await ended.promise;
  },

  async 'is told when a watch is over'() {
    const ended = Promise.withResolvers();
    await new k8s.Watch(config).watch(
      `/api/v1/namespaces/${namespace}/pods`,
      { timeoutSeconds: 1 },
      () => undefined,
      ended.resolve,
    );
    const error = await ended.promise;
    assert.ok(error === null || error === undefined || error === k8s.Watch.SERVER_SIDE_CLOSE, String(error));
  },

  async 'keeps an informer over watches that end'() {
    // A way to the server that breaks all connections when told to.
    const { host, port } = new URL(config.getCurrentCluster().server);
    assert.ok(host);
    const sockets = new Set();
    const proxy = createServer((socket) => {
      const server = connect(Number(port), '127.0.0.1');
      for (const each of [socket, server]) {
        sockets.add(each);
        each.on('error', () => undefined);
        each.on('close', () => sockets.delete(each));
      }
      socket.pipe(server).pipe(socket);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => void proxy.once('listening', resolve));
    const through = new k8s.KubeConfig();
    through.loadFromString(
      readFileSync(kubeconfig, 'utf8').replace(
        /server: .*/,
        `server: https://127.0.0.1:${proxy.address().port}`,
      ),
    );
    const api = through.makeApiClient(k8s.CoreV1Api);
    const events = [];
    const informer = k8s.makeInformer(
      through,
      `/api/v1/namespaces/${namespace}/configmaps`,
      () => api.listNamespacedConfigMap({ namespace, labelSelector: 'informed=yes' }),
      'informed=yes',
    );
    let connects = 0;
    let broken = 0;
    informer.on('connect', () => connects++);
    for (const verb of ['add', 'update', 'delete'])
      informer.on(verb, ({ metadata }) => events.push(`${verb} ${metadata.name}`));
    informer.on('error', () => {
      broken++;
      setTimeout(() => void informer.start().catch(() => undefined), 200);
    });
    await informer.start();
    const labels = { informed: 'yes' };
    const make = (name) =>
      core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels }, data: {} } });
    await make('before');
    await eventually('add', async () => events.includes('add before'));
    for (const socket of sockets) socket.destroy();
    await make('between');
    await eventually('what was made between', async () => events.includes('add between'));
    await core.deleteNamespacedConfigMap({ name: 'before', namespace });
    await eventually('delete', async () => events.includes('delete before'));
    assert.ok(informer.get('between', namespace));
    assert.ok(connects > 0 && broken >= 0);
    await informer.stop();
    for (const socket of sockets) socket.destroy();
    proxy.close();
  },

  async 'executes, with the status of the end'() {
    await runPod('shell', ['sleep', '3600']);
    const good = await execute('shell', ['sh', '-c', 'echo out; echo err >&2']);
    assert.deepEqual([good.out, good.err, good.status.status], ['out\n', 'err\n', 'Success']);
    const bad = await execute('shell', ['sh', '-c', 'exit 7']);
    assert.equal(bad.status.status, 'Failure');
    assert.deepEqual(bad.status.details.causes[0], { reason: 'ExitCode', message: '7' });
  },

  async 'executes with input and in a terminal'() {
    const stdin = new PassThrough();
    const answered = execute('shell', ['head', '-c', '8'], { stdin });
    stdin.write('through\n');
    assert.equal((await answered).out, 'through\n');
    assert.match(
      (await execute('shell', ['tty'], { tty: true, stdin: new PassThrough() })).out,
      /\/dev\/pts\//,
    );
  },

  async 'executes with input that ends'() {
    const stdin = new PassThrough();
    const answered = execute('shell', ['cat'], { stdin });
    stdin.end('all of it\n');
    assert.equal((await answered).out, 'all of it\n');
  },

  async 'has every byte of much output'() {
    const { out } = await execute('shell', ['sh', '-c', 'head -c 2000000 /dev/zero | tr "\\0" a']);
    assert.equal(out.length, 2_000_000);
  },

  async attaches() {
    await runPod('ticks', ['sh', '-c', 'while :; do echo tick; sleep 0.2; done']);
    const out = collector();
    const socket = await new k8s.Attach(config).attach(
      namespace,
      'ticks',
      'main',
      out.stream,
      null,
      null,
      false,
    );
    await eventually('a tick', async () => out.text().includes('tick\n'));
    socket.close();
  },

  async 'copies both ways'() {
    const directory = mkdtempSync(join(tmpdir(), 'cp-'));
    writeFileSync(join(directory, 'there.txt'), 'there and back\n');
    const cp = new k8s.Cp(config);
    await cp.cpToPod(namespace, 'shell', 'main', directory, '/tmp');
    await eventually(
      'the file',
      async () => (await execute('shell', ['cat', '/tmp/there.txt'])).out === 'there and back\n',
    );
    const back = mkdtempSync(join(tmpdir(), 'back-'));
    await cp.cpFromPod(namespace, 'shell', 'main', 'there.txt', back, '/tmp');
    const copy = join(back, 'there.txt');
    await eventually(
      'the copy',
      async () => existsSync(copy) && readFileSync(copy, 'utf8') === 'there and back\n',
    );
  },

  async 'follows logs'() {
    await core.createNamespacedPod({
      namespace,
      body: podOf('lines', ['sh', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.3; done']),
    });
    await eventually('a log', async () =>
      ['Running', 'Succeeded'].includes(
        (await core.readNamespacedPod({ name: 'lines', namespace })).status.phase,
      ),
    );
    const log = new k8s.Log(config);
    const stream = new PassThrough();
    let text = '';
    stream.on('data', (chunk) => (text += chunk));
    await log.log(namespace, 'lines', 'main', stream, {
      follow: true,
      tailLines: 50,
      pretty: false,
      timestamps: false,
    });
    await eventually('three lines', async () => text === 'line 1\nline 2\nline 3\n');
    assert.equal(await core.readNamespacedPodLog({ name: 'lines', namespace, tailLines: 1 }), 'line 3\n');
  },

  async 'forwards a port'() {
    await runPod('web');
    const forward = new k8s.PortForward(config);
    const server = createServer(
      (socket) => void forward.portForward(namespace, 'web', [8080], socket, null, socket),
    );
    await new Promise((resolve) => void server.listen(0, '127.0.0.1', resolve));
    // The client does not end the socket when the pod's side does: what comes is looked at as it comes. The web server may not listen yet.
    const answer = await eventually('an answer', async () => {
      const out = collector();
      const socket = connect(server.address().port, '127.0.0.1').on('error', () => undefined);
      socket.pipe(out.stream);
      socket.write('GET / HTTP/1.0\r\n\r\n');
      const until = Date.now() + 3000;
      while (!out.text().includes('web') && Date.now() < until) await sleep(50);
      socket.destroy();
      return out.text();
    });
    assert.match(answer, /web/);
    server.close();
  },

  async 'works with any object'() {
    const api = k8s.KubernetesObjectApi.makeApiClient(config);
    const specs = k8s.loadAllYaml(`
apiVersion: v1
kind: ConfigMap
metadata: {name: any, namespace: ${namespace}}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: any, namespace: ${namespace}}
spec:
  selector: {matchLabels: {app: any}}
  template:
    metadata: {labels: {app: any}}
    spec: {containers: [{name: any, image: ${image}}]}
`);
    for (const spec of specs) await api.create(spec);
    const read = await api.read({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'any', namespace },
    });
    assert.equal(read.spec.replicas, 1);
    const patched = await api.patch({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'any', namespace },
      spec: { replicas: 2 },
    });
    assert.equal(patched.spec.replicas, 2);
    const listed = await api.list('apps/v1', 'Deployment', namespace);
    assert.ok(listed.items.some(({ metadata }) => metadata.name === 'any'));
    await eventually('two replicas', async () => {
      const { status } = await apps.readNamespacedDeploymentStatus({ name: 'any', namespace });
      return status.readyReplicas === 2;
    });
    for (const spec of specs) await api.delete(spec, undefined, undefined, 0, undefined, 'Background');
  },

  async 'scales and restarts a deployment'() {
    await apps.createNamespacedDeployment({
      namespace,
      body: {
        metadata: { name: 'scaled' },
        spec: {
          selector: { matchLabels: { app: 'scaled' } },
          template: {
            metadata: { labels: { app: 'scaled' } },
            spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image }] },
          },
        },
      },
    });
    // Its controller writes its status meanwhile: as in every example of updates, a conflict is met by another try.
    const again = (what, change) =>
      eventually(what, () =>
        change().then(
          () => true,
          (error) => {
            assert.equal(error.code, 409, String(error));
            return false;
          },
        ),
      );
    await again('the scale', async () => {
      const scale = await apps.readNamespacedDeploymentScale({ name: 'scaled', namespace });
      scale.spec.replicas = 2;
      await apps.replaceNamespacedDeploymentScale({ name: 'scaled', namespace, body: scale });
    });
    await again('the restart', async () => {
      const body = await apps.readNamespacedDeployment({ name: 'scaled', namespace });
      assert.equal(body.spec.replicas, 2);
      body.spec.template.metadata.annotations = {
        'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z',
      };
      await apps.replaceNamespacedDeployment({ name: 'scaled', namespace, body });
    });
    await eventually('it to roll out', async () => {
      const { metadata, spec, status } = await apps.readNamespacedDeployment({ name: 'scaled', namespace });
      return (
        status.observedGeneration === metadata.generation &&
        status.updatedReplicas === spec.replicas &&
        status.availableReplicas === spec.replicas
      );
    });
  },

  async 'makes an ingress and a cron job'() {
    await config.makeApiClient(k8s.NetworkingV1Api).createNamespacedIngress({
      namespace,
      body: {
        metadata: { name: 'www' },
        spec: {
          rules: [
            {
              host: 'www.example.org',
              http: {
                paths: [
                  {
                    path: '/',
                    pathType: 'Prefix',
                    backend: { service: { name: 'www', port: { number: 80 } } },
                  },
                ],
              },
            },
          ],
        },
      },
    });
    const made = await config.makeApiClient(k8s.BatchV1Api).createNamespacedCronJob({
      namespace,
      body: {
        metadata: { name: 'hello' },
        spec: {
          schedule: '* * * * *',
          suspend: true,
          jobTemplate: {
            spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image }] } } },
          },
        },
      },
    });
    assert.equal(made.spec.concurrencyPolicy, 'Allow');
  },

  async 'asks for the totals of nodes'() {
    const nodes = await k8s.topNodes(core);
    assert.ok(nodes.length >= 2);
  },

  async 'asks for metrics of pods'() {
    const pods = await k8s.topPods(core, new k8s.Metrics(config), namespace);
    assert.ok(pods.length > 0);
  },

  async 'lets the pods of a namespace read in it'() {
    await config.makeApiClient(k8s.RbacAuthorizationV1Api).createNamespacedRoleBinding({
      namespace,
      body: {
        metadata: { name: 'pods-read' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
      },
    });
  },

  async 'knows itself by a token'() {
    const { status } = await core.createNamespacedServiceAccountToken({
      name: 'default',
      namespace,
      body: { spec: { audiences: [], expirationSeconds: 600 } },
    });
    const cluster = config.getCurrentCluster();
    const known = new k8s.KubeConfig();
    known.loadFromClusterAndUser(cluster, { name: 'robot', token: status.token });
    const review = await known.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
    assert.equal(review.status.userInfo.username, `system:serviceaccount:${namespace}:default`);
    const stranger = new k8s.KubeConfig();
    stranger.loadFromClusterAndUser(cluster, { name: 'nobody', token: 'nonsense' });
    await fails(401, stranger.makeApiClient(k8s.CoreV1Api).listNamespacedPod({ namespace }));
  },

  async 'finds the API from inside a pod'() {
    // The node's own Node.js, and this file, are lent to the pod; the image has neither.
    const own = import.meta.dirname;
    const packages = realpathSync(join(own, 'node_modules'));
    const lent = {
      '/lib64': '/usr/lib64',
      '/lib/x86_64-linux-gnu': '/usr/lib/x86_64-linux-gnu',
      '/lent': own,
    };
    const volumes = { ...lent, [packages]: packages, '/node': process.execPath };
    const entries = Object.entries(volumes);
    const pod = podOf('inside', ['/node', '/lent/inside.mjs']);
    pod.spec.volumes = entries.map(([, path], index) => ({ name: `lent-${index}`, hostPath: { path } }));
    pod.spec.containers[0].volumeMounts = entries.map(([mountPath], index) => ({
      name: `lent-${index}`,
      mountPath,
      readOnly: true,
    }));
    await core.createNamespacedPod({ namespace, body: pod });
    const phase = await eventually('its end', async () => {
      const { status } = await core.readNamespacedPod({ name: 'inside', namespace });
      return ['Succeeded', 'Failed'].includes(status.phase) && status.phase;
    });
    const said = await core.readNamespacedPodLog({ name: 'inside', namespace });
    assert.equal(phase, 'Succeeded', said);
    assert.match(said, new RegExp(`system:serviceaccount:${namespace}:default sees inside`));
  },

  async 'asks what the API has and how it is'() {
    assert.equal((await config.makeApiClient(k8s.VersionApi).getCode()).major, '1');
    const { groups } = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
    assert.ok(groups.some(({ name }) => name === 'apps'));
    const health = new k8s.Health(config);
    assert.equal(await health.readyz({}), true);
    assert.equal(await health.livez({}), true);
  },

  async 'writes events and evicts'() {
    await core.createNamespacedEvent({
      namespace,
      body: {
        metadata: { generateName: 'node-' },
        involvedObject: { kind: 'Pod', name: 'shell', namespace },
        reason: 'Tried',
        eventTime: new k8s.V1MicroTime(),
        reportingComponent: 'example',
        reportingInstance: 'one',
        action: 'Try',
        type: 'Normal',
      },
    });
    await core.createNamespacedPodEviction({
      name: 'ticks',
      namespace,
      body: { metadata: { name: 'ticks', namespace }, deleteOptions: { gracePeriodSeconds: 0 } },
    });
    await eventually('it to go', async () =>
      core.readNamespacedPod({ name: 'ticks', namespace }).then(
        () => false,
        (error) => error.code === 404,
      ),
    );
  },

  async 'has custom objects'() {
    const [group, version, plural] = ['node.example.com', 'v1', 'crontabs'];
    const definitions = config.makeApiClient(k8s.ApiextensionsV1Api);
    const custom = config.makeApiClient(k8s.CustomObjectsApi);
    const where = { group, version, namespace, plural };
    const schema = {
      openAPIV3Schema: {
        type: 'object',
        properties: { spec: { type: 'object', properties: { replicas: { type: 'integer' } } } },
      },
    };
    const name = `${plural}.${group}`;
    await definitions.createCustomResourceDefinition({
      body: {
        metadata: { name },
        spec: {
          ...{ group, scope: 'Namespaced', names: { plural, singular: 'crontab', kind: 'CronTab' } },
          versions: [{ name: version, served: true, storage: true, schema }],
        },
      },
    });
    await eventually('the kind to be served', async () =>
      custom.listNamespacedCustomObject(where).then(
        () => true,
        (error) => error.code !== 404,
      ),
    );
    await custom.createNamespacedCustomObject({
      ...where,
      body: {
        apiVersion: `${group}/${version}`,
        kind: 'CronTab',
        metadata: { name: 'a' },
        spec: { replicas: 2 },
      },
    });
    const { items } = await custom.listNamespacedCustomObject(where);
    assert.deepEqual(
      items.map(({ spec }) => spec),
      [{ replicas: 2 }],
    );
    await definitions.deleteCustomResourceDefinition({ name });
  },
};

const report = (line) => console.log(JSON.stringify(line));
// Some of the package's own callbacks throw where nobody catches: that is the end of the example, not of the program.
let uncaught;
process.on('uncaughtException', (error) => uncaught(error));
for (const [text, example] of Object.entries(examples)) {
  const start = performance.now();
  const ms = () => Math.round(performance.now() - start);
  const thrown = Promise.withResolvers();
  uncaught = thrown.reject;
  try {
    await Promise.race([example(), thrown.promise]);
    report({ kind: 'passed', text, ms: ms() });
  } catch (error) {
    report({ kind: 'failed', text, ms: ms(), why: String(error?.stack ?? error).slice(0, 1200) });
  }
}
report({ kind: 'through' });
process.exit(0);
