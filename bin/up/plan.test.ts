import { describe, expect, it } from 'vitest';

import { defaultOptions } from './options.ts';
import {
  agentArguments,
  fakeNodesArguments,
  ownCidrs,
  planBridge,
  planCable,
  planUp,
  serverArguments,
} from './plan.ts';

const options = { ...defaultOptions, nodes: 2, dataDir: '/var/lib/podwright' };

describe('planUp()', () => {
  it('gives every host a name, an address, a cgroup and a directory of its own', () => {
    const plan = planUp(options, '/sys/fs/cgroup');
    const hosts = [plan.server, ...plan.nodes];
    for (const field of ['name', 'ips', 'cgroup', 'dataDir'] as const) {
      expect(new Set(hosts.map((host) => String(host[field]))).size).toBe(3);
    }
    expect(plan.nodes.flatMap(({ ips }) => ips)).toEqual(['172.31.255.11', '172.31.255.12']);
  });

  it.each([
    { ipFamily: 'dual', want: ['172.31.255.11', 'fd00:172:31:255::b'] },
    { ipFamily: 'ipv6', want: ['fd00:172:31:255::b'] },
  ] as const)('gives hosts of $ipFamily addresses of it', ({ ipFamily, want }) => {
    const plan = planUp({ ...options, ipFamily }, '/sys/fs/cgroup');
    expect(plan.nodes[0]?.ips).toEqual(want);
    const [server, agent] = [serverArguments(plan), agentArguments(plan, plan.nodes[0] ?? plan.server)];
    expect({ server, agent }).toMatchSnapshot();
  });

  it('has a way out of each of its families', () => {
    expect(ownCidrs({ fakeNodes: 0 }).slice(0, 3)).toEqual([
      '10.96.0.0/16',
      '10.244.0.0/16',
      '172.31.255.0/24',
    ]);
    const gatewaysOf = (ipFamily: 'ipv4' | 'dual' | 'ipv6'): readonly string[] | undefined =>
      planUp({ ...options, ipFamily, egress: 'relay' }, '/').egress?.gateways;
    expect(gatewaysOf('ipv4')).toEqual(['172.31.255.1']);
    expect(gatewaysOf('dual')).toEqual(['172.31.255.1', 'fd00:172:31:255::1']);
    expect(gatewaysOf('ipv6')).toEqual(['fd00:172:31:255::1']);
  });

  it('tells server and agents of addresses of load balancers, and refuses those of others', () => {
    const plan = planUp({ ...options, loadBalancerCidr: ['203.0.113.0/24'], proxyMode: 'iptables' }, '/');
    for (const words of [serverArguments(plan), agentArguments(plan, plan.nodes[0] ?? plan.server)])
      expect(words.join(' ')).toContain('--load-balancer-cidr 203.0.113.0/24');
    expect(agentArguments(plan, plan.server).join(' ')).toContain('--proxy-mode iptables');
    for (const cidr of ['172.31.255.0/25', '10.96.0.0/24', 'fd00::/112'])
      expect(() => planUp({ ...options, loadBalancerCidr: [cidr] }, '/')).toThrow('--load-balancer-cidr');
  });

  it('keeps two data directories apart', () => {
    const other = planUp({ ...options, dataDir: '/tmp/other' }, '/sys/fs/cgroup');
    const plan = planUp(options, '/sys/fs/cgroup');
    expect(other.cgroup).not.toBe(plan.cgroup);
    expect(other.runDir).not.toBe(plan.runDir);
  });

  it.each([0, 65, 1.5, Number.NaN])('refuses %d nodes', (nodes) => {
    expect(() => planUp({ ...options, nodes }, '/')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });

  it.each([
    { nodes: 2, nodeCidrMaskSize: 24, maxPods: 254, why: /has addresses for 253; take a smaller one/ },
    { nodes: 64, nodeCidrMaskSize: 20, maxPods: 110, why: /too few ranges; take a larger one/ },
    { nodes: 1, nodeCidrMaskSize: 15, maxPods: 110, why: /too few ranges/ },
  ])('refuses $nodes nodes of $maxPods pods in /$nodeCidrMaskSize each', ({ why, ...asked }) => {
    expect(() => planUp({ ...options, ...asked }, '/')).toThrow(why);
  });

  it.each([
    { nodes: 64, nodeCidrMaskSize: 22, maxPods: 1021 },
    { nodes: 1, nodeCidrMaskSize: 16, maxPods: 65_533 },
  ])('takes $nodes nodes of $maxPods pods in /$nodeCidrMaskSize each', (asked) => {
    const plan = planUp({ ...options, ...asked }, '/');
    expect(serverArguments(plan).join(' ')).toContain(`--node-cidr-mask-size-ipv4 ${asked.nodeCidrMaskSize}`);
    const [node] = plan.nodes;
    if (node === undefined) expect.unreachable();
    expect(agentArguments(plan, node).join(' ')).toContain(`--max-pods ${asked.maxPods}`);
  });

  it('tells the server what else it was told', () => {
    const serverOption = ['enable-admission-plugins=A,B', 'quick'];
    const words = serverArguments(planUp({ ...options, serverOption }, '/'));
    expect(words.slice(-2)).toEqual(['--enable-admission-plugins=A,B', '--quick']);
  });

  it('refuses a data directory in which no socket can be', () => {
    const dataDir = `/tmp/${'x'.repeat(90)}`;
    expect(() => planUp({ ...options, dataDir }, '/')).toThrow(/shorter directory with --data/);
  });

  it('leaves room for a socket below the run directory (108 bytes, unix(7))', () => {
    expect(planUp(options, '/').runDir.length).toBeLessThanOrEqual(40);
  });
});

describe('planBridge() and planCable()', () => {
  it('joins a node to the bridge in the namespace of the server', () => {
    const plan = planUp(options, '/');
    const [node] = plan.nodes;
    if (node === undefined) expect.unreachable();
    const cable = planCable(plan, node, { kind: 'path', path: '/proc/7/ns/net' });
    expect([...planBridge(plan), ...cable.atBridge, ...cable.atNode]).toMatchSnapshot();
  });
});

describe('serverArguments() and agentArguments()', () => {
  it('are command lines that name every path', () => {
    const plan = planUp(options, '/sys/fs/cgroup');
    expect(serverArguments(plan).join(' ')).toMatchSnapshot();
    expect(plan.nodes.map((node) => agentArguments(plan, node).join(' '))).toMatchSnapshot();
  });
});

describe('planUp() with fake nodes', () => {
  it('has ranges for all of them, and credentials for their port', () => {
    const plan = planUp({ ...options, fakeNodes: 5000 }, '/');
    const server = serverArguments(plan);
    expect(server.slice(server.indexOf('--cluster-cidr')).slice(0, 2)).toEqual([
      '--cluster-cidr',
      '10.128.0.0/9',
    ]);
    expect(server).toContain('fake-nodes=172.31.255.1');
    expect(fakeNodesArguments(plan)).toEqual(
      expect.arrayContaining(['--nodes', '5000', '--address', '172.31.255.1']),
    );
    expect(ownCidrs(plan)).toContain('10.128.0.0/9');
    expect(() => planUp({ ...options, fakeNodes: 5000, nodeCidrMaskSize: 16, maxPods: 20 }, '/')).toThrow(
      'start 5002 nodes',
    );
  });
});
