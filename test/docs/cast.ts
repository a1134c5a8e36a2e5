/**
 * `node test/docs/cast.ts [SCENE…]`: makes docs/pictures/*.svg from real sessions, as root. Each scene starts a cluster of its own,
 * types its commands and records what they answer. What is not as it was: the data directory and port, which are a test's,
 * are shown as the defaults, and pauses longer than a second are shown as one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { dataDirDefault, repositoryRoot } from '#bin/paths.ts';
import { eventually, findKubectl, freePort, run, type CommandResult } from '#test/cluster/cluster.ts';
import { renderCast, type CastLine } from './render-cast.ts';

const pictures = join(repositoryRoot, 'docs', 'pictures');
const pauseMaxMs = 1000;
const typingMs = 600; // Between an answer and the next command.

/** Records one session: every method types a command, or says something between. */
class Session implements AsyncDisposable {
  readonly lines: CastLine[] = [];
  readonly #parent = mkdtempSync(join(tmpdir(), 'podwright-cast-'));
  readonly #dataDir = join(this.#parent, 'data');
  #port = 0;
  #up: ChildProcess | undefined;
  #shownMs = 0;
  #lastMs = performance.now();

  note(text: string): void {
    this.#add('note', `# ${text}`, typingMs);
  }

  /** `podwright up` in the foreground of one terminal; the commands after it are typed in another. */
  async up(nodes: number): Promise<void> {
    this.#port = await freePort();
    this.#type(`sudo ./podwright up --nodes ${nodes}`);
    const args = ['up', '--nodes', String(nodes), '--data', this.#dataDir, '--port', String(this.#port)];
    const up = spawn(join(repositoryRoot, 'podwright'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#up = up;
    const ready = Promise.withResolvers<void>();
    createInterface({ input: up.stdout }).on('line', (line) => {
      this.#answer(line);
      if (line.startsWith('ready in')) ready.resolve();
    });
    up.once('exit', (code) => ready.reject(new Error(`podwright up ended with ${code}`)));
    await ready.promise;
    await eventually('the last lines of up', async () => this.lines.at(-1)?.text === '');
  }

  /** Ctrl-C in the first terminal. */
  async end(): Promise<void> {
    if (this.#up === undefined) return;
    const exited = once(this.#up, 'exit');
    this.#add('typed', '^C', typingMs);
    this.#up.kill('SIGINT');
    await exited;
    this.#up = undefined;
  }

  /** Types a command and shows what it answers. @throws when it fails: the picture stays as it was. */
  async type(command: string): Promise<void> {
    this.#type(command);
    const { code, stdout } = await this.#run(command);
    if (code !== 0) throw new Error(`${command}: ${code}\n${stdout}`);
    const answer = stdout.trimEnd();
    if (answer !== '') for (const line of answer.split('\n')) this.#answer(line);
  }

  /** Waits, without a trace in the picture, until a command's output holds what is looked for. */
  async until(command: string, holds: RegExp): Promise<void> {
    await eventually(command, async () => holds.test((await this.#run(command)).stdout));
  }

  /** With kubectl meaning the machine's newest, and ./podwright told where this cluster is. */
  #run(command: string): Promise<CommandResult> {
    const script = [
      `kubectl() { ${findKubectl()} "$@"; }`,
      'sudo() { "$@"; }',
      `cd ${repositoryRoot}`,
      `{ ${command.replaceAll('podwright status', `podwright status --data ${this.#dataDir}`)}; } 2>&1`,
    ];
    const environment = { KUBECONFIG: join(this.#dataDir, 'kubeconfig') };
    return run(['sh', '-c', script.join('\n')], { environment });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#up !== undefined) {
      const exited = once(this.#up, 'exit');
      this.#up.kill('SIGINT');
      await exited;
    }
    rmSync(this.#parent, { recursive: true, force: true });
  }

  #type(text: string): void {
    this.#add('typed', text, typingMs);
    this.#lastMs = performance.now();
  }

  #answer(text: string): void {
    const now = performance.now();
    const shown = text.replaceAll(this.#dataDir, dataDirDefault).replaceAll(String(this.#port), '6443');
    this.#add('output', shown, Math.min(now - this.#lastMs, pauseMaxMs));
    this.#lastMs = now;
  }

  #add(kind: CastLine['kind'], text: string, afterMs: number): void {
    this.#shownMs += afterMs;
    this.lines.push({ kind, text, atMs: Math.round(this.#shownMs) });
  }
}

interface Scene {
  readonly title: string;
  readonly play: (session: Session) => Promise<void>;
}

const agentOf = `sudo ./podwright status | awk '/^node-1/ { print $3 + 0 }'`;
const countProgram = 'i=0; while sleep .05; do echo line $((i+=1)); done';

const scenes: Readonly<Record<string, Scene>> = {
  'first-pod': {
    title: 'two nodes, a Deployment, a Service, and nothing left',
    play: async (session) => {
      await session.up(2);
      session.note('in another terminal');
      await session.type('kubectl create deployment web --image=podwright/demo:1 --replicas=4');
      await session.type('kubectl expose deployment web --port=80 --target-port=8080');
      await session.type('kubectl rollout status deployment web');
      await session.type('kubectl get pods -o wide | cut -c 1-77');
      await session.type(
        `kubectl exec deployment/web -- sh -c 'for i in 1 2 3 4; do wget -q -O - http://web; done'`,
      );
      session.note('back in the first one');
      await session.end();
    },
  },
  'agent-killed': {
    title: 'kill -9 of the agent: the pod goes on, and no line of its log is lost',
    play: async (session) => {
      await session.up(1);
      await session.type(`kubectl run count --image=podwright/demo:1 -- sh -c '${countProgram}'`);
      await session.until('kubectl logs count', /line 20\n/);
      await session.type('sudo ./podwright status');
      await session.type(`sudo kill -9 $(${agentOf})`);
      await session.until(agentOf, /^[1-9]/);
      await session.type('sudo ./podwright status');
      await session.until('kubectl get nodes', / Ready /);
      await session.until('kubectl logs count', /line 100\n/);
      await session.type('kubectl get pods');
      session.note('every line exactly once?');
      await session.type(
        `kubectl logs count | awk '$2 != NR { exit 1 } END { print NR " lines, none missing" }'`,
      );
      await session.end();
    },
  },
};

async function main(): Promise<void> {
  const asked = process.argv.slice(2);
  mkdirSync(pictures, { recursive: true });
  for (const [name, scene] of Object.entries(scenes)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    await using session = new Session();

    await scene.play(session);
    const file = join(pictures, `${name}.svg`);
    writeFileSync(file, renderCast({ title: scene.title, lines: session.lines }));
    console.log(file);
  }
}

if (import.meta.main) await main();
