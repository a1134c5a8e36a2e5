/** Servers that have an address in common, and an agent that knows no other: what becomes of the node when the one that answers is gone. */
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '#test/bench/measure.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { canTestClusters, eventually, findKubectl, words } from './cluster.ts';
import { nodeIp, serverIp, startHosts, type TestHosts } from './hosts.ts';

const virtualIp = '192.0.2.100';
const secondIp = '192.0.2.2';
const etcdUrl = `http://${nodeIp}:2379`;
const image = 'podwright/demo:1';
const shared = ['--etcd-servers', etcdUrl, '--virtual-address', virtualIp];

const canTest = canTestClusters() && findProgram('etcd') !== undefined;

describe.skipIf(!canTest)(
  'servers with one address (needs root, kubectl, etcd)',
  { timeout: 400_000 },
  () => {
    let hosts: TestHosts;
    const must = async (host: 'server' | 'node' | 'outside', command: string): Promise<void> => {
      const { code, stderr } = await hosts.inHost(host, words(command));
      if (code !== 0) throw new Error(`${command}: ${stderr}`);
    };
    /** By a server's own address. */
    const ask = async (ip: string, args: string): Promise<string> => {
      const host = ip === serverIp ? 'server' : 'outside';
      const kubeconfig = join(hosts.directory, 'server', 'kubeconfig');
      const command = ['--kubeconfig', kubeconfig, '--server', `https://${ip}:6443`, ...words(args)];
      return (await hosts.inHost(host, [findKubectl(), ...command])).stdout;
    };

    beforeAll(async () => {
      hosts = await startHosts();
      // The host that is called outside has the second server, on a link of the three; the node has the bridge, and what is stored.
      const second = hosts.spawn('outside', ['sleep', 'infinity'], 'second.log');
      await once(second, 'spawn');
      for (const command of [
        'ip link add lan type bridge',
        'ip address flush dev eth0',
        'ip link set eth0 master lan',
        `ip link add port type veth peer name eth9 netns ${second.pid}`,
        'ip link set port master lan up',
        `ip address add ${nodeIp}/24 dev lan`,
        'ip link set lan up',
      ])
        await must('node', command);
      await must('outside', `ip address add ${secondIp}/24 dev eth9`);
      await must('outside', 'ip link set eth9 up');
      const etcd = ['etcd', '--data-dir', join(hosts.directory, 'run', 'etcd')];
      const urls = ['--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl];
      hosts.spawn('node', [...etcd, ...urls], 'etcd.log');
      await hosts.startServer(shared);
      cpSync(join(hosts.directory, 'server', 'pki'), join(hosts.directory, 'second', 'pki'), {
        recursive: true,
      });
      const program = [process.execPath, join(repositoryRoot, 'bin', 'podwright.ts'), 'server'];
      const at = ['--data', join(hosts.directory, 'second'), '--listen', `${secondIp}:6443`];
      hosts.spawn('outside', [...program, ...at, '--advertise-address', secondIp, ...shared], 'second.log');
      await eventually(
        'the second server',
        async () => (await ask(secondIp, 'get --raw /readyz')) === 'ok',
        240_000,
      );
      await hosts.startAgent();
    }, 600_000);
    afterAll(async () => hosts?.[Symbol.asyncDispose](), 300_000);

    const isReady = async (): Promise<boolean> =>
      (await ask(secondIp, 'get node n1 -o jsonpath={.status.conditions[?(@.type=="Ready")].status}')) ===
      'True';
    const holder = (): Promise<string> =>
      ask(secondIp, 'get lease -n kube-public podwright-api-servers -o jsonpath={.spec.holderIdentity}');
    const runs = (name: string): Promise<unknown> =>
      eventually(`pod ${name}`, async () => {
        const phase = await ask(secondIp, `get pod ${name} -o jsonpath={.status.phase}`);
        return phase === 'Running';
      });

    test('an agent that knows that address alone goes on by the other when one is cut off, and by the first again', async () => {
      await eventually('a node', isReady);
      await ask(secondIp, `run before --image=${image}`);
      await runs('before');
      const first = await holder();
      expect(first).not.toBe('');
      await must('server', 'ip link set eth0 down');
      await ask(secondIp, `run after --image=${image}`);
      await runs('after');
      expect(await holder()).not.toBe(first);
      expect(await isReady()).toBe(true);
      await must('server', 'ip link set eth0 up');
      await ask(secondIp, `run later --image=${image}`);
      await runs('later');
      expect(await isReady()).toBe(true);
    });
  },
);
