/** A webhook that runs in a pod, behind a Service; and what nodes and pods use. */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from './cluster.ts';

const libraries = '/lib/x86_64-linux-gnu';
const loader = '/lib64/ld-linux-x86-64.so.2';
/** The machine's own Node runs in the pod, with the machine's libraries. */
const canRun = canTestClusters() && existsSync(loader) && existsSync(libraries);

/** Labels what is made. */
const program = `
import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
createServer({ cert: readFileSync('/tls/tls.crt'), key: readFileSync('/tls/tls.key') }, (request, response) => {
  let text = '';
  request.on('data', (chunk) => (text += chunk)).on('end', () => {
    if (request.method !== 'POST') return response.end('ok');
    const { apiVersion, kind, request: asked } = JSON.parse(text);
    const patch = [{ op: 'add', path: '/metadata/labels', value: { hooked: asked.name } }];
    const answer = { uid: asked.uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
    response.end(JSON.stringify({ apiVersion, kind, response: answer }));
  });
}).listen(8443);
`;

const mounts = [
  ['lib', libraries, { hostPath: { path: libraries } }],
  ['lib64', '/lib64', { hostPath: { path: '/lib64' } }],
  ['node', '/node', { hostPath: { path: dirname(process.execPath) } }],
  ['code', '/code', { configMap: { name: 'code' } }],
  ['tls', '/tls', { secret: { secretName: 'tls' } }],
] as const;

function pod(): object {
  return {
    ...{
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'hook', namespace: 'hooks', labels: { app: 'hook' } },
    },
    spec: {
      containers: [
        {
          ...{ name: 'c', image: 'podwright/demo:1' },
          command: [loader, '--library-path', libraries, '/node/node', '/code/hook.mjs'],
          readinessProbe: { httpGet: { port: 8443, scheme: 'HTTPS' }, periodSeconds: 1 },
          volumeMounts: mounts.map(([name, mountPath]) => ({ name, mountPath, readOnly: true })),
        },
      ],
      volumes: mounts.map(([name, , source]) => ({ name, ...source })),
    },
  };
}

describe.skipIf(!canRun)('a webhook in a pod', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  const directory = scratchDirectory('podwright-webhook-');
  beforeAll(async () => {
    cluster = await startCluster();
    const nowMs = Date.now();
    const authority = await createAuthority('hooks', nowMs);
    const names = { commonName: 'hook', hosts: ['hook.hooks.svc'] };
    const { certPem, keyPem } = await issueCertificate(authority, { ...names, usages: ['server'], nowMs });
    for (const [name, text] of Object.entries({ 'hook.mjs': program, 'tls.crt': certPem, 'tls.key': keyPem }))
      writeFileSync(join(directory, name), text);
    await cluster.must('create namespace hooks');
    const files = `--cert=${join(directory, 'tls.crt')} --key=${join(directory, 'tls.key')}`;
    await cluster.must(`-n hooks create secret tls tls ${files}`);
    await cluster.must(`-n hooks create configmap code --from-file=${join(directory, 'hook.mjs')}`);
    const caBundle = Buffer.from(authority.certPem).toString('base64');
    const webhook = {
      ...{ name: 'hook.example.com', admissionReviewVersions: ['v1'], sideEffects: 'None' },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
      clientConfig: { service: { namespace: 'hooks', name: 'hook' }, caBundle },
    };
    const objects = [
      pod(),
      {
        ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'hook', namespace: 'hooks' } },
        spec: { selector: { app: 'hook' }, ports: [{ port: 443, targetPort: 8443 }] },
      },
      {
        ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration' },
        ...{ metadata: { name: 'hook' }, webhooks: [webhook] },
      },
    ];
    for (const object of objects) await cluster.must('create -f -', { input: JSON.stringify(object) });
  }, 180_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  it('is called over the pod network, and missed when it is gone', async () => {
    await cluster.must('-n hooks wait --for=condition=Ready pod/hook --timeout=120s');
    expect(await cluster.must('create configmap seen -o jsonpath={.metadata.labels}')).toBe(
      '{"hooked":"seen"}',
    );
    await cluster.must('-n hooks delete pod hook --grace-period=0 --force');
    const refused = await cluster.kubectl('create configmap unseen');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      'failed calling webhook "hook.example.com": failed to call webhook: Post "https://hook.hooks.svc:443/?timeout=10s": ',
    );
  });

  it('kubectl top tells what nodes and pods use', async () => {
    await cluster.must('create deployment web --image=podwright/demo:1');
    await cluster.must('wait --for=condition=Available deployment/web --timeout=120s');
    const nodes = await eventually('kubectl top nodes', async () => {
      const { code, stdout } = await cluster.kubectl('top nodes --no-headers');
      return code === 0 && stdout.trim() !== '' && stdout;
    });
    // Of the whole machine, and never of more than it has.
    expect(Number(/\s(\d+)%/.exec(nodes)?.[1])).toBeLessThanOrEqual(110);
    await eventually('kubectl top pods', async () => {
      const { stdout } = await cluster.kubectl('top pods --containers --no-headers -l app=web');
      return /^web-\S+\s+demo\s+\d+m\s+\d+Mi/m.test(stdout);
    });
  });
});
