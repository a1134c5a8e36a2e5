/** `up --egress=nat`, on a machine that a namespace plays, with a host beyond it that knows the machine's address alone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { canTestClusters, run, startCluster, type TestCluster } from './cluster.ts';
import { outsideIp, outsideScript } from './hosts.ts';

/** Addresses of the machine and of the host beyond it, and how that is asked. */
const ways = {
  IPv4: { machine: '198.51.100.1', outside: outsideIp, host: outsideIp, ping: 'ping' },
  IPv6: { machine: '2001:db8:1::1', outside: '2001:db8:7::7', host: '[2001:db8:7::7]', ping: 'ping6' },
} as const;

/** Of IPv6, too, says who asks. */
const outsideOfBoth = `require('node:http').createServer((request, response) => response.end(request.socket.remoteAddress))
  .listen(80, '${ways.IPv6.outside}');${outsideScript}`;

describe.skipIf(!canTestClusters())(
  "a way out by the machine's own rules (needs root, kubectl, ip, nft)",
  { timeout: 300_000 },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-nat-'));
    let cluster: TestCluster;
    /** Keeps the machine's namespace when the launcher is gone. */
    let machine: ChildProcess;
    let outside: ChildProcess;
    const inMachine = (command: readonly string[]): ReturnType<typeof run> =>
      run(['nsenter', `--net=/proc/${machine.pid}/ns/net`, ...command], { timeoutMs: 60_000 });

    beforeAll(async () => {
      const resolvConf = join(directory, 'resolv.conf');
      writeFileSync(resolvConf, `nameserver ${outsideIp}\n`);
      cluster = await startCluster({
        machine: `ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; mount --bind ${resolvConf} /etc/resolv.conf`,
        more: ['--egress=nat', '--keep', '--ip-family', 'dual'],
      });
      machine = spawn('nsenter', [`--net=/proc/${cluster.up.pid}/ns/net`, 'sleep', '600'], {
        stdio: 'ignore',
      });
      const ready = `ip link set lo up; ip address add ${outsideIp}/32 dev lo; ip address add ${ways.IPv6.outside}/128 dev lo; until ip link show out1 >/dev/null 2>&1; do sleep 0.05; done; ip address add 198.51.100.2/24 dev out1; ip address add 2001:db8:1::2/64 dev out1 nodad; ip link set out1 up`;
      outside = spawn(
        'unshare',
        ['--net', 'sh', '-ec', `${ready}; exec "$@"`, 'sh', process.execPath, '-e', outsideOfBoth],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      if (outside.stdout === null) throw new Error('no output');
      const served = once(outside.stdout, 'data');
      const cable = `until test "$(readlink /proc/${outside.pid}/ns/net)" != "$(readlink /proc/1/ns/net)"; do sleep 0.05; done; ip link add out0 type veth peer name out1 netns ${outside.pid}; ip address add ${ways.IPv4.machine}/24 dev out0; ip address add ${ways.IPv6.machine}/64 dev out0 nodad; ip link set out0 up; ip route add ${outsideIp} via 198.51.100.2; ip route add ${ways.IPv6.outside} via 2001:db8:1::2`;
      expect(await inMachine(['sh', '-ec', cable])).toMatchObject({ code: 0 });
      await served;
      await cluster.must('run web --image=podwright/demo:1');
      await cluster.must('wait --for=condition=Ready pod/web --timeout=120s');
    }, 300_000);

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
      for (const program of [outside, machine]) program?.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    }, 300_000);

    const inPod = async (command: string): Promise<string> => {
      const { stdout, stderr } = await cluster.kubectl(`exec web -- sh -c '${command}'`);
      return stdout + stderr;
    };

    test.each(Object.entries(ways))(
      'pods reach by %s what the machine reaches, with its address',
      async (_family, { machine, outside, host, ping }) => {
        expect(await inPod(`timeout 20 wget -qO- http://${host}/`)).toBe(machine);
        expect(await inPod(`${ping} -c 1 -W 20 ${outside}`)).toMatch(/1 packets received|0% packet loss/);
      },
    );

    test("they are answered by the names of the machine's resolvers, and begin nothing that nobody of the cluster has", async () => {
      expect(await inPod('nslookup outside.example.')).toContain(outsideIp);
      // An address of pods that no node has, of each family: refused at the cable.
      for (const host of ['10.244.99.9', '[fd00:10:244:63::9]'])
        expect(await inPod(`timeout 20 wget -qO- http://${host}/`)).toMatch(/refused|unreachable/i);
    });

    test('what is left of it when the launcher is killed goes with the next down', async () => {
      const tables = async (): Promise<string> => (await inMachine(['nft', 'list', 'tables'])).stdout.trim();
      expect(await tables()).toMatch(/^table ip podwright-up-([0-9a-f]{8})\ntable ip6 podwright-up-\1$/);
      const ended = once(cluster.up, 'exit');
      cluster.up.kill('SIGKILL');
      await ended;
      const down = [join(repositoryRoot, 'podwright'), 'down', '--data', cluster.dataDir];
      expect(await inMachine(down)).toMatchObject({ code: 0 });
      const links = (await inMachine(['ip', '-o', 'link'])).stdout;
      expect([await tables(), /pw-/.test(links)]).toEqual(['', false]);
    });
  },
);
