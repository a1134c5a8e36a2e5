import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { choosePlugins } from '#control-plane/apiserver/chain/admission/choice/choose-plugins.ts';
import { pluginRows } from '#control-plane/apiserver/chain/admission/plugins.ts';
import {
  startHookServer,
  type HookServer,
} from '#control-plane/apiserver/chain/admission/webhooks/hook-server.fixture.ts';

const apiVersion = 'admissionregistration.k8s.io/v1';
const group = `/apis/${apiVersion}`;
const rulesFor = (resources: readonly string[], operations = ['CREATE']): readonly JsonObject[] => [
  { apiGroups: ['*'], apiVersions: ['*'], operations, resources, scope: '*' },
];
/** Nobody deletes configurations of admission, and ConfigMaps keep to an expression. */
const policyText = (expression: string): string =>
  [
    {
      ...{ apiVersion, kind: 'ValidatingAdmissionPolicy', metadata: { name: 'p.static.k8s.io' } },
      spec: {
        matchConstraints: {
          resourceRules: [
            ...rulesFor(['configmaps']),
            ...rulesFor(['validatingadmissionpolicies'], ['DELETE']),
          ],
        },
        validations: [{ expression }],
      },
    },
    {
      ...{ apiVersion, kind: 'ValidatingAdmissionPolicyBinding', metadata: { name: 'p.static.k8s.io' } },
      spec: { policyName: 'p.static.k8s.io', validationActions: ['Deny'] },
    },
  ]
    .map((object) => JSON.stringify(object))
    .join('\n');
const hookText = (kind: string, { port, caBundle }: HookServer, resources = ['*']): string =>
  JSON.stringify({
    ...{ apiVersion, kind, metadata: { name: 'h.static.k8s.io' } },
    webhooks: [
      {
        ...{ name: 'h.static.k8s.io', admissionReviewVersions: ['v1'], sideEffects: 'None' },
        ...{
          rules: rulesFor(resources),
          clientConfig: { url: `https://127.0.0.1:${port}/${kind}`, caBundle },
        },
      },
    ],
  });

let root: string;
let hooks: HookServer;
let test: TestServer;
/** As editors do it: the whole file at once. */
const write = (directory: string, name: string, text: string): void => {
  writeFileSync(join(root, `${name}.new`), text);
  renameSync(join(root, `${name}.new`), join(root, directory, name));
};
const start = (directories: Readonly<Record<string, string>>): Promise<TestServer> => {
  const configurations = Object.entries(directories).map(([plugin, directory]) => {
    const kind = plugin.endsWith('Webhook') ? 'WebhookAdmissionConfiguration' : `${plugin}Configuration`;
    const value = {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind,
      staticManifestsDir: join(root, directory),
    };
    return [plugin, { value, directory: root, file: join(root, 'admission.yaml') }] as const;
  });
  const none = { enabled: [], disabled: [] };
  return startTestServer({ admissionPlugins: choosePlugins(pluginRows, none, new Map(configurations)) });
};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'podwright-manifests-'));
  for (const name of ['policies', 'hooks', 'mutating', 'empty']) mkdirSync(join(root, name));
  hooks = await startHookServer();
  write('policies', 'p.json', policyText('false'));
  write('policies', 'README.md', 'not a manifest');
  write(
    'hooks',
    'h.yaml',
    hookText('ValidatingWebhookConfiguration', hooks, ['mutatingwebhookconfigurations']),
  );
  write('mutating', 'h.yml', hookText('MutatingWebhookConfiguration', hooks, ['secrets']));
  test = await start({
    ...{ ValidatingAdmissionPolicy: 'policies', ValidatingAdmissionWebhook: 'hooks' },
    ...{ MutatingAdmissionWebhook: 'mutating', MutatingAdmissionPolicy: 'empty' },
  });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await hooks[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

const tryMap = (): Promise<Answer> =>
  test.call('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', {
    body: { metadata: { name: 'c' } },
  });
const metric = async (name: string): Promise<readonly string[]> => {
  const { text } = await test.call('GET', '/metrics');
  return text
    .split('\n')
    .filter((line) => line.startsWith(`apiserver_manifest_admission_config_controller_${name}{`));
};

describe('static manifests', () => {
  it('hold from the first request on, and are not in the API', async () => {
    expect((await tryMap()).json['message']).toBe(
      `configmaps "c" is forbidden: ValidatingAdmissionPolicy 'p.static.k8s.io' with binding 'p.static.k8s.io' denied request: failed expression: false`,
    );
    expect((await test.call('GET', `${group}/validatingadmissionpolicies`)).json['items']).toEqual([]);
  });

  it('have a say in configurations of admission', async () => {
    const spec = {
      matchConstraints: { resourceRules: rulesFor(['pods']) },
      validations: [{ expression: 'true' }],
    };
    await test.make(`${group}/validatingadmissionpolicies`, { metadata: { name: 'q' }, spec });
    expect((await test.call('DELETE', `${group}/validatingadmissionpolicies/q`)).status).toBe(422);
    hooks.on('/ValidatingWebhookConfiguration', () => ({ allowed: false, status: { message: 'not here' } }));
    const made = await test.call('POST', `${group}/mutatingwebhookconfigurations`, {
      body: { metadata: { name: 'm' } },
    });
    expect(made.json['message']).toBe('admission webhook "h.static.k8s.io" denied the request: not here');
  });

  it('change objects', async () => {
    const patch = Buffer.from('[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]').toString(
      'base64',
    );
    hooks.on('/MutatingWebhookConfiguration', () => ({ allowed: true, patch, patchType: 'JSONPatch' }));
    const made = await test.make('/api/v1/namespaces/default/secrets', { metadata: { name: 's' } });
    expect(made['metadata']?.['labels']).toEqual({ a: 'b' });
  });

  it('keep their names to themselves', async () => {
    const body = {
      metadata: { name: 'x.static.k8s.io' },
      spec: { policyName: 'p.static.k8s.io', validationActions: ['Warn'] },
    };
    const made = await test.call('POST', `${group}/validatingadmissionpolicybindings`, { body });
    expect(made.json['message']).toContain(
      'metadata.name: Invalid value: "x.static.k8s.io": names ending with ".static.k8s.io" are reserved for static manifest-based configurations',
    );
  });

  it('are read again when they change, as a whole or not at all', async () => {
    const infoOf = async (): Promise<readonly string[]> =>
      (await metric('last_config_info')).filter((line) => line.includes('"ValidatingAdmissionPolicy"'));
    const before = await infoOf();
    write('policies', 'p.json', policyText('1 +'));
    await expect
      .poll(() => metric('automatic_reloads_total'), { timeout: 30_000 })
      .toEqual([expect.stringMatching(/plugin="ValidatingAdmissionPolicy",status="failure"} 1$/)]);
    expect((await tryMap()).status).toBe(422);
    write('policies', 'p.json', policyText('true'));
    await expect.poll(async () => (await tryMap()).status, { timeout: 30_000 }).toBe(201);
    expect((await metric('automatic_reloads_total'))[1]).toMatch(/status="success"} 1$/);
    expect((await metric('automatic_reload_last_timestamp_seconds')).length).toBe(2);
    expect((await metric('last_config_info')).length).toBe(4);
    expect(await infoOf()).not.toEqual(before);
  });

  it('are bounded', async () => {
    mkdirSync(join(root, 'many'));
    for (let index = 0; index <= 256; index++) writeFileSync(join(root, 'many', `${index}.yaml`), '');
    await expect(start({ MutatingAdmissionPolicy: 'many' })).rejects.toThrow('257 files, more than 256');
    mkdirSync(join(root, 'large'));
    write('large', 'p.yaml', '#'.repeat(3 * 1024 * 1024 + 1));
    await expect(start({ MutatingAdmissionPolicy: 'large' })).rejects.toThrow('bytes, more than');
  });

  it('keep a server from starting that are wrong', async () => {
    mkdirSync(join(root, 'wrong'));
    write('wrong', 'p.json', '{"kind":"Pod","apiVersion":"v1"}');
    await expect(start({ MutatingAdmissionPolicy: 'wrong' })).rejects.toThrow(
      /^plugin MutatingAdmissionPolicy: .*p\.json: v1 Pod is none of/,
    );
    await expect(async () => start({ MutatingAdmissionPolicy: 'nowhere' })).rejects.toThrow(
      'staticManifestsDir: ',
    );
  });
});

describe('a server without static manifests', () => {
  it('warns of their names', async () => {
    await using plain = await startTestServer();

    const body = { metadata: { name: 'x.static.k8s.io' } };
    const made = await plain.call('POST', `${group}/mutatingwebhookconfigurations`, { body });
    expect(made.status).toBe(201);
    expect(made.headers['warning']).toContain(
      'metadata.name: names ending with \\".static.k8s.io\\" are reserved',
    );
  });
});
