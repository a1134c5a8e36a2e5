/** What an agent, or something in its place, says to a supervisor: well-formed requests with some bytes changed, and programs of any ops. */
import {
  toStringMethod,
  array,
  constantFrom,
  integer,
  nat,
  oneof,
  option,
  record,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import {
  createProgramBuilder,
  encodeProgram,
  number,
  register,
  text,
  texts,
  type ProgramArgument,
  type ProgramBuilder,
} from '#native/launch/program.ts';
import {
  encodeRequest,
  frameBytesMax,
  frameHeaderBytes,
  MSG,
  versionOffset,
  wireVersion,
} from '#native/launch/protocol.ts';
import { hostArchitecture, syscallNumber } from '#native/launch/syscall-numbers.ts';

export const ids: readonly string[] = ['a', 'b', 'c-1', 'd'.repeat(64)];

/** In the stead of a running process's number, which is known only then. */
const somePid = 0x7eee_eeee;

/** System calls that reach nothing but the process itself and what the sandbox has of its own: no signals, no further processes. */
const harmless: readonly string[] = (
  'close dup3 fcntl openat openat2 mkdirat umask chdir fchdir setsid read write lseek sched_yield brk ' +
  'mprotect munmap madvise close_range execve symlinkat unlinkat unshare setns sethostname fsopen ' +
  'fsconfig fsmount open_tree move_mount mount_setattr pivot_root umount2 prctl capset setresuid ' +
  'setresgid setgroups getpid pipe2 socketpair sendto exit_group exit nanosleep ioctl dup'
).split(' ');
const pseudoOps: readonly string[] = (
  'makePath maskPath writeFile keepCaps openTty execvePath makeMount sealPath dropBounding fork ' +
  'takeProc enterPath openNull'
).split(' ');
const firstPseudoOp = 0xff01;
const numbers = harmless.map((name) => syscallNumber(name, hostArchitecture) ?? 0xffff);

const words: readonly string[] = [
  '',
  '.',
  '/',
  'x',
  'x/y/z',
  '../x',
  'x/../y',
  '/proc/self/fd/3',
  '/proc/self/ns/mnt',
  '/dev/pts',
  '/dev/null',
  '/bin/busybox',
  '/tmp',
  'tmpfs',
  'proc',
  'source=x',
  'size=1',
  'mode=755',
  'k='.repeat(200),
  'n'.repeat(300),
  'p/'.repeat(2047),
  'q'.repeat(5000),
  'directory',
  'null',
];
const interesting: readonly (number | bigint)[] = [
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  100,
  -1,
  -100,
  0o755,
  4096,
  65_536,
  2 ** 31,
  2 ** 32 - 1,
  -(2 ** 31),
  0x7fff_ffff_ffff_ffffn,
  -0x8000_0000_0000_0000n,
];

interface OpDraft {
  readonly name: string;
  readonly args: readonly ProgramArgument[];
  readonly tolerate: readonly string[];
  readonly skip: number;
  readonly save: number | undefined;
}

const argument: Arbitrary<ProgramArgument> = oneof(
  constantFrom(...interesting).map((value) => number(value)),
  constantFrom(...words).map((word) => text(word)),
  nat(15).map((index) => register(index)),
  constantFrom(texts(['sh', '-c', 'echo x; exit 3']), texts([]), texts(words)),
);
const path = constantFrom(...words).map((word) => text(word));
const fd = oneof(
  constantFrom(-100, 0, 1, 3, 4, 5, 6).map((value) => number(value)),
  nat(15).map((index) => register(index)),
);
/** Arguments of the right kinds, most of the time: what is no address ends the child at once. */
const usual: Readonly<Record<string, readonly Arbitrary<ProgramArgument>[]>> = {
  makePath: [fd, path, constantFrom(0, 1).map((value) => number(value)), constantFrom(number(0o755))],
  maskPath: [fd, path, fd],
  writeFile: [path, path, constantFrom(0, 1, 100).map((value) => number(value))],
  makeMount: [path, path, constantFrom(0, 1, 6).map((value) => number(value))],
  sealPath: [fd, path],
  takeProc: [fd, path],
  enterPath: [path],
  openat: [
    fd,
    path,
    constantFrom(0, 0x20_0000, 0o101).map((value) => number(value)),
    constantFrom(number(0o644)),
  ],
  open_tree: [fd, path, constantFrom(0, 1, 0x80001, 0x1000).map((value) => number(value))],
  // To the supervisor's ear as well.
  write: [fd, path, constantFrom(0, 1, 8, 16, 5000).map((value) => number(value))],
  fork: [],
  openTty: [constantFrom(number(0))],
  openNull: [],
};

const op: Arbitrary<OpDraft> = constantFrom(
  ...harmless,
  ...pseudoOps,
  ...Object.keys(usual),
  'fork',
  'openTty',
).chain((name) =>
  record({
    name: constantFrom(name),
    args: oneof(
      { weight: 3, arbitrary: tupleOf(usual[name] ?? [argument, argument, argument]) },
      { weight: 1, arbitrary: array(argument, { maxLength: 6 }) },
    ),
    tolerate: array(constantFrom('ENOENT', 'EBADF', 'EPERM', 'EINVAL', 'EEXIST'), { maxLength: 3 }),
    skip: oneof(constantFrom(0), nat(3)),
    save: option(nat(15), { nil: undefined }),
  }),
);

function tupleOf(list: readonly Arbitrary<ProgramArgument>[]): Arbitrary<readonly ProgramArgument[]> {
  return list.reduce<Arbitrary<readonly ProgramArgument[]>>(
    (all, each) => all.chain((before) => each.map((one) => [...before, one])),
    constantFrom<readonly ProgramArgument[]>([]),
  );
}

/** What is run in the end; undefined: the program just ends. */
const commands: readonly (string | undefined)[] = [
  undefined,
  'echo out; echo err >&2',
  'cat',
  'exit 3',
  'seq 1 3000',
  'sleep 1000',
  'kill -9 $$',
  'printf x; sleep 0.01; tty',
];

/** A process that stays, of which others can join what it has; one of the pod's pid namespace is born there. */
export function stayingProgram(isInPod: boolean): Buffer {
  const builder = createProgramBuilder();
  if (isInPod) bearInPod(builder);
  builder.op('execve', [text('/bin/busybox'), texts(['busybox', 'sleep', '100000']), texts([])]);
  return encodeProgram(builder.build(), hostArchitecture);
}

function bearInPod(builder: ProgramBuilder): void {
  const [targetFd, newPid] = [4, 0x2000_0000]; // supervisor/program.h; CLONE_NEWPID of linux/sched.h
  builder.op('setns', [targetFd, newPid]);
  builder.op('fork', []);
}

const program: Arbitrary<Buffer> = record({
  ops: oneof(constantFrom<OpDraft[]>([]), array(op, { maxLength: 2 }), array(op, { maxLength: 8 })),
  command: constantFrom(...commands),
  isBornInPod: constantFrom(true, false),
  length: oneof(
    { weight: 8, arbitrary: constantFrom(0) },
    { weight: 1, arbitrary: constantFrom(4096, 65_536, 70_000, 1_000_000) },
  ),
}).map(({ ops, command, isBornInPod, length }) => {
  const builder = createProgramBuilder();
  builder.label('fuzz');
  const count = ops.length + (command === undefined ? 0 : 1) + (isBornInPod ? 2 : 0);
  for (const [at, { name, args, tolerate, skip, save }] of ops.entries()) {
    const options = { tolerate, skip: Math.min(skip, count - at - 1) };
    builder.op(name, args, save === undefined ? options : { ...options, save });
  }
  if (isBornInPod) bearInPod(builder);
  if (command !== undefined) {
    const argv = texts(['busybox', 'sh', '-c', command]);
    builder.op('execve', [text('/bin/busybox'), argv, texts(['PATH=/bin:/usr/bin', 'x'.repeat(length)])]);
  }
  return encodeProgram(builder.build(), hostArchitecture);
});

const handle = oneof(constantFrom(0, 1, 127, 128, 129, 130, 256, 0xffff_ffff), nat(1000));
const tag = nat(0xffff_ffff);
const id = oneof(
  { weight: 8, arbitrary: constantFrom(...ids) },
  { weight: 1, arbitrary: constantFrom('', '../x', 'a b', '\xff', '.') },
);
const bytes = (maxLength: number): Arbitrary<Buffer> =>
  uint8Array({ maxLength, size: 'max' }).map((array) => Buffer.from(array));

const request: Arbitrary<Buffer> = oneof(
  {
    weight: 6,
    arbitrary: record({
      tag,
      launch: record({
        id,
        flags: oneof(
          { weight: 6, arbitrary: constantFrom(0, 1, 8, 9, 11, 12, 13, 32, 40, 41, 44, 45) },
          { weight: 1, arbitrary: nat(127) },
          { weight: 1, arbitrary: nat(0xffff_ffff) },
        ),
        targetPid: oneof(
          { weight: 4, arbitrary: constantFrom(somePid) },
          { weight: 1, arbitrary: oneof(constantFrom(0, 1, 2, 0xffff_ffff), nat(40)) },
        ),
        cloneFlags: oneof(
          { weight: 12, arbitrary: constantFrom(0, 0x2_0000, 0x2002_0000) },
          { weight: 1, arbitrary: integer({ min: 0, max: 31 }).map((bit) => 2 ** bit) },
          { weight: 1, arbitrary: nat(0xffff_ffff) },
        ),
        logPath: oneof(
          { weight: 4, arbitrary: constantFrom(undefined, 'log') },
          {
            weight: 1,
            arbitrary: constantFrom(
              'logs/a/b',
              '/nowhere/log',
              '.',
              'l'.repeat(1022),
              `${'l/'.repeat(511)}x`,
            ),
          },
        ),
        cgroup: oneof(
          { weight: 8, arbitrary: constantFrom(undefined) },
          { weight: 1, arbitrary: constantFrom('', '/nowhere', '.', 'c'.repeat(4000)) },
        ),
        program,
      }),
    }).map((given) => encodeRequest({ kind: 'launch', ...given })),
  },
  record({
    tag,
    id,
    signal: oneof(constantFrom(0, 9, 15, 64, 65, -1), integer()),
    all: constantFrom(true, false),
  }).map((given) => encodeRequest({ kind: 'kill', ...given, signal: given.signal | 0 })),
  record({ kind: constantFrom('attach' as const, 'reopenLog' as const), tag, id }).map((given) =>
    encodeRequest(given),
  ),
  record({ kind: constantFrom('list' as const), tag }).map((given) => encodeRequest(given)),
  record({
    handle,
    data: oneof(
      bytes(100),
      constantFrom(Buffer.alloc(131_072, 'x'), Buffer.alloc(131_073), Buffer.alloc(600_000)),
    ),
  }).map((given) => encodeRequest({ kind: 'stdin', ...given })),
  record({ kind: constantFrom('stdinClose' as const, 'detach' as const), handle }).map((given) =>
    encodeRequest(given),
  ),
  record({
    handle,
    stream: constantFrom(0 as const, 1 as const),
    bytes: oneof(constantFrom(0, 1, 131_072, 0xffff_ffff), nat(0xffff_ffff)),
  }).map((given) => encodeRequest({ kind: 'credit', ...given })),
  record({ handle, columns: nat(65_535), rows: nat(65_535) }).map((given) =>
    encodeRequest({ kind: 'resize', ...given }),
  ),
  record({
    type: oneof(nat(255), constantFrom(...Object.values(MSG).filter((type) => type !== MSG.STOP))),
    body: bytes(200),
  }).map(({ type, body }) => {
    const head = Buffer.alloc(frameHeaderBytes);
    head.writeUInt32LE(frameHeaderBytes + body.length);
    head[versionOffset] = wireVersion;
    head[5] = type;
    return Buffer.concat([head, body]);
  }),
);

type Change = (frame: Buffer, at: number) => Buffer;
const changes: readonly Change[] = [
  (frame, at) => {
    frame[at] = (frame[at] ?? 0) ^ (1 << (at % 8));
    return frame;
  },
  (frame, at) => {
    frame[at] = 255;
    return frame;
  },
  (frame, at) => frame.subarray(0, at),
  (frame, at) => Buffer.concat([frame.subarray(0, at), frame.subarray(at + 1)]),
  (frame, at) => Buffer.concat([frame.subarray(0, at), Buffer.alloc(8, at), frame.subarray(at)]),
  ...[0, 1, 7, 8, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff8].map(
    (value): Change =>
      (frame, at) => {
        const place = at & ~3;
        if (place + 4 <= frame.length) frame.writeUInt32LE(value, place);
        return frame;
      },
  ),
];

interface Mutation {
  readonly change: number;
  /** Near the beginning, where the lengths are, more often. */
  readonly at: number;
  /** Whether the frame's length is made that of what it is now. */
  readonly isRefitted: boolean;
}

const mutation: Arbitrary<Mutation> = record({
  change: nat(changes.length - 1),
  at: oneof(nat(130), nat(300), nat(2000)),
  isRefitted: oneof(
    { weight: 4, arbitrary: constantFrom(true) },
    { weight: 1, arbitrary: constantFrom(false) },
  ),
});

const frame: Arbitrary<Buffer> = record({
  request,
  mutations: oneof(
    { weight: 2, arbitrary: constantFrom([]) },
    { weight: 1, arbitrary: array(mutation, { minLength: 1, maxLength: 3 }) },
  ),
}).map(({ request: whole, mutations }) => {
  let changed = Buffer.from(whole);
  for (const { change, at, isRefitted } of mutations) {
    if (changed.length === 0) break;
    changed = Buffer.from(changes[change]?.(changed, at % changed.length) ?? changed);
    if (isRefitted && changed.length >= frameHeaderBytes) {
      changed.writeUInt32LE(changed.length, 0);
      changed[versionOffset] = wireVersion;
    }
  }
  return changed;
});

export interface Conversation {
  readonly bytes: Buffer;
  /** Bytes of each write. */
  readonly pieceBytes: number;
  /** Whether what comes is read. */
  readonly isReading: boolean;
  /** Turns of the loop between the writes. */
  readonly turns: number;
}

export const conversation: Arbitrary<Conversation> = record({
  frames: array(frame, { minLength: 1, maxLength: 12, size: 'max' }),
  pieceBytes: constantFrom(1 << 30, 1 << 30, 1 << 30, 4096, 100, 7),
  isReading: constantFrom(true, true, true, false),
  turns: nat(2),
}).map(({ frames, ...given }) => {
  const bytes = harmlessStream(Buffer.concat(frames));
  const text = `${JSON.stringify(given)} ${bytes.length} bytes: ${bytes.toString('hex').slice(0, 2000)}`;
  return Object.defineProperty({ ...given, bytes }, toStringMethod, { value: () => text });
});

/**
 * The stream with every op that a supervisor could find in it made harmless, and without requests to stop: frames and programs are
 * looked for where it looks for them.
 */
function harmlessStream(stream: Buffer): Buffer {
  for (const frame of framesOf(stream)) {
    if (frame[5] === MSG.STOP) frame[5] = MSG.LIST;
    if (frame[5] === MSG.LAUNCH) makeHarmless(frame.subarray(frameHeaderBytes));
  }
  return stream;
}

/** The stream with launches that join the process `pid`. */
export function aimedAt(stream: Buffer, pid: number): Buffer {
  const aimed = Buffer.from(stream);
  const at = frameHeaderBytes + 68;
  for (const frame of framesOf(aimed)) {
    if (frame[5] !== MSG.LAUNCH || frame.length < at + 4) continue;
    if (frame.readUInt32LE(at) === somePid) frame.writeUInt32LE(pid, at);
  }
  return aimed;
}

function framesOf(stream: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; stream.length - at >= frameHeaderBytes;) {
    const length = stream.readUInt32LE(at);
    if (stream[at + versionOffset] !== wireVersion || length < frameHeaderBytes || length > frameBytesMax)
      break;
    frames.push(stream.subarray(at, at + length));
    at += length;
  }
  return frames;
}

const launchBytes = 96;
const programHeaderBytes = 16;
const opBytes = 64;

function makeHarmless(launch: Buffer): void {
  if (launch.length < launchBytes) return;
  const strings = (launch.readUInt32LE(80) + launch.readUInt32LE(84) + 7) & ~7;
  const start = launchBytes + strings;
  if (start < launchBytes || start + programHeaderBytes > launch.length) return;
  const count = launch.readUInt16LE(start + 6);
  for (
    let op = 0, at = start + programHeaderBytes;
    op < count && at + 2 <= launch.length;
    op++, at += opBytes
  ) {
    const nr = launch.readUInt16LE(at);
    const isHarmless = numbers.includes(nr) || nr >= firstPseudoOp;
    if (!isHarmless) launch.writeUInt16LE(numbers[nr % numbers.length] ?? 0xffff, at);
  }
}
