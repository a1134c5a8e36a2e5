/** What `podwright trace` says of a cluster in which things are wrong on purpose: kernel, agents, API and command together. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '#base/clock.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { traceBy } from '#bin/trace/command.ts';
import type { Code } from '#bin/trace/observed.ts';
import { createApiClient } from '#client/api-client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';

const image = 'podwright/demo:1';

const pod = (name: string, spec: object = {}, container: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image, ...container }], ...spec },
});
const service = (name: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});
const on = (nodeName: string): object => ({ nodeName });
const http = { ports: [{ name: 'http', containerPort: 8080 }] };

const objects = [
  pod('client', on('node-1')),
  pod('client-default', { ...on('node-1'), dnsPolicy: 'Default' }),
  pod('web', on('node-2'), http),
  pod('local', on('node-2'), { command: ['httpd', '-f', '-p', '127.0.0.1:8080'] }),
  pod('unready', on('node-2'), { readinessProbe: { tcpSocket: { port: 9 }, periodSeconds: 1 } }),
  pod('closed', on('node-2'), http),
  service('web', {}),
  service('local', { selector: { app: 'local' } }),
  service('unready', { selector: { app: 'unready' } }),
  service('closed', { selector: { app: 'closed' } }),
  service('wrong-port', { ports: [{ port: 80, targetPort: 9090 }] }),
  service('wrong-name', { ports: [{ port: 80, targetPort: 'web' }] }),
  service('wrong-selector', { selector: { app: 'wep' } }),
  service('headless', { clusterIP: 'None' }),
  service('elsewhere', { type: 'ExternalName', externalName: 'db.example.com', selector: null }),
  service('near', { internalTrafficPolicy: 'Local' }),
  service('far', {
    type: 'NodePort',
    externalTrafficPolicy: 'Local',
    ports: [{ port: 80, targetPort: 8080, nodePort: 30_180 }],
  }),
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'nobody' },
    spec: { podSelector: { matchLabels: { app: 'closed' } }, policyTypes: ['Ingress'] },
  },
];

/** What else `up` is told: `PODWRIGHT_TRACE='--proxy-mode iptables --fabric udp'`. */
const more = (process.env['PODWRIGHT_TRACE'] ?? '--ip-family dual').split(' ');

type Row = readonly [from: string, to: string, protocol: string, want: readonly Code[], arrives: string];

const rows: readonly Row[] = [
  ['client', 'web:80', 'tcp', [], 'yes'],
  ['node/node-2', 'web:80', 'tcp', [], 'yes'],
  ['client', 'pod/web:http', 'tcp', [], 'yes'],
  ['client', 'kubernetes:443', 'tcp', [], 'yes'],
  ['client', 'kube-dns.kube-system:53', 'udp', [], 'yes'],
  ['client', '198.51.100.9:80', 'tcp', ['without-way-out'], 'no'],
  ['client', 'near.default.svc.cluster.local:80', 'tcp', ['no-local-endpoint'], 'no'],
  ['client', 'wep:80', 'tcp', ['name-unknown'], 'no'],
  ['client-default', 'web:80', 'tcp', ['dns-not-of-cluster'], 'no'],
  ['client', 'web:81', 'tcp', ['service-lacks-port'], 'no'],
  ['client', 'web:80', 'udp', ['service-other-protocol'], 'no'],
  ['client', 'local:80', 'tcp', ['listens-on-loopback'], 'no'],
  ['client', 'unready:80', 'tcp', ['readiness-failing'], 'no'],
  ['client', 'closed:80', 'tcp', ['ingress-forbidden'], 'no'],
  ['client', 'wrong-port:80', 'tcp', ['nothing-listens'], 'no'],
  ['client', 'wrong-name:80', 'tcp', ['named-port-missing'], 'no'],
  ['client', 'wrong-selector:80', 'tcp', ['selector-matches-nothing'], 'no'],
  ['client', 'headless:80', 'tcp', ['headless-port'], 'no'],
  ['client', 'elsewhere:80', 'tcp', ['external-name'], 'yes'],
  ['outside', 'node/node-1:30180', 'tcp', ['no-local-endpoint'], 'no'],
  ['outside', 'node/node-2:30180', 'tcp', [], 'yes'],
  ['node/node-1', 'node/node-2:10250', 'tcp', [], 'yes'],
];

describe.skipIf(!canTestClusters())('podwright trace on podwright up --nodes 2 (needs kubectl)', () => {
  let cluster: TestCluster;
  let transport: ReturnType<typeof createHttpTransport>;

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, more });
    await cluster.must('apply -f -', {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    });
    await cluster.must(
      'wait pod client client-default web local closed --for=condition=Ready --timeout=120s',
    );
    await eventually('the slice of web', async () =>
      (await cluster.must('get endpointslices -o jsonpath={.items[*].endpoints[*].targetRef.name}')).includes(
        'web',
      ),
    );
    transport = createHttpTransport(loadKubeconfig(cluster.kubeconfig, systemClock));
  });

  afterAll(async () => {
    await transport?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const trace = ([from, to, protocol]: readonly [string, string, string]) =>
    traceBy(
      createApiClient({ transport, userAgent: 'test' }),
      { from, to },
      { namespace: 'default', protocol },
    );

  it('names what is wrong, and nothing else', async () => {
    const found = [];
    for (const [from, to, protocol] of rows) {
      const { hops, ways, arrives } = await trace([from, to, protocol]);
      const findings = [...hops, ...ways.flatMap((way) => way.hops)].flatMap((hop) => hop.findings);
      found.push([from, to, protocol, [...new Set(findings.map(({ code }) => code))], arrives]);
    }
    expect(found).toEqual(rows);
  });

  it('is a command, whose exit status says whether it arrives', async () => {
    const command = [
      join(repositoryRoot, 'podwright'),
      'trace',
      'client',
      'closed:80',
      '--data',
      cluster.dataDir,
    ];
    const { code, stdout } = await run(command);
    expect(code).toBe(1);
    expect(stdout).toContain('NetworkPolicy default/nobody isolates pod default/closed');
    const told = await run([...command.slice(0, 3), 'web:80', '--data', cluster.dataDir, '-o', 'json']);
    expect({ code: told.code, arrives: JSON.parse(told.stdout).arrives }).toEqual({
      code: 0,
      arrives: 'yes',
    });
  });

  it('is for who may see nodes: another node may not', async () => {
    const credentials = join(cluster.dataDir, 'server', 'nodes', 'node-1', 'kubeconfig');
    const { server } = loadKubeconfig(cluster.kubeconfig, systemClock);
    await using asNode = createHttpTransport({ ...loadKubeconfig(credentials, systemClock), server });

    const client = createApiClient({ transport: asNode, userAgent: 'test' });
    const asked = await client.raw('GET', '/api/v1/nodes/node-2/proxy/networkfacts');
    expect(asked.status).toBe(403);
  });
});
