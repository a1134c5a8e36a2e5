/** A server whose store was emptied, damaged or exchanged, under nodes with pods. */
import { readFileSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';
import { startTicksOf } from '#bin/up/state.ts';
import { canTestClusters, eventually, run, startCluster, type TestCluster } from './cluster.ts';
import { pidsOf } from './processes.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';

describe.skipIf(!canRun)('a store that is not what it was (needs kubectl)', () => {
  let cluster: TestCluster;
  const at = (name: string): string => join(cluster.dataDir, 'server', name);
  const server = (): readonly number[] =>
    pidsOf(new RegExp(`podwright\\.ts server .*${cluster.dataDir}/server `));
  const marker = `podwright-stays-${process.pid}`;
  const container = (): number => pidsOf(new RegExp(`^sh -c .*${marker}`))[0] ?? 0;
  const isReady = async (): Promise<boolean> => (await cluster.kubectl('get --raw /readyz')).code === 0;
  /** Kills the server as often as it is there, until what was done while it was not has been done. */
  const withoutServer = async (work: () => void): Promise<void> => {
    const [pid] = server();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await eventually('its end', async () => !server().includes(pid ?? 0));
    work();
    for (const next of server()) process.kill(next, 'SIGKILL'); // It may have opened what was there before.
  };
  const serverLog = (): string => readFileSync(at('server.log'), 'utf8');

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.must(
      `run stays --image=${image} -- sh -c "while true; do sleep 3600; echo ${marker}; done"`,
    );
    await cluster.must('wait --for=condition=Ready pod/stays --timeout=120s');
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  it('damaged: the server refuses, with what and what to do, and the pods go on', async () => {
    const [pid, startedAt] = [container(), startTicksOf(container())];
    expect(startedAt).toBeDefined();
    await withoutServer(() => {
      renameSync(at('store'), at('store.kept'));
      renameSync(at('store.mark'), at('store.mark.kept'));
      renameSync(at('store.kept'), at('store'));
    });
    await eventually('the refusal', async () =>
      serverLog().includes('which says how far it had come, is missing'),
    );
    expect(serverLog()).toMatch(/podwright store salvage --data /);
    await withoutServer(() => {
      renameSync(at('store.mark.kept'), at('store.mark'));
      renameSync(at('store/store.db'), at('store.db.kept'));
    });
    await eventually('the refusal', async () =>
      serverLog().includes('store.db is missing, and had come to revision'),
    );
    await withoutServer(() => renameSync(at('store.db.kept'), at('store/store.db')));
    await eventually('an answer', isReady);
    expect(startTicksOf(pid)).toBe(startedAt);
    await cluster.must('exec stays -- true');
  });

  it('emptied: the node does not take it for its own, says so, and goes on when the store is back', async () => {
    const [pid, startedAt] = [container(), startTicksOf(container())];
    await withoutServer(() => {
      for (const name of ['store', 'store.mark']) renameSync(at(name), at(`${name}.kept`));
      renameSync(at('pki/sa.key'), at('pki/sa.key.kept')); // As a server of a day, with the same CA.
    });
    await eventually('an empty cluster', isReady);
    expect(await cluster.must('get pods -A -o name')).toBe('');
    const status = await eventually('its word', async () => {
      const { stdout } = await run([`${repositoryRoot}/podwright`, 'status', '--data', cluster.dataDir]);
      return stdout.includes('another cluster') && stdout;
    });
    expect(status).toMatch(/its pods go on untouched. Put back the server's data; or remove .*cluster.json/);
    expect(await cluster.must('get nodes -o name')).toBe('');
    // An agent that starts anew does not, either.
    const agents = (): readonly number[] =>
      pidsOf(new RegExp(`podwright\\.ts agent .*${cluster.dataDir}/node-1 `));
    const [agent = 0] = agents();
    process.kill(agent, 'SIGKILL');
    await eventually('another agent', async () => agents().some((each) => each !== agent));
    await eventually('its word', async () => {
      const { stdout } = await run([`${repositoryRoot}/podwright`, 'status', '--data', cluster.dataDir]);
      return stdout.includes('another cluster');
    });
    expect(startTicksOf(pid)).toBe(startedAt);

    await withoutServer(() => {
      for (const name of ['store', 'store.mark', 'pki/sa.key']) {
        rmSync(at(name), { recursive: true });
        renameSync(at(`${name}.kept`), at(name));
      }
    });
    await eventually('an answer', isReady);
    await eventually('the pod', async () => (await cluster.kubectl('exec stays -- true')).code === 0);
    expect(startTicksOf(pid)).toBe(startedAt);
    expect(await cluster.must('get pod stays -o jsonpath={.status.containerStatuses[0].restartCount}')).toBe(
      '0',
    );
  });

  it('salvaged: what is whole is kept, clients list anew, the pods go on', async () => {
    const [pid, startedAt] = [container(), startTicksOf(container())];
    await cluster.must('create configmap kept --from-literal=a=b');
    await withoutServer(() => {
      renameSync(at('store.mark'), at('store.mark.kept')); // So that no server comes between.
    });
    renameSync(at('store.mark.kept'), at('store.mark'));
    const log = at('store/store.db-wal');
    truncateSync(log, Math.floor(readFileSync(log).length / 2));
    for (const next of server()) process.kill(next, 'SIGKILL');
    const salvaged = await eventually('the salvage', async () => {
      const { code, stdout } = await run([
        `${repositoryRoot}/podwright`,
        'store',
        'salvage',
        '--data',
        cluster.dataDir,
      ]);
      return code === 0 && stdout; // A server that is about to refuse may have it open.
    });
    expect(salvaged).toMatch(/kept \d+ objects.*the damaged files are in .*store.damaged-1/s);
    await eventually('an answer', isReady);
    await cluster.must('get configmap kept');
    await cluster.must('create configmap later --from-literal=a=b');
    await eventually('the pod', async () => (await cluster.kubectl('exec stays -- true')).code === 0);
    expect(startTicksOf(pid)).toBe(startedAt);
  });
});
