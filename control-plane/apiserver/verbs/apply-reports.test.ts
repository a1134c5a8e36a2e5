import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import {
  deploymentNamed,
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const apps = '/apis/apps/v1/namespaces/default/deployments';
const cms = '/api/v1/namespaces/default/configmaps';

/* What people reported of server-side apply, by the numbers of kubernetes/kubernetes, asked of our server. */
describe('what was reported of server-side apply', () => {
  let test: TestServer;
  let second = 0;
  beforeAll(async () => {
    test = await startTestServer({ clock: { ...systemClock, now: () => 1_800_000_000_000 + second * 1000 } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const apply = (path: string, body: object, query = 'fieldManager=me'): Promise<Answer> => {
    second += 10;
    const headers = { 'content-type': 'application/apply-patch+yaml' };
    return test.call('PATCH', `${path}?${query}`, { body, headers });
  };
  const deployment = (name: string, container: object): object => {
    const template = {
      metadata: { labels: { a: 'b' } },
      spec: { containers: [{ name: 'c', ...container }] },
    };
    const spec = { selector: { matchLabels: { a: 'b' } }, template };
    return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name }, spec };
  };
  const revision = ({ json }: Answer): unknown => at(json, 'metadata.resourceVersion');

  it.each([
    ['as it is', { image: 'i' }],
    [
      'a quantity spelled otherwise',
      { image: 'i', resources: { limits: { cpu: '1000m', memory: '1024Mi' } } },
    ],
    ['an empty list', { image: 'i', args: [], env: [] }],
    ['an empty text, which is left out', { image: 'i', env: [{ name: 'E', value: '' }] }],
    ['what is null', { image: 'i', workingDir: null, env: null }],
    ['a default', { image: 'i', imagePullPolicy: 'Always', ports: [{ containerPort: 80, protocol: 'TCP' }] }],
  ])(
    '#95460, #121404, #124605, #131175: to apply the same again is no write: %s',
    async (name, container) => {
      const object = deployment(name.replaceAll(/\W+/g, '-'), container);
      const path = `${apps}/${name.replaceAll(/\W+/g, '-')}`;
      const first = await apply(path, object);
      expect(first.status, first.text).toBe(201);
      const again = await apply(path, object);
      expect(again.status).toBe(200);
      expect(revision(again)).toBe(revision(first));
      expect(at(again.json, 'metadata.managedFields')).toEqual(at(first.json, 'metadata.managedFields'));
    },
  );

  it('#88816, #81673: an update of nothing is no write', async () => {
    const made = await test.make(apps, deploymentNamed('quiet'));
    second += 10;
    const again = await test.call('PUT', `${apps}/quiet`, { body: made });
    expect(revision(again)).toBe(at(made, 'metadata.resourceVersion'));
  });

  it('#121575: two variables of one name cost nobody what else they own', async () => {
    await apply(
      `${apps}/twice`,
      deployment('twice', { image: 'i', env: [{ name: 'A', value: '1' }] }),
      'fieldManager=ann',
    );
    const env = ['1', '2'].map((value) => ({ name: 'B', value }));
    const body = [
      { op: 'add', path: '/spec/template/spec/containers/0/env', value: [{ name: 'A', value: '1' }, ...env] },
    ];
    const headers = { 'content-type': 'application/json-patch+json' };
    const { json } = await test.call('PATCH', `${apps}/twice?fieldManager=dan`, { body, headers });
    const fields = (manager: string): string =>
      JSON.stringify(
        objectsOf(at(json, 'metadata.managedFields')).find((entry) => entry['manager'] === manager)?.[
          'fieldsV1'
        ],
      );
    expect(fields('ann')).toContain('"k:{\\"name\\":\\"A\\"}":{".":{},"f:name":{},"f:value":{}}');
    expect(fields('dan')).toContain('"k:{\\"name\\":\\"B\\"}":{}');
  });

  it('#113482: what is there twice does not keep others from applying', async () => {
    const answer = await apply(`${apps}/twice`, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'twice', labels: { x: 'y' } },
    });
    expect(answer.status).toBe(200);
    expect(objectsOf(at(objectsOf(at(answer.json, 'spec.template.spec.containers'))[0], 'env'))).toHaveLength(
      3,
    );
  });

  it('#108081: what two managers make together is validated as a whole', async () => {
    const env = (more: object): object => deployment('both', { image: 'i', env: [{ name: 'E', ...more }] });
    await apply(`${apps}/both`, env({ value: 'x' }), 'fieldManager=ann');
    const valueFrom = { fieldRef: { fieldPath: 'metadata.name' } };
    const answer = await apply(`${apps}/both`, env({ valueFrom }), 'fieldManager=bob');
    expect(answer.status).toBe(422);
    expect(at(answer.json, 'message')).toContain('may not be specified when `value` is not empty');
  });

  it('#96351: owners that nobody can read own nothing, and stop nobody', async () => {
    const metadata = { name: 'odd', managedFields: [{ manager: 'm', operation: 'Apply', apiVersion: 'v1' }] };
    const made = await test.make(cms, { metadata, data: { a: 'b' } });
    expect(at(made, 'metadata.managedFields')).toHaveLength(1);
    await test.call('PUT', `${cms}/odd`, { body: { metadata, data: { a: 'b' } } });
    const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'odd' }, data: { c: 'd' } };
    expect((await apply(`${cms}/odd`, config)).status).toBe(200);
  });

  it('#75564, #88901: a part owns what it may write, and is in conflict over that alone', async () => {
    await test.make(apps, deploymentNamed('parts'));
    const status = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'parts' },
      spec: { replicas: 5 },
      status: { observedGeneration: 1 },
    };
    const { json, status: code } = await apply(`${apps}/parts/status`, status, 'fieldManager=st');
    expect(code).toBe(200);
    expect(at(json, 'spec.replicas')).toBe(1);
    const entry = objectsOf(at(json, 'metadata.managedFields')).find(({ manager }) => manager === 'st');
    expect(entry).toMatchObject({
      subresource: 'status',
      fieldsV1: { 'f:status': { 'f:observedGeneration': {} } },
    });
    expect(entry?.['fieldsV1']).not.toHaveProperty('f:spec');
  });

  it('#109576: a write by client-side apply that changes a value has its time', async () => {
    await test.make(`${cms}?fieldManager=kubectl-client-side-apply`, {
      metadata: { name: 'timed' },
      data: { a: '1' },
    });
    second += 60;
    const headers = { 'content-type': 'application/merge-patch+json' };
    const body = { data: { a: '2' } };
    const { json } = await test.call('PATCH', `${cms}/timed?fieldManager=kubectl-client-side-apply`, {
      body,
      headers,
    });
    const [entry] = objectsOf(at(json, 'metadata.managedFields'));
    expect(entry?.['time']).toBe(
      new Date(1_800_000_000_000 + second * 1000).toISOString().replace('.000', ''),
    );
  });
});
