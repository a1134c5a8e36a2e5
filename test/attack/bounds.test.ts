/**
 * Floods by peers that do not read, against a cluster of its own: neither the server nor the agent grows or stops, and both give
 * everything back. Some seconds each; PODWRIGHT_ATTACK_SECONDS says how many. Deadlines are generous, the real figures are printed.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { canTestClusters, eventually, startCluster, type TestCluster } from '#test/cluster/cluster.ts';
import { floods } from './floods.ts';
import type { Access } from './peers.ts';
import { processorMs } from './processor-ms.ts';

/** Those whose connection is cut, or whose load is one after another, show what they do at once. */
const seconds = Number(process.env['PODWRIGHT_ATTACK_SECONDS'] ?? 1.5);
const agentBytesMax = 300 * 1_048_576;
const serverBytesMax = 600 * 1_048_576;
/** What a server may keep of a flood; at rest it has some 200. */
const keptBytesMax = 300 * 1_048_576;
/** Of the server's processor time, while one answer is waited for. Far above what is asked for (250 ms). */
const livezMsMax = 5_000;

function pidOf(pattern: RegExp): number {
  const found = readdirSync('/proc').find((pid) => {
    try {
      return (
        /^\d+$/.test(pid) && pattern.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '))
      );
    } catch {
      return false; // It ended while we looked.
    }
  });
  if (found === undefined) throw new Error(`no process ${String(pattern)}`);
  return Number(found);
}

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MB`;

describe.skipIf(!canTestClusters())(
  'floods by peers that do not read (needs root, kubectl, ip and nft)',
  () => {
    let cluster: TestCluster;
    let access: Access;
    let probe: Worker;
    const figures = new Float64Array(new SharedArrayBuffer(24));
    let pids: { readonly server: number; readonly agent: number };

    beforeAll(async () => {
      cluster = await startCluster();
      const given = parseKubeconfig(readFileSync(cluster.kubeconfig, 'utf8'), { directory: '/' });
      const inline = (source: typeof given.ca): string => (source.kind === 'inline' ? source.text : '');
      const [ca, cert, key] = [given.ca, given.clientCert, given.clientKey].map(inline);
      access = { port: cluster.port, ca: ca ?? '', cert: cert ?? '', key: key ?? '' };
      pids = {
        server: pidOf(new RegExp(`podwright\\.ts server .*${cluster.dataDir}/server `)),
        agent: pidOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/node-1 `)),
      };
      await cluster.must(
        'run victim --image=podwright/demo:1 -- sh -c "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; sleep 0.001; done"',
      );
      await cluster.must('wait --for=condition=Ready pod/victim --timeout=120s');
      const large = { apiVersion: 'v1', kind: 'ConfigMap', data: { text: 'x'.repeat(900_000) } };
      for (let i = 0; i < 8; i++) {
        const input = JSON.stringify({ ...large, metadata: { name: `large-${i}` } });
        await cluster.must('create -f -', { input });
      }
      const workerData = {
        ...access,
        pid: pids.server,
        told: figures.buffer,
        url: `https://127.0.0.1:${access.port}`,
      };
      probe = new Worker(new URL('./probe.ts', import.meta.url), { workerData });
    });
    afterAll(async () => {
      await probe?.terminate();
      await cluster?.[Symbol.asyncDispose]();
    });

    /** Slowest answer in milliseconds of the server's processor, and failures, since they were asked for. */
    function readFigures(): readonly [number, number] {
      const [slowestMs = 0, failures = 0, askedAtMs = 0] = figures;
      figures.fill(0, 0, 2);
      const waitingMs = askedAtMs === 0 ? 0 : processorMs(pids.server) - askedAtMs;
      return [Math.max(slowestMs, waitingMs), failures];
    }

    it.each(floods)('$name', { timeout: (seconds + 180) * 1000 }, async ({ name, secondsMin = 0, run }) => {
      const peak = { server: 0, agent: 0 };
      const look = (): void => {
        for (const who of ['server', 'agent'] as const)
          peak[who] = Math.max(peak[who], residentBytes(pids[who]));
      };
      const looking = setInterval(look, 50);
      readFigures();
      await run(access, Date.now() + Math.max(seconds, secondsMin) * 1000);
      clearInterval(looking);
      look();
      const [slowestMs, failures] = readFigures();
      console.log(
        `${name}: server ${megabytes(peak.server)}, agent ${megabytes(peak.agent)}, livez ${slowestMs.toFixed(0)} ms, ${failures} failed`,
      );
      expect(peak.server).toBeLessThan(serverBytesMax);
      expect(peak.agent).toBeLessThan(agentBytesMax);
      expect(slowestMs).toBeLessThan(livezMsMax);
      await eventually(
        'the server answers a client',
        async () => (await cluster.kubectl('get pods')).code === 0,
      );
    });

    it('everything is given back', { timeout: 240_000 }, async () => {
      const sockets = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
      await eventually('descriptors of the floods closed', async () => sockets(pids.server) < 150, 60_000);
      // V8 sweeps some half a minute after the last of it: too long to wait for each time.
      if (seconds >= 10)
        await eventually('memory given back', async () => residentBytes(pids.server) < keptBytesMax, 120_000);
      console.log(`afterwards: server ${megabytes(residentBytes(pids.server))}`);
      expect(residentBytes(pids.agent)).toBeLessThan(agentBytesMax);
      expect(await cluster.must('exec victim -- echo alive')).toBe('alive\n');
      // The very processes, not others that came after them.
      expect(pidOf(new RegExp(`podwright\\.ts server .*${cluster.dataDir}/server `))).toBe(pids.server);
      expect(pidOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/node-1 `))).toBe(pids.agent);
    });
  },
);
