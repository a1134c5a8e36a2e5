/** `up --egress --expose`, on a machine that a namespace plays: the pods' way out, and the way in from it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';
import { outsideIp, outsideScript } from './hosts.ts';

const outsideIp6 = '2001:db8::7';
/** The same program at an address of each family. */
const scripts = [
  outsideScript,
  outsideScript.replace('udp4', 'udp6').replaceAll(`'${outsideIp}'`, `'${outsideIp6}'`),
];

describe.skipIf(!canTestClusters())(
  'a way out and in (needs root, kubectl, ip, nft)',
  { timeout: 300_000 },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-out-'));
    let cluster: TestCluster;
    const outside: ChildProcess[] = [];
    beforeAll(async () => {
      const resolvConf = join(directory, 'resolv.conf');
      writeFileSync(resolvConf, `nameserver ${outsideIp}\nsearch corp.test\n`);
      cluster = await startCluster({
        machine: `ip link set lo up; ip address add ${outsideIp}/32 dev lo; ip -6 address add ${outsideIp6}/128 dev lo; ip link add out0 type bridge; ip link set out0 up; ip -6 route add default dev out0; mount --bind ${resolvConf} /etc/resolv.conf`,
        more: ['--egress', '--expose', 'services', '--ip-family', 'dual'],
      });
      for (const script of scripts) {
        const command = [`--net=/proc/${cluster.up.pid}/ns/net`, process.execPath, '-e', script];
        const program = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] });
        outside.push(program);
        await once(program.stdout, 'data');
      }
      await cluster.must('run web --image=podwright/demo:1');
      await cluster.must('expose pod web --port 8080 --type LoadBalancer');
      await cluster.must('wait --for=condition=Ready pod/web --timeout=120s');
    }, 300_000);
    afterAll(async () => {
      for (const program of outside) program.kill();
      await cluster?.[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    }, 300_000);

    const inPod = async (command: string): Promise<string> => {
      const { stdout, stderr } = await cluster.kubectl(`exec web -- sh -c '${command}'`);
      return stdout + stderr;
    };
    const curl = async (url: string): Promise<string> =>
      (await run(['nsenter', `--net=/proc/${cluster.up.pid}/ns/net`, 'curl', '-sS', '-m', '5', url])).stdout;

    test('pods reach what the machine reaches, and it is the machine that comes', async () => {
      expect(await inPod(`wget -qO- http://${outsideIp}/`)).toBe(outsideIp);
      expect(await inPod(`printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 5 ${outsideIp6} 80`)).toContain(
        outsideIp6,
      );
    });

    test('so they do by datagrams, of both families', async () => {
      for (const server of [outsideIp, outsideIp6])
        expect(await inPod(`nslookup outside.example. ${server}`)).toMatch(
          new RegExp(`Name:\\s+outside.example\\s+Address: ${outsideIp}`),
        );
    });

    test("names outside are asked of the machine's resolvers, with its search list", async () => {
      expect(await inPod('nslookup outside.example.')).toContain(outsideIp);
      expect(await inPod('cat /etc/resolv.conf')).toMatch(/^search .* corp\.test$/m);
    });

    test('what is refused or not served there ends at once', async () => {
      expect(await inPod(`wget -T 20 -qO- http://${outsideIp}:81/ 2>&1 || echo over`)).toMatch(/reset|over/);
      const datagram = `printf x > /dev/udp || true; nslookup -timeout=20 a.example. ${outsideIp}:99 2>&1 || echo over`;
      expect(await inPod(datagram)).toContain('over');
    });

    test('ports of Services are at 127.0.0.1, and go with them', async () => {
      const port = await cluster.must('get service web -o jsonpath={.spec.ports[0].nodePort}');
      for (const local of [port, '8080']) {
        await eventually(`127.0.0.1:${local}`, async () =>
          (await curl(`http://127.0.0.1:${local}/`)).includes('Hello from web'),
        );
      }
      await cluster.must('delete service web');
      await eventually('closed', async () => (await curl('http://127.0.0.1:8080/')) === '');
    });
  },
);
