/** What lies around an installed node: the way out, names outside, and the server's machine. Nothing of the machine's own network. */
import { writeFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canTestClusters, eventually } from './cluster.ts';
import { nodeIp, nodeIpOutside, outsideIp, serverIp, startHosts, type TestHosts } from './hosts.ts';

const canTest = canTestClusters();

/** As `install agent` gives it. */
const atVarLog = ['--pod-logs-dir', '/var/log/pods', '--container-log-max-size', '10Ki'];

describe.skipIf(!canTest)('a node by itself (needs root, kubectl, ip, nft)', { timeout: 300_000 }, () => {
  let hosts: TestHosts;
  beforeAll(async () => {
    hosts = await startHosts();
    await hosts.startServer();
    await hosts.startAgent(atVarLog);
    for (const [name, policy] of [
      ['cluster', 'ClusterFirst'],
      ['default', 'Default'],
    ])
      await hosts.kubectl('create -f -', { input: podOf(name ?? '', policy ?? '') });
    await hosts.kubectl('wait --for=condition=Ready pod/cluster pod/default --timeout=120s');
  }, 300_000);
  afterAll(async () => hosts?.[Symbol.asyncDispose](), 300_000);

  const inPod = (name: string, command: string): Promise<string> =>
    hosts.kubectl(`exec ${name} -- sh -c '${command}'`).catch((error: unknown) => String(error));
  // By nc: a static busybox's wget may die in the C library's resolver, even of an address.
  const get = `printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 5 ${outsideIp} 80 | tail -n 1`;
  const fetched = `nslookup outside.example. | grep -q ${outsideIp} && ${get}`;

  test.each(['cluster', 'default'])('pods leave with its address and ask its resolvers: %s', async (name) => {
    expect(await inPod(name, fetched)).toBe(nodeIpOutside);
  });

  test('pods reach the machine of the server, which is no node, without --link-cidr', async () => {
    const command = `nc -w 5 ${serverIp} 6443 < /dev/null && echo open`;
    expect(await inPod('cluster', command)).toContain('open');
    expect(await inPod('cluster', command.replace(`${serverIp} 6443`, '10.96.0.1 443'))).toContain('open');
  });

  test('names that the cluster is told are known, and how often its DNS was asked', async () => {
    const metadata = { name: 'kube-dns', namespace: 'kube-system' };
    const data = { hosts: '203.0.113.99 registry.corp' };
    await hosts.kubectl('create -f -', {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }),
    });
    await eventually('the name', async () =>
      (await inPod('cluster', 'nslookup registry.corp.')).includes('203.0.113.99'),
    );
    const metrics = await inPod(
      'cluster',
      `printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" | nc -w 5 ${nodeIp} 9153`,
    );
    expect(metrics).toMatch(/coredns_dns_requests_total\{.*type="A"\} [1-9]/);
  });

  test('new resolvers of the host are followed, by pods that run and by those to come', async () => {
    expect(
      (await hosts.inHost('outside', ['ip', 'address', 'add', '203.0.113.8/32', 'dev', 'lo'])).code,
    ).toBe(0);
    // Nobody answers there: a name is SERVFAIL, until the file says otherwise again.
    writeFileSync(hosts.resolvConf, 'nameserver 203.0.113.8\nsearch new.example\n');
    await eventually(
      'the new resolver',
      async () => !(await inPod('cluster', fetched)).includes(nodeIpOutside),
    );
    await hosts.kubectl('create -f -', { input: podOf('later', 'Default') });
    await hosts.kubectl('wait --for=condition=Ready pod/later --timeout=120s');
    expect(await inPod('later', 'cat /etc/resolv.conf')).toBe('search new.example\nnameserver 203.0.113.8\n');
    writeFileSync(hosts.resolvConf, `nameserver ${outsideIp}\n`);
    await eventually('the old one', async () => (await inPod('cluster', fetched)) === nodeIpOutside);
  });

  test('rules that somebody flushed come back', async () => {
    await hosts.inHost('node', ['nft', 'flush', 'ruleset']);
    await eventually('the way out', async () => (await inPod('cluster', fetched)) === nodeIpOutside);
  });

  test('logs lie where collectors look, through rotation and a killed agent, and go with their pods', async () => {
    const command = 'i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.01; done';
    await hosts.kubectl('create -f -', { input: podOf('writer', 'Default', ['sh', '-c', command]) });
    await hosts.kubectl('create -f -', { input: collector });
    await hosts.kubectl('wait --for=condition=Ready pod/writer pod/collector --timeout=120s');
    const look = (script: string): Promise<string> => inPod('collector', `cd /var/log && ${script}`);
    const [uid, id] = (
      await hosts.kubectl(
        `get pod writer -o jsonpath={.metadata.uid},{.status.containerStatuses[0].containerID}`,
      )
    ).split(',');
    const link = `writer_default_main-${id?.replace('podwright://', '') ?? ''}.log`;
    expect((await look(`readlink containers/${link}`)).trim()).toBe(
      `../pods/default_writer_${uid}/main/0.log`,
    );
    const rotated = async (): Promise<boolean> =>
      (await look(`ls pods/default_writer_${uid}/main`)).includes('0.log.2');
    await eventually('a rotation', rotated, 120_000);
    const last = async (): Promise<number> =>
      Number(/line-(\d+)\s*$/.exec(await look(`tail -n 1 containers/${link}`))?.[1] ?? 0);
    await hosts.stopAgent('SIGKILL');
    await hosts.inHost('node', ['rm', `/var/log/containers/${link}`]);
    await hosts.startAgent(atVarLog);
    await eventually('the link again', async () => (await last()) > 0);
    const before = await last();
    await eventually('more lines', async () => (await last()) > before);
    await hosts.kubectl('delete pod writer --force --grace-period=0');
    await eventually(
      'no log',
      async () => !(await look('ls pods; ls containers')).includes('writer'),
      120_000,
    );
  });

  test('--pod-egress none: pods go nowhere, and names outside are refused', async () => {
    await hosts.stopAgent();
    await hosts.startAgent([...atVarLog, '--pod-egress', 'none']);
    const answer = await inPod('cluster', 'nslookup outside.example.; true');
    expect(answer).toContain('REFUSED');
    expect(await inPod('cluster', get)).not.toContain(nodeIpOutside);
    expect(await inPod('cluster', 'nslookup kubernetes.default.svc.cluster.local.')).toContain('10.96.0.1');
  });

  test('uninstall leaves no table, address, route or interface', async () => {
    await hosts.stopAgent();
    const { code, stderr } = await hosts.endNode();
    expect([code, stderr]).toEqual([0, '']);
    expect((await hosts.inHost('node', ['nft', 'list', 'tables'])).stdout).toBe('');
    const addresses = (await hosts.inHost('node', ['ip', '-brief', 'address'])).stdout;
    expect(addresses).not.toMatch(/10\.(96|244)\.|cni0|veth/);
    expect((await hosts.inHost('node', ['ip', 'route'])).stdout).not.toMatch(/10\.(96|244)\./);
  });
});

const collector = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'collector' },
  spec: {
    containers: [
      {
        name: 'main',
        image: 'podwright/demo:1',
        command: ['sleep', '100000'],
        volumeMounts: [{ name: 'log', mountPath: '/var/log', readOnly: true }],
      },
    ],
    volumes: [{ name: 'log', hostPath: { path: '/var/log' } }],
    terminationGracePeriodSeconds: 0,
  },
});

function podOf(name: string, dnsPolicy: string, command: readonly string[] = ['sleep', '100000']): string {
  const containers = [{ name: 'main', image: 'podwright/demo:1', command }];
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { dnsPolicy, containers, terminationGracePeriodSeconds: 0 },
  });
}
