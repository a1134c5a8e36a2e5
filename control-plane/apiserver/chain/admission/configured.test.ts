import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { at, objectsOf } from '#api/wire/json.ts';
import { podNamed, startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { readAdmissionConfiguration } from './choice/admission-configuration.ts';
import { choosePlugins } from './choice/choose-plugins.ts';
import { pluginRows } from './plugins.ts';

const configuration = `
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: EventRateLimit
  configuration:
    apiVersion: eventratelimit.admission.k8s.io/v1alpha1
    kind: Configuration
    limits: [{ type: Namespace, qps: 1, burst: 2 }]
- name: PodNodeSelector
  configuration:
    podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: disk=ssd }
- name: PodTolerationRestriction
  path: tolerations.yaml
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources: [{ resource: services, matchContains: [loadbalancers] }]
`;
const tolerations = `
apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1
kind: Configuration
default: [{ key: k, operator: Exists }]
`;
const enabled = [
  ...['EventRateLimit', 'PodNodeSelector', 'PodTolerationRestriction', 'AlwaysPullImages'],
  ...['NamespaceAutoProvision', 'DenyServiceExternalIPs', 'ExtendedResourceToleration'],
];
const ns = '/api/v1/namespaces/made';

let directory: string;
let test: TestServer;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-admission-'));
  writeFileSync(join(directory, 'tolerations.yaml'), tolerations);
  const file = join(directory, 'admission.yaml');
  writeFileSync(file, configuration);
  const plugins = choosePlugins(
    pluginRows,
    { enabled, disabled: ['ServiceAccount'] },
    readAdmissionConfiguration(file),
  );
  test = await startTestServer({ admissionPlugins: plugins });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

it('a server has what its file and its options say of its plugins', async () => {
  const resources = { requests: { cpu: '1' }, limits: { 'example.com/gpu': '1' } };
  const spec = { containers: [{ name: 'c', image: 'i:1', resources }] };
  const pod = await test.make(`${ns}/pods`, podNamed('p', { spec }));
  expect(pod['spec']?.['nodeSelector']).toEqual({ disk: 'ssd' });
  expect(pod['spec']?.['containers']).toMatchObject([{ imagePullPolicy: 'Always' }]);
  expect(pod['spec']?.['volumes']).toBeUndefined();
  const keys = objectsOf(at(pod, 'spec.tolerations')).map(({ key }) => key);
  expect(keys).toEqual([
    'node.kubernetes.io/not-ready',
    'node.kubernetes.io/unreachable',
    'k',
    'node.kubernetes.io/memory-pressure',
    'example.com/gpu',
  ]);
  expect((await test.call('GET', ns)).json['status']).toEqual({ phase: 'Active' });
  const service = (more: object): object => ({
    metadata: { name: 's' },
    spec: { ports: [{ port: 1 }], ...more },
  });
  const balanced = await test.call('POST', `${ns}/services`, { body: service({ type: 'LoadBalancer' }) });
  expect([balanced.status, balanced.json['message']]).toEqual([
    403,
    'services "s" is forbidden: insufficient quota to consume: services.loadbalancers',
  ]);
  const outside = await test.call('POST', `${ns}/services`, { body: service({ externalIPs: ['1.2.3.4'] }) });
  expect(outside.json['message']).toBe(
    'services "s" is forbidden: Use of external IPs is denied by admission control',
  );
});

it('events are refused that are too many', async () => {
  const statuses: number[] = [];
  for (const name of ['a', 'b', 'c']) {
    const involvedObject = { kind: 'Pod', namespace: 'made', name: 'p' };
    const body = { metadata: { name, namespace: 'made' }, involvedObject };
    const { status, json } = await test.call('POST', `${ns}/events`, { body });
    statuses.push(status);
    if (status === 429) expect(json['reason']).toBe('TooManyRequests');
  }
  expect(statuses).toEqual([201, 201, 429]);
});
