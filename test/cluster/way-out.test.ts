/** `up --egress --expose`, on a machine that a namespace plays: the pods' way out, and the way in from it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';
import { outsideIp, outsideScript } from './hosts.ts';

describe.skipIf(!canTestClusters())(
  'a way out and in (needs root, kubectl, ip, nft)',
  { timeout: 300_000 },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-out-'));
    let cluster: TestCluster;
    let outside: ChildProcess;
    beforeAll(async () => {
      const resolvConf = join(directory, 'resolv.conf');
      writeFileSync(resolvConf, `nameserver ${outsideIp}\nsearch corp.test\n`);
      cluster = await startCluster({
        machine: `ip link set lo up; ip address add ${outsideIp}/32 dev lo; mount --bind ${resolvConf} /etc/resolv.conf`,
        more: ['--egress', '--expose', 'services'],
      });
      outside = spawn(
        'nsenter',
        [`--net=/proc/${cluster.up.pid}/ns/net`, process.execPath, '-e', outsideScript],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      if (outside.stdout !== null) await once(outside.stdout, 'data');
      await cluster.must('run web --image=podwright/demo:1');
      await cluster.must('expose pod web --port 8080 --type LoadBalancer');
      await cluster.must('wait --for=condition=Ready pod/web --timeout=120s');
    }, 300_000);
    afterAll(async () => {
      outside?.kill();
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
