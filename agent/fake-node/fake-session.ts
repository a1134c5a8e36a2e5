/** A shell that answers in a container that does not run: enough of one to look around in. */
import { PassThrough } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import type { ContainerConfig, ExecRequest, ExecSession } from '#agent/runtime/runtime.ts';

/** What the shell knows of where it is. */
export interface FakePlace {
  readonly hostname: string;
  readonly env: ContainerConfig['env'];
  readonly workingDir?: string | undefined;
  readonly uid?: number | undefined;
}

export interface FakeAnswer {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  /** It takes so long. */
  readonly ms: number;
  /** The shell itself ends. */
  readonly isEnd: boolean;
}

const quiet: FakeAnswer = { stdout: '', stderr: '', exitCode: 0, ms: 0, isEnd: false };
/** Of a script; what is longer is cut. */
const scriptLengthMax = 65_536;
/** Of what is typed without an end of line. */
const lineLengthMax = 4_096;

/** What a command says: `echo hi`, `sh -c 'echo a; exit 3'`. Pure. */
export function runFakeCommand(args: readonly string[], place: FakePlace): FakeAnswer {
  const [program = '', flag, script = ''] = args;
  const isShell = /(^|\/)(sh|bash|ash)$/.test(program);
  if (isShell && /^-[a-z]*c$/.test(flag ?? '')) return runFakeScript(script, place);
  return isShell && args.length > 1 ? quiet : runWords(args, place);
}

/** Commands one after another, by `;`, ends of lines, `&&` and `||`. Pure. */
export function runFakeScript(script: string, place: FakePlace): FakeAnswer {
  let answer = quiet;
  for (const [, joint = ';', text = ''] of script
    .slice(0, scriptLengthMax)
    .matchAll(/(^|;|\n|&&|\|\|)((?:'[^']*'|"[^"]*"|[^;\n&|'"])*)/g)) {
    if (text.trim() === '') continue;
    if ((joint === '&&' && answer.exitCode !== 0) || (joint === '||' && answer.exitCode === 0)) continue;
    const next = runWords(wordsOf(text, place), place);
    answer = {
      ...next,
      stdout: answer.stdout + next.stdout,
      stderr: answer.stderr + next.stderr,
      ms: answer.ms + next.ms,
    };
    if (answer.isEnd) break;
  }
  return answer;
}

/** Quotes and `$NAME`, as a shell has them. */
function wordsOf(text: string, { env }: FakePlace): readonly string[] {
  const valueOf = (name: string): string => env.find((each) => each.name === name)?.value ?? '';
  const expand = (part: string): string =>
    part.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_all, a: string | undefined, b: string | undefined) =>
      valueOf(a ?? b ?? ''),
    );
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|([^\s'"]+)/g)].map(
    ([, single, double, bare]) => single ?? expand(double ?? bare ?? ''),
  );
}

const say = (stdout: string): FakeAnswer => ({ ...quiet, stdout: `${stdout}\n` });

function runWords([program = '', ...args]: readonly string[], place: FakePlace): FakeAnswer {
  const { hostname, env, workingDir = '/', uid = 0 } = place;
  const [first] = args;
  const variables = env.map(({ name, value }) => `${name}=${value}`).join('\n');
  const name = program.split('/').at(-1) ?? '';
  const commands: Readonly<Record<string, () => FakeAnswer>> = {
    echo: () => say(args.join(' ')),
    env: () => say(variables),
    printenv: () => {
      if (first === undefined) return say(variables);
      const found = env.find((each) => each.name === first);
      return found === undefined ? { ...quiet, exitCode: 1 } : say(found.value);
    },
    hostname: () => say(hostname),
    whoami: () => say(uid === 0 ? 'root' : String(uid)),
    id: () => say(uid === 0 ? 'uid=0(root) gid=0(root)' : `uid=${uid} gid=0(root)`),
    pwd: () => say(workingDir),
    cat: () =>
      first === '/etc/hostname'
        ? say(hostname)
        : { ...quiet, stderr: `cat: can't open '${first ?? ''}': No such file or directory\n`, exitCode: 1 },
    ls: () => quiet,
    true: () => quiet,
    ':': () => quiet,
    sh: () => quiet,
    false: () => ({ ...quiet, exitCode: 1 }),
    sleep: () => ({ ...quiet, ms: Math.max(0, Number(first) || 0) * 1000 }),
    exit: () => ({ ...quiet, exitCode: (Number(first) || 0) & 255, isEnd: true }),
  };
  if (Object.hasOwn(commands, name)) return commands[name]?.() ?? quiet;
  return { ...quiet, stderr: `sh: ${program}: not found\n`, exitCode: 127 };
}

/** A command that ends, or a shell that reads what is typed. */
export function startFakeSession(request: ExecRequest, place: FakePlace, clock: Clock): ExecSession {
  const stdout = new PassThrough();
  const stderr = request.tty ? undefined : new PassThrough();
  const stdin = request.stdin ? new PassThrough() : undefined;
  const exit = Promise.withResolvers<number>();
  const killed = new AbortController();
  let hasEnded = false;
  const end = (exitCode: number): void => {
    if (hasEnded) return;
    hasEnded = true;
    stdout.end();
    stderr?.end();
    stdin?.resume();
    exit.resolve(exitCode);
  };
  const tell = async ({ stdout: out, stderr: error, ms }: FakeAnswer): Promise<void> => {
    const shown = (text: string): string => (request.tty ? text.replaceAll('\n', '\r\n') : text);
    if (ms > 0) await clock.sleep(ms, killed.signal);
    if (hasEnded) return;
    if (out !== '') stdout.write(shown(out));
    if (error !== '') (stderr ?? stdout).write(shown(error));
  };
  const isInteractive = stdin !== undefined && /(^|\/)(sh|bash|ash)$/.test(request.args.join(' '));
  const run = async (): Promise<number> => {
    if (isInteractive) return converse(stdin, { place, tell, tty: request.tty ? stdout : undefined });
    const answer = runFakeCommand(request.args, place);
    await tell(answer);
    return answer.exitCode;
  };
  run().then(end, () => end(137));
  return {
    streams: {
      stdin,
      stdout,
      stderr,
      resize: () => undefined,
      [Symbol.asyncDispose]: async () => end(137),
    },
    exitCode: exit.promise,
    kill: async () => {
      killed.abort(new DOMException('killed', 'AbortError'));
      stdin?.destroy();
      end(137);
    },
  };
}

/** Line by line, with a prompt and an echo where there is a terminal. @returns the exit code */
async function converse(
  stdin: PassThrough,
  {
    place,
    tell,
    tty,
  }: {
    readonly place: FakePlace;
    readonly tell: (answer: FakeAnswer) => Promise<void>;
    readonly tty: PassThrough | undefined;
  },
): Promise<number> {
  let [line, exitCode] = ['', 0];
  tty?.write('/ # ');
  for await (const chunk of stdin.setEncoding('utf8') as AsyncIterable<string>) {
    for (const letter of chunk) {
      if (letter === '\u0004') return exitCode; // Ctrl-D
      if (letter !== '\n' && letter !== '\r') {
        tty?.write(letter);
        if (line.length < lineLengthMax) line += letter;
        continue;
      }
      tty?.write('\r\n');
      const answer = runFakeScript(line, place);
      line = '';
      await tell(answer);
      ({ exitCode } = answer);
      if (answer.isEnd) return exitCode;
      tty?.write('/ # ');
    }
  }
  return exitCode;
}
