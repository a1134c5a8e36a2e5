/** The supervisor, told anything by whoever is connected: it goes on, answers others, and gives back what it had for those who left. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { ensureSupervisor } from '#native/launch/build.ts';
import type { RunningProcess } from '#native/launch/launch.ts';
import { LAUNCH, renderStage, type EventMessage } from '#native/launch/protocol.ts';
import { fuzz } from './fuzz.ts';
import {
  aimedAt,
  conversation,
  ids,
  stayingProgram,
  type Conversation,
} from './supervisor-messages.fixture.ts';
import {
  buildSanitized,
  connectClient,
  sandboxRefusal,
  startSandbox,
  type Client,
  type Sandbox,
} from './supervisor-sandbox.fixture.ts';

const refusal = sandboxRefusal();
const root = refusal === undefined ? mkdtempSync(join(tmpdir(), 'podwright-fuzz-')) : '';
if (refusal === undefined) {
  chmodSync(root, 0o755);
  mkdirSync(join(root, 'built'), { mode: 0o755 });
}
const sanitized = refusal === undefined ? await buildSanitized(join(root, 'built')) : undefined;
const plain = refusal === undefined ? await ensureSupervisor() : '';
/** Cases before it is started anew: what is found must not be hidden by what is left of others. */
const casesMax = 300;
const quietMs = 60_000;

const open: Sandbox[] = [];
afterAll(async () => {
  for (const sandbox of open) await sandbox[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
  console.log(Object.fromEntries([...told].toSorted(([, a], [, b]) => b - a)));
});

/** What came back, to see that the cases reach what they are meant for. */
const told = new Map<string, number>();

function tell(events: readonly EventMessage[]): void {
  for (const event of events) {
    const kind =
      event.kind === 'reply' && event.reply.errno !== undefined
        ? `${event.reply.index < 0 ? renderStage(event.reply.index) : 'op'}: ${event.reply.errno}`
        : event.kind;
    if (told.size < 80) told.set(kind, (told.get(kind) ?? 0) + 1);
  }
}

interface Subject {
  /** A running process, as the sandbox counts them. */
  readonly target: number;
  readonly sandbox: Sandbox;
  /** Open descriptors with one client. */
  readonly descriptors: number;
  cases: number;
}

let started = 0;

async function startSubject(binary: string, args: readonly string[]): Promise<Subject> {
  const directory = join(root, `${started++}`);
  mkdirSync(directory, { mode: 0o755 });
  const sandbox = await startSandbox(binary, directory, args);
  open.push(sandbox);
  using client = await greeted(sandbox);

  const target = await startTarget(client, args.includes('pid'));
  return { sandbox, target, descriptors: sandbox.descriptors(), cases: 0 };
}

/** A process that is there as long as the supervisor is: its number. */
async function startTarget(client: Client, isInPod: boolean): Promise<number> {
  const launch = {
    id: 'target',
    flags: isInPod ? LAUNCH.POD_PID : 0,
    targetPid: 0,
    cloneFlags: 0,
    logPath: undefined,
    cgroup: undefined,
    program: stayingProgram(isInPod),
  };
  client.ask({ kind: 'launch', tag: 1, launch });
  const event = await client.wait('start', (each) => each.kind === 'reply' && each.tag === 1);
  // What a child gives back before it is born in the pod's namespace, sanitizers need: then there is no such process.
  return event.kind === 'reply' && event.reply.errno === undefined ? event.reply.pid : 0;
}

async function stopSubject({ sandbox }: Subject): Promise<void> {
  open.splice(open.indexOf(sandbox), 1);
  await sandbox[Symbol.asyncDispose]();
}

async function greeted(sandbox: Sandbox): Promise<Client> {
  const client = connectClient(sandbox.socketPath);
  await client.wait('hello', ({ kind }) => kind === 'hello');
  return client;
}

async function listOf(client: Client, tag: number): Promise<readonly RunningProcess[]> {
  client.ask({ kind: 'list', tag });
  const event = await client.wait('list', (each) => each.kind === 'running' && each.tag === tag);
  return event.kind === 'running' ? event.processes : [];
}

async function converse({ sandbox, target }: Subject, given: Conversation): Promise<void> {
  const { pieceBytes, isReading, turns } = given;
  const bytes = aimedAt(given.bytes, target);
  using client = connectClient(sandbox.socketPath);

  if (!isReading) client.socket.pause();
  for (let at = 0, pieces = 0; at < bytes.length; pieces++) {
    // The first thousand pieces are small: where the heads are.
    const end = pieces < 1000 ? at + pieceBytes : bytes.length;
    client.socket.write(bytes.subarray(at, end));
    at = end;
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
  }
  if (!isReading) return;
  // A last frame that is not whole is waited for, and so would be what comes now.
  await new Promise((resolve) => setTimeout(resolve, 12));
  client.socket.end();
  await client.ended();
  tell(client.events);
}

/** Ends all that was started, and waits until nothing of it is left. */
async function expectQuiet({ sandbox, descriptors }: Subject): Promise<void> {
  using client = await greeted(sandbox);

  const deadline = performance.now() + quietMs;
  for (let tag = 1; ; tag += 10) {
    const running = (await listOf(client, tag)).filter(({ id }) => id !== 'target');
    const known = new Set([...ids, ...running.map(({ id }) => id)]);
    [...known].forEach((id, at) => client.ask({ kind: 'kill', tag: tag + 1 + at, id, signal: 9, all: true }));
    if (running.length === 0 && sandbox.descriptors() <= descriptors) return;
    if (performance.now() > deadline) {
      expect({ running, descriptors: sandbox.descriptors() }).toEqual({ running: [], descriptors });
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function fuzzSupervisor(name: string, binary: string): void {
  let subject: Subject | undefined;
  const modes = [['ipc', 'hostname=fuzz'], ['pid']];
  fuzz(name, {
    arbitrary: conversation,
    check: async (given) => {
      subject ??= await startSubject(binary, modes[started % 2] ?? []);
      const { sandbox } = subject;
      try {
        await converse(subject, given);
        await expectQuiet(subject);
        expect(sandbox.complaints()).toBe('');
      } catch (error) {
        const state = sandbox.isAlive() ? 'it lives' : 'it has ended';
        const complaints = sandbox.complaints();
        await stopSubject(subject);
        subject = undefined;
        throw new Error(`${state}; ${complaints}`, { cause: error });
      }
      if (++subject.cases < casesMax) return;
      await stopSubject(subject);
      subject = undefined;
    },
  });
}

describe.skipIf(refusal !== undefined)(`the supervisor (${refusal ?? 'in a sandbox'})`, () => {
  fuzzSupervisor('messages and programs to a supervisor', plain);
});

const isSanitized = sanitized !== undefined;
describe.skipIf(!isSanitized)(
  `the supervisor with sanitizers (${isSanitized ? 'gcc' : 'needs gcc and libasan'})`,
  () => {
    fuzzSupervisor('messages and programs to a supervisor with sanitizers', sanitized ?? '');
  },
);
