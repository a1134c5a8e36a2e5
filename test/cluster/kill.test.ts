/** kill -9 of the agent, of a supervisor, of the server, in the middle of work. */
import { writeFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTicksOf } from '#bin/up/state.ts';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';
import { pidsOf } from './processes.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';

const agentOf = ({ dataDir }: TestCluster): RegExp => new RegExp(`podwright\\.ts agent .*${dataDir}/node-1 `);

describe.skipIf(!canRun)('kill -9 (needs kubectl)', () => {
  let cluster: TestCluster;
  const agent = (): number => {
    const [pid] = pidsOf(agentOf(cluster));
    if (pid === undefined) throw new Error('no agent');
    return pid;
  };
  const server = (): number => {
    const [pid] = pidsOf(new RegExp(`podwright\\.ts server .*${cluster.dataDir}/server `));
    if (pid === undefined) throw new Error('no server');
    return pid;
  };

  beforeAll(async () => {
    cluster = await startCluster();
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  it('of the agent: the container goes on, every log line is there once, an exit meanwhile has its code', async () => {
    const marker = `podwright-writer-${process.pid}`;
    const script = `i=0; while [ $i -lt 8000 ]; do j=0; while [ $j -lt 20 ]; do echo line $i; i=$((i+1)); j=$((j+1)); done; usleep 10000; done; echo ${marker}; sleep 3600`;
    await cluster.must(`run writer --image=${image} --restart=Never -- sh -c "${script}"`);
    const exitsMarker = `podwright-exits-${process.pid}`;
    const exit = `: ${exitsMarker}; until test -e /now; do sleep 0.1; done; exit 42`;
    await cluster.must(`run exits --image=${image} --restart=Never -- sh -c "${exit}"`);
    await eventually(
      'both run',
      async () => (await cluster.must('get pods --no-headers')).match(/Running/g)?.length === 2,
    );
    const [writer = 0] = pidsOf(new RegExp(`^sh -c .*${marker}`));
    const startedAt = startTicksOf(writer);
    expect(startedAt).toBeDefined();
    const [exits = 0] = pidsOf(new RegExp(`^sh -c .*${exitsMarker}`));

    const killed = agent();
    process.kill(killed, 'SIGKILL');
    writeFileSync(`/proc/${exits}/root/now`, '');
    await eventually('a new agent', async () => pidsOf(/podwright\.ts agent /).some((pid) => pid !== killed));

    await eventually(
      'the exit',
      async () =>
        (await cluster.must(
          'get pod exits -o jsonpath={.status.containerStatuses[0].state.terminated.exitCode}',
        )) === '42',
    );
    const lines = await eventually('the last line', async () => {
      const text = await cluster.kubectl('logs writer');
      return text.stdout.includes(marker) && text.stdout.split('\n');
    });
    expect(lines.filter((line) => line.startsWith('line '))).toEqual(
      Array.from({ length: 8000 }, (_, index) => `line ${index}`),
    );
    expect(startTicksOf(writer)).toBe(startedAt);
    expect(await cluster.must('get pod writer -o jsonpath={.status.containerStatuses[0].restartCount}')).toBe(
      '0',
    );
    expect(await cluster.must('get nodes --no-headers')).toMatch(/node-1\s+Ready/);
    await cluster.must('delete pod writer exits --grace-period=0 --force');
  });

  it('of the agent while it removes pods: the next one goes on with it', async () => {
    await cluster.must(`create deployment many --image=${image} --replicas=12`);
    await cluster.must('rollout status deployment many --timeout=120s');
    const uids = (await cluster.must('get pods -l app=many -o jsonpath={.items[*].metadata.uid}')).split(' ');
    expect(uids.length).toBe(12);
    await cluster.must('delete deployment many --cascade=foreground --wait=false');
    for (let kills = 0; kills < 3; kills++) {
      const killed = await eventually('an agent', async () => pidsOf(agentOf(cluster))[0]);
      // In the middle of stopping some and removing others.
      await new Promise((resolve) => setTimeout(resolve, 100 + 100 * kills));
      process.kill(killed, 'SIGKILL');
      await eventually('its end', async () => !pidsOf(agentOf(cluster)).includes(killed));
    }
    await eventually('no pod', async () => (await cluster.must('get pods -l app=many -o name')) === '');
    await eventually('no supervisor', async () => pidsOf(new RegExp(uids.join('|'))).length === 0);
  });

  it('of the supervisor: a new sandbox, all containers restarted, an event', async () => {
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'pair' },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: ['a', 'b'].map((name) => ({ name, image, command: ['sleep', '3600'] })),
      },
    });
    await cluster.must('apply -f -', { input: manifest });
    await cluster.must('wait --for=condition=Ready pod/pair --timeout=120s');
    const uid = await cluster.must('get pod pair -o jsonpath={.metadata.uid}');
    const containers = pidsOf(/^sleep 3600/);
    const [supervisor] = pidsOf(new RegExp(`${uid}`)).filter((pid) => !containers.includes(pid));
    if (supervisor === undefined) throw new Error('no supervisor names the pod');

    process.kill(supervisor, 'SIGKILL');

    await eventually(
      'both restarted',
      async () =>
        (await cluster.must('get pod pair -o jsonpath={.status.containerStatuses[*].restartCount}')) ===
        '1 1',
    );
    await cluster.must('wait --for=condition=Ready pod/pair --timeout=120s');
    const events = await eventually('the event', async () => {
      const told = await cluster.must('get events --field-selector involvedObject.name=pair');
      return told.includes('SandboxChanged') && told;
    });
    expect(events).not.toContain('its sandbox is dead');
    await cluster.must('delete pod pair --grace-period=0 --force');
  });

  it('of the server in the middle of writes: every acknowledged write is there, and watches resume', async () => {
    const acknowledged: string[] = [];
    const writing = (async () => {
      for (let i = 0; i < 60; i++) {
        const result = await cluster.kubectl(`create configmap write-${i} --from-literal=n=${i}`);
        if (result.code === 0) acknowledged.push(`write-${i}`);
      }
    })();
    await eventually('some writes', async () => acknowledged.length > 10);
    const killed = server();
    process.kill(killed, 'SIGKILL');
    await writing;
    await eventually('a new server', async () => (await cluster.kubectl('get --raw /readyz')).code === 0);
    const names = new Set(
      (await cluster.must('get configmaps -o name'))
        .split('\n')
        .map((line) => line.replace('configmap/', '')),
    );
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(20);
    // Controllers and the agent go on from where they were.
    await cluster.must(`create deployment after --image=${image}`);
    await cluster.must('rollout status deployment after --timeout=120s');
    await cluster.must('delete deployment after');
  });

  it('of what stands in the hosts for their namespaces, and of what runs there: it is started again, its pods go on', async () => {
    await cluster.must(`run stays --image=${image} -- sleep 3600`);
    await cluster.must('wait --for=condition=Ready pod/stays --timeout=120s');
    const killed = [agent(), server()];
    for (const { pid } of (await cluster.state()).hosts) process.kill(pid, 'SIGKILL');
    for (const pid of killed) process.kill(pid, 'SIGKILL');

    await eventually(
      'a new agent',
      async () => !killed.includes(pidsOf(agentOf(cluster))[0] ?? killed[0] ?? 0),
    );
    await eventually('an answer', async () => (await cluster.kubectl('get --raw /readyz')).code === 0);
    await cluster.must(`run later --image=${image} -- sleep 3600`);
    await cluster.must('wait --for=condition=Ready pod/later --timeout=120s');
    expect(await cluster.must('get pod stays -o jsonpath={.status.containerStatuses[0].restartCount}')).toBe(
      '0',
    );
    await cluster.must('exec stays -- true');
    await cluster.must('delete pod stays later --grace-period=0 --force');
  });

  it('of the launcher: down --purge removes all that is left', async () => {
    const { repositoryRoot } = await import('#bin/paths.ts');
    const lost = await startCluster();
    await lost.must(`run stays --image=${image} -- sleep 3600`);
    await lost.must('wait --for=condition=Ready pod/stays --timeout=120s');
    const { hosts, pid } = await lost.state();
    process.kill(pid, 'SIGKILL');
    const down = await run([`${repositoryRoot}/podwright`, 'down', '--purge', '--data', lost.dataDir]);
    expect(down).toMatchObject({ code: 0 });
    // A zombie that nobody has reaped yet has ended, and holds no namespace.
    for (const host of hosts)
      expect((await run(['ps', '-o', 'stat=', '-p', String(host.pid)])).stdout).toMatch(/^(Z.*\n)?$/);
    expect(pidsOf(new RegExp(lost.dataDir))).toEqual([]);
    await lost[Symbol.asyncDispose]();
  });
});
