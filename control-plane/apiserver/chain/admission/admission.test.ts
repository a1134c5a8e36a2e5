import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';

describe('admitNew()', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it('a quota on the number of objects holds', async () => {
    await test.make('/api/v1/namespaces', { metadata: { name: 'q' } });
    await test.make('/api/v1/namespaces/q/resourcequotas', {
      metadata: { name: 'q' },
      spec: { hard: { configmaps: '0' } },
    });
    const refused = await test.call('POST', '/api/v1/namespaces/q/configmaps', {
      body: { metadata: { name: 'x' } },
    });
    expect(refused.json['message']).toBe(
      'configmaps "x" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=0, limited: configmaps=0',
    );
  });

  it('a quota holds for objects that are made at the same time', async () => {
    await test.make('/api/v1/namespaces', { metadata: { name: 'many' } });
    await test.make('/api/v1/namespaces/many/resourcequotas', {
      metadata: { name: 'q' },
      spec: { hard: { configmaps: '2' } },
    });
    const path = '/api/v1/namespaces/many/configmaps';
    const names = ['a', 'b', 'c', 'd', 'e'];
    const answers = await Promise.all(
      names.map((name) => test.call('POST', path, { body: { metadata: { name } } })),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 201, 403, 403, 403]);
  });

  it('a quota with scopes counts and refuses only what they take in', async () => {
    const path = '/api/v1/namespaces/scoped';
    await test.make('/api/v1/namespaces', { metadata: { name: 'scoped' } });
    await test.make(`${path}/serviceaccounts`, { metadata: { name: 'default' } });
    const spec = { hard: { pods: '0' }, scopes: ['BestEffort'] };
    await test.make(`${path}/resourcequotas`, { metadata: { name: 'q' }, spec });
    const refused = await test.call('POST', `${path}/pods`, { body: podNamed('a') });
    expect(refused.json['message']).toContain('exceeded quota: q');
    const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }];
    await test.make(`${path}/pods`, podNamed('b', { spec: { containers } }));
  });

  it('limits and quotas hold for what pods ask for', async () => {
    const path = '/api/v1/namespaces/lim';
    await test.make('/api/v1/namespaces', { metadata: { name: 'lim' } });
    await test.make(`${path}/serviceaccounts`, { metadata: { name: 'default' } });
    const limits = [
      { type: 'Container', default: { cpu: '1' }, defaultRequest: { cpu: '500m' }, max: { cpu: '2' } },
    ];
    await test.make(`${path}/limitranges`, { metadata: { name: 'l' }, spec: { limits } });
    await test.make(`${path}/resourcequotas`, {
      metadata: { name: 'q' },
      spec: { hard: { 'requests.cpu': '1200m' } },
    });
    const first = await test.make(`${path}/pods`, podNamed('a'));
    expect(first['spec']?.['containers']).toMatchObject([
      { resources: { limits: { cpu: '1' }, requests: { cpu: '500m' } } },
    ]);
    await test.make(`${path}/pods`, podNamed('b'));
    const third = await test.call('POST', `${path}/pods`, { body: podNamed('c') });
    expect(third.json['message']).toBe(
      'pods "c" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=1, limited: requests.cpu=1200m',
    );
    const containers = [{ name: 'c', image: 'i', resources: { limits: { cpu: '3' } } }];
    const large = await test.call('POST', `${path}/pods`, { body: podNamed('d', { spec: { containers } }) });
    expect(large.json['message']).toBe(
      'pods "d" is forbidden: maximum cpu usage per Container is 2, but limit is 3',
    );
  });

  it('limits and quotas hold for what a resize adds', async () => {
    const path = '/api/v1/namespaces/grow';
    await test.make('/api/v1/namespaces', { metadata: { name: 'grow' } });
    await test.make(`${path}/serviceaccounts`, { metadata: { name: 'default' } });
    const resources = (cpu: string): object => ({ requests: { cpu } });
    const containers = (cpu: string): readonly object[] => [
      { name: 'c', image: 'i', resources: resources(cpu) },
    ];
    await test.make(`${path}/pods`, podNamed('p', { spec: { containers: containers('1') } }));
    await test.make(`${path}/resourcequotas`, {
      metadata: { name: 'q' },
      spec: { hard: { 'requests.cpu': '2' } },
    });
    const limits = [{ type: 'Container', min: { cpu: '500m' } }];
    await test.make(`${path}/limitranges`, { metadata: { name: 'l' }, spec: { limits } });
    const resize = async (cpu: string): Promise<{ readonly status: number; readonly message: unknown }> => {
      const { status, json } = await test.call('PATCH', `${path}/pods/p/resize`, {
        body: { spec: { containers: containers(cpu) } },
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
      return { status, message: json['message'] };
    };
    expect(await resize('3')).toEqual({
      status: 403,
      message:
        'pods "p" is forbidden: exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=1, limited: requests.cpu=2',
    });
    expect((await resize('100m')).message).toContain(
      'minimum cpu usage per Container is 500m, but request is 100m',
    );
    expect((await resize('2')).status).toBe(200);
    expect((await resize('1500m')).status).toBe(200);
  });

  it('an updated pod gets what a new one gets, and keeps what it was given', async () => {
    const made = await test.make(`${ns}/pods`, podNamed('put'));
    const { tolerations, priority, preemptionPolicy, ...spec } = Object(made['spec']);
    const put = await test.call('PUT', `${ns}/pods/put`, { body: { ...made, spec } });
    expect(put).toMatchObject({ status: 200, json: { spec: { tolerations, priority, preemptionPolicy } } });
    const body = { spec: { tolerations: null, priority: null } };
    const headers = { 'content-type': 'application/merge-patch+json' };
    const patched = await test.call('PATCH', `${ns}/pods/put`, { body, headers });
    expect(patched).toMatchObject({ status: 200, json: { spec: { tolerations, priority } } });
  });

  it('one priority class is for all pods, however it comes to be', async () => {
    const classes = '/apis/scheduling.k8s.io/v1/priorityclasses';
    await test.make(classes, { metadata: { name: 'one' }, value: 1, globalDefault: true });
    const body = { metadata: { name: 'two' }, value: 2, globalDefault: true };
    const message =
      'priorityclasses.scheduling.k8s.io "two" is forbidden: PriorityClass one is already marked as default. Only one default can exist';
    expect((await test.call('POST', classes, { body })).json).toMatchObject({ code: 403, message });
    const made = await test.make(classes, { metadata: { name: 'two' }, value: 2 });
    const change = { body: { ...made, globalDefault: true } };
    expect((await test.call('PUT', `${classes}/two`, change)).json).toMatchObject({ code: 403, message });
    for (const name of ['one', 'two']) await test.call('DELETE', `${classes}/${name}`);
  });

  it('a Service that comes to take more is counted as a new one is', async () => {
    await test.make('/api/v1/namespaces', { metadata: { name: 'grows' } });
    const here = '/api/v1/namespaces/grows';
    await test.make(`${here}/resourcequotas`, {
      metadata: { name: 'q' },
      spec: { hard: { 'services.nodeports': '0', services: '1' } },
    });
    const made = await test.make(`${here}/services`, {
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }] },
    });
    const body = { ...made, spec: { ...Object(made['spec']), type: 'NodePort' } };
    expect((await test.call('PUT', `${here}/services/s`, { body })).json).toMatchObject({
      code: 403,
      message:
        'services "s" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0',
    });
    expect(await test.call('PUT', `${here}/services/s`, { body: made })).toMatchObject({ status: 200 });
  });

  it('a pod gets its account, token volume, tolerations and priority', async () => {
    const pod = await test.make(`${ns}/pods`, podNamed('p'));
    expect(pod['spec']).toMatchObject({
      serviceAccountName: 'default',
      priority: 0,
      tolerations: [{ key: 'node.kubernetes.io/not-ready' }, { key: 'node.kubernetes.io/unreachable' }],
      volumes: [{ name: expect.stringMatching(/^kube-api-access-.{5}$/), projected: { defaultMode: 420 } }],
    });
    expect(pod['status']).toEqual({ phase: 'Pending', qosClass: 'BestEffort' });
    const node = {
      metadata: { name: 'critical' },
      spec: {
        priorityClassName: 'system-node-critical',
        automountServiceAccountToken: false,
        containers: [{ name: 'c', image: 'i' }],
      },
    };
    expect((await test.make(`${ns}/pods`, node))['spec']).toMatchObject({ priority: 2000001000 });
  });
});
