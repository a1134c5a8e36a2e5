/** What a new user types, with today's kubectl and with Debian's 1.20, against two nodes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createAsker } from './ask.ts';
import {
  canTestClusters,
  eventually,
  findKubectl,
  freePort,
  run,
  startCluster,
  words,
  type CommandResult,
  type RunOptions,
  type TestCluster,
} from './cluster.ts';
import { kubectls } from './kubectls.ts';

const canRun = canTestClusters();
const image = 'podwright/demo:1';

/** Of each way to ask, one. */
const asks = [
  ...['get po asked -o wide', 'get pods --no-headers', 'get pod none', 'get pod asked -o json'],
  ...[
    'get services -o json',
    'get clusterroles -o name',
    'get pods -l say=a -o name',
    'logs asked -c c --tail=1',
  ],
  `get pod asked -o jsonpath={.spec.containers}{'/'}{.spec.none}{.status.conditions[?(@.type=="Ready")].status}`,
];

describe.skipIf(!canRun)('kubectl against podwright up --nodes 2 (needs kubectl)', () => {
  let cluster: TestCluster;
  let scratch: string;

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
    scratch = mkdtempSync(join(tmpdir(), 'podwright-kubectl-'));
  });

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
  });

  describe.each(kubectls)('kubectl $name', ({ name, path }) => {
    const namespace = `k${name.replace('.', '')}`;
    let program: string;
    const full = (args: string): readonly string[] => [
      program,
      '--kubeconfig',
      cluster.kubeconfig,
      '--cache-dir',
      join(scratch, name),
      '-n',
      namespace,
      ...words(args),
    ];
    const kubectl = (args: string, options?: RunOptions): Promise<CommandResult> => run(full(args), options);
    const must = async (args: string, options?: RunOptions): Promise<string> => {
      const result = await kubectl(args, options);
      expect(result, `kubectl ${args}\n${result.stderr}`).toMatchObject({ code: 0 });
      return result.stdout;
    };
    /** What is waited for is asked without a kubectl each time. */
    const ask = (args: string): Promise<string> => cluster.must(`${args} -n ${namespace}`);
    const readyPods = async (selector: string): Promise<readonly string[]> => {
      const rows = await ask(`get pods -l ${selector} --no-headers`);
      return rows
        .split('\n')
        .filter((row) => /\s1\/1\s+Running\s/.test(row))
        .map((row) => row.split(/\s+/)[0] ?? '');
    };

    beforeAll(async () => {
      program = await path();
      await must(`create namespace ${namespace}`);
    });

    it('creates a deployment whose pods run on both nodes', async () => {
      await must(`create deployment web --image=${image}`);
      await must('scale deployment web --replicas=4');
      await eventually('four pods', async () => (await readyPods('app=web')).length === 4);
      await must('rollout status deployment web --timeout=120s');
      const wide = await must('get pods -l app=web -o wide --no-headers');
      expect(new Set(wide.match(/node-\d/g))).toEqual(new Set(['node-1', 'node-2']));
    });

    it('prints changes with get -w', async () => {
      const watch = spawn(program, full('get pods -o wide -w').slice(1), {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines: string[] = [];
      createInterface({ input: watch.stdout }).on('line', (line) => void lines.push(line));
      await eventually('the header', async () => lines.length > 4);
      await must(`run watched --image=${image} --restart=Never -- sleep 1`);
      await eventually('the watched pod to complete', async () =>
        lines.some((line) => /^watched\s+0\/1\s+Completed/.test(line)),
      );
      const exited = once(watch, 'exit');
      watch.kill();
      await exited;
    });

    it('exposes it: a pod reaches the Service by name and gets answers from both nodes', async () => {
      await must('expose deployment web --port=80 --target-port=8080');
      await must(`run client --image=${image} --restart=Never -- sleep 3600`);
      await eventually('the client', async () => (await readyPods('run=client')).length === 1);
      const script = `for i in $(seq 40); do wget -q -O - http://web.${namespace}.svc.cluster.local; done`;
      const answers = await run([...full('exec client --'), 'sh', '-c', script]);
      expect(answers.stderr).toBe('');
      const hosts = new Set(answers.stdout.match(/web-[a-z0-9]+-[a-z0-9]+/g));
      const wide = await must('get pods -l app=web -o wide --no-headers');
      const nodes = new Set([...hosts].map((host) => new RegExp(`${host}.*(node-\\d)`).exec(wide)?.[1]));
      expect(nodes).toEqual(new Set(['node-1', 'node-2']));
    });

    it('refuses connections to a Service without endpoints', async () => {
      await must('create service clusterip empty --tcp=80:80');
      const answer = await run([...full('exec client --'), 'sh', '-c', 'wget -q -O - http://empty 2>&1']);
      expect(answer.stdout).toMatch(/refused/); // One that nobody refuses times out.
    });

    it('follows logs', async () => {
      await must(
        `run counter --image=${image} --restart=Never -- sh -c "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done"`,
      );
      await eventually('the counter', async () =>
        /Running|Completed|Succeeded/.test(await ask('get pod counter --no-headers')),
      );
      expect(await must('logs -f counter')).toBe('line 1\nline 2\nline 3\nline 4\nline 5\n');
      expect(await must('logs --tail=2 counter')).toBe('line 4\nline 5\n');
    });

    it('executes with a terminal, with input, and with an exit code', async () => {
      const result = await kubectl('exec client -- sh -c "echo out; echo err >&2; exit 7"');
      expect(result.stdout).toBe('out\n');
      expect(result.stderr).toContain('err\n');
      expect(result.code).toBe(7);
      const cat = await kubectl('exec -i client -- cat', { input: 'through stdin\n' });
      expect(cat.stdout).toBe('through stdin\n');
      const terminal = await run([
        'script',
        '-qec',
        full("exec -it client -- sh -c 'tty; stty size'")
          .map((word) => `'${word}'`)
          .join(' '),
        '/dev/null',
      ]);
      expect(terminal.stdout).toMatch(/\/dev\/pts\/\d/);
    });

    it('attaches', async () => {
      const attached = await kubectl(`run attached --rm -i --restart=Never --image=${image} -- cat`, {
        input: 'hello\n',
      });
      expect(attached.stdout).toContain('hello\n');
    });

    it('forwards ports', async () => {
      const port = await freePort();
      const forward = spawn(program, full(`port-forward deployment/web ${port}:8080`).slice(1), {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(forward.stdout, 'data');
      for (let i = 0; i < 3; i++) {
        const answer = await fetch(`http://127.0.0.1:${port}/`);
        expect(await answer.text()).toMatch(/web-/);
      }
      const exited = once(forward, 'exit');
      forward.kill();
      await exited;
    });

    it('copies files both ways', async () => {
      const local = join(scratch, `${name}.bin`);
      const back = join(scratch, `${name}.back`);
      writeFileSync(local, Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251)));
      await must(`cp ${local} client:/tmp/copied`);
      await must(`cp client:/tmp/copied ${back}`);
      expect(readFileSync(back).equals(readFileSync(local))).toBe(true);
    });

    it('describes, applies and deletes', async () => {
      expect(await must('describe pod client')).toMatch(/Events:[\s\S]*Scheduled[\s\S]*Started/);
      expect(await must('describe deployment web')).toContain('ScalingReplicaSet');
      expect(await must('describe node node-1')).toContain('Allocatable');
      const manifest = join(scratch, 'config.yaml');
      const write = (value: string): void =>
        writeFileSync(
          manifest,
          `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {key: ${value}}\n`,
        );
      write('one');
      expect(await must(`apply -f ${manifest}`)).toContain('created');
      write('two');
      expect(await must(`apply -f ${manifest}`)).toContain('configured');
      expect(await must(`apply -f ${manifest}`)).toContain('unchanged');
      expect(await must('get configmap settings -o jsonpath={.data.key}')).toBe('two');
      await must(`delete -f ${manifest}`);
      await must('delete deployment web');
      await must('delete pod client counter watched --grace-period=1');
      await eventually('no pods', async () => (await ask('get pods -l app=web --no-headers')) === '');
      await must(`delete namespace ${namespace}`);
    });

    it('refuses an unknown field under strict validation', async () => {
      const manifest = join(scratch, 'strict.yaml');
      writeFileSync(manifest, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndatta: {}\n');
      const result = await run([
        program,
        '--kubeconfig',
        cluster.kubeconfig,
        '-n',
        'default',
        'create',
        '-f',
        manifest,
      ]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/unknown field/);
      expect(
        (await run([program, '--kubeconfig', cluster.kubeconfig, '-n', 'default', 'get', 'configmap', 'bad']))
          .stderr,
      ).toContain('not found');
    });
  });

  it('is spared by what asks in its place, which prints the same', async () => {
    const pod = {
      metadata: { name: 'asked', labels: { say: 'a' } },
      spec: { containers: [{ name: 'c', image, command: ['sh', '-c', 'echo hi; sleep 3600'] }] },
    };
    const made = { apiVersion: 'v1', kind: 'Pod', ...pod };
    expect(await cluster.must('create -f -', { input: JSON.stringify(made) })).toBe('pod/asked created\n');
    const unknown = JSON.stringify({ ...made, speck: {} });
    expect(await cluster.kubectl('create -f -', { input: unknown })).toEqual(
      await run([findKubectl(), '--kubeconfig', cluster.kubeconfig, 'create', '-f', '-'], { input: unknown }),
    );
    await cluster.must('wait --for=condition=Ready pod/asked --timeout=120s');
    await using asker = createAsker(cluster.kubeconfig);
    const withoutAges = (text: string): string => text.replaceAll(/\b(?:\d+[ms])+ */g, 'AGE ');
    for (const line of asks) {
      const asked = await asker.answer(words(line));
      const { stdout, ...rest } = await run([
        findKubectl(),
        '--kubeconfig',
        cluster.kubeconfig,
        ...words(line),
      ]);
      expect({ ...asked, stdout: withoutAges(asked?.stdout ?? '') }, line).toEqual({
        ...rest,
        stdout: withoutAges(stdout),
      });
    }
  });
});
