import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { createRandom } from '#base/random.fixture.ts';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import { parseOomKill, podOf } from './parse-kmsg.ts';
import { createOomTeller, KernelLog, watchOom } from './watch-oom.ts';

const id = 'a'.repeat(64);
const pod = `/podwright/kubepods/burstable/pod0b-1c/${id}`;
const rest = 'nodemask=(null),cpuset=/,mems_allowed=0';
const ofPod = `6,1339,5140900,-;oom-kill:constraint=CONSTRAINT_MEMCG,${rest},oom_memcg=${pod},task_memcg=${pod},task=stress,pid=71,uid=0`;
const ofMachine = `6,1340,5140901,-;oom-kill:constraint=CONSTRAINT_NONE,${rest},global_oom,task_memcg=/user.slice,task=a,task=b,pid=9,uid=1000`;

test('kills are read of the kernel’s words, whatever a process calls itself', () => {
  expect(parseOomKill(ofPod)).toEqual({ pid: 71, name: 'stress', limitedCgroup: pod, cgroup: pod });
  expect(parseOomKill(ofMachine)).toMatchObject({ pid: 9, limitedCgroup: '/', name: 'b' });
  expect(parseOomKill('6,1,2,-;Memory cgroup out of memory: Killed process 71 (stress)')).toBe(undefined);
  expect(podOf(pod)).toEqual({ uid: '0b-1c', container: id });
  expect(podOf('/podwright/kubepods/podu')).toEqual({ uid: 'u', container: undefined });
  expect(podOf('/system.slice/kubepods.service')).toBe(undefined);
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 9);
  const random = createRandom(seed);
  for (let run = 0; run < 2000; run++) {
    const bytes = Buffer.from(ofPod);
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    const found = parseOomKill(bytes.toString());
    expect(found === undefined || Number.isInteger(found.pid), `seed ${seed}, run ${run}`).toBe(true);
  }
});

test('the machine’s are told at the node, a pod’s at the pod, and not without end', () => {
  const told: string[] = [];
  let nowMs = 100_000;
  const tell = createOomTeller(
    { ofNode: (message) => told.push(message), ofPod: (uid, message) => told.push(`${uid}: ${message}`) },
    { now: () => nowMs },
  );
  for (const line of [ofPod, ofMachine]) {
    const kill = parseOomKill(line);
    if (kill !== undefined) tell(kill);
  }
  expect(told).toEqual([
    '0b-1c: Memory cgroup out of memory: Killed process 71 (stress)',
    'System OOM encountered, victim process: b, pid: 9',
  ]);
  for (let count = 0; count < 100; count++) tell({ pid: count, name: 'x', cgroup: pod, limitedCgroup: pod });
  expect(told.length).toBe(20);
  nowMs += 60_001;
  tell({ pid: 1, name: 'x', cgroup: pod, limitedCgroup: pod });
  expect(told.length).toBe(21);
});

test('a log is followed from where it is', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'kmsg-'));
  using _directory = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  const file = path.join(directory, 'kmsg');
  writeFileSync(file, '');
  truncateSync(file, 32 * 1024 ** 2); // More than is read in one look.
  appendFileSync(file, `${ofMachine}\n`);
  const clock = createFakeClock(0);
  const { log, lines } = createRecordedLog();
  const told: string[] = [];
  const teller = {
    ofNode: (message: string) => void told.push(message),
    ofPod: (uid: string) => void told.push(uid),
  };
  let changed = (_uid: string): void => undefined;
  const runtime = {
    onChange: (listener: (uid: string) => void) => (
      (changed = listener),
      { [Symbol.dispose]: () => undefined }
    ),
  };
  using _watch = watchOom({ clock, logger: log, runtime, teller, file });
  appendFileSync(file, `${ofPod}\n`);
  changed('u');
  await untilQuiet();
  expect(told).toEqual(['0b-1c']);
  expect(watchOom({ clock, logger: log, runtime, teller, file: path.join(directory, 'none') })).toBe(
    undefined,
  );
  expect(lines.at(-1)?.message).toBe('the kernel’s log is not read: no events tell who ran out of memory');
});

test('the kernel’s own is read where it is shown', () => {
  try {
    using log = new KernelLog();
    expect(log.read().length).toBeGreaterThanOrEqual(0);
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^E(ACCES|PERM|NOENT)$/) as unknown });
  }
});
