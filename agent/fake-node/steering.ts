/** Annotations by which people say how the containers of a fake node behave (docs/fake-nodes.md). Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { parseQuantity, quantityToInteger, quantityToMilli } from '#api/meta/quantity.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { behaviourOf, type FakeBehaviour } from '#agent/runtime/fake-shell.ts';
import { runFakeCommand, type FakePlace } from './fake-session.ts';
import type { ContainerConfig } from '#agent/runtime/runtime.ts';

export const steeringPrefix = 'fake.podwright/';

/** What can be said, each of all containers of a pod or, with `.CONTAINER` behind it, of one. */
export const steeringNames = [
  'start-after',
  'run-for',
  'exit-code',
  'ignore-term',
  'log',
  'ready',
  'live-for',
  'cpu',
  'memory',
] as const;

export type SteeringName = (typeof steeringNames)[number];

/** Of the container, else of the pod. */
export function steeringOf(pod: Pod, container: string, name: SteeringName): string | undefined {
  const { annotations = {} } = pod.metadata ?? {};
  return annotations[`${steeringPrefix}${name}.${container}`] ?? annotations[`${steeringPrefix}${name}`];
}

type Said = (name: SteeringName) => string | undefined;

function saidOf(pod: Pod, container: string): Said {
  return (name) => steeringOf(pod, container, name);
}

/** How a container runs: as its annotations say, and else as its command does. What cannot be read keeps it from starting, and says so. */
export function planBehaviour(pod: Pod, config: ContainerConfig, place: FakePlace): FakeBehaviour {
  const words = [...config.command, ...config.args];
  const own = behaviourOf(words);
  const said = saidOf(pod, config.name);
  try {
    checkNames(pod);
    const [startAfterMs, runForMs] = [duration(said, 'start-after'), duration(said, 'run-for')];
    readiness(said);
    duration(said, 'live-for');
    const { memoryBytes } = usage(said);
    const exitCode = code(said('exit-code'));
    const { memoryMaxBytes = -1 } = config.resources;
    if (memoryMaxBytes > 0 && memoryBytes > memoryMaxBytes)
      return { ...own, exitAfterMs: 0, exitCode: 137, exitReason: 'OOMKilled' };
    const ends = runForMs !== undefined || exitCode !== undefined;
    const output = outputOf(said('log'), words, place);
    return {
      ...own,
      ...(output === '' ? {} : { output }),
      ...(startAfterMs === undefined ? {} : { startAfterMs }),
      ...(ends
        ? { exitAfterMs: runForMs ?? own.exitAfterMs ?? 0, exitCode: exitCode ?? own.exitCode ?? 0 }
        : {}),
      ...(said('ignore-term') === undefined
        ? {}
        : { onTerm: flag(said, 'ignore-term') ? ('ignore' as const) : 143 }),
    };
  } catch (error) {
    return { startError: describeError(error) };
  }
}

/** What it says at its start. A loop says nothing: it would for ever. */
function outputOf(log: string | undefined, words: readonly string[], place: FakePlace): string {
  if (log !== undefined) return log.endsWith('\n') ? log : `${log}\n`;
  const script = words.join(' ');
  return words.length === 0 || /\b(while|until|for)\b/.test(script)
    ? ''
    : runFakeCommand(words, place).stdout;
}

/** @throws E_INVALID for a name that means nothing: it is a slip of the pen */
function checkNames(pod: Pod): void {
  for (const key of Object.keys(pod.metadata?.annotations ?? {})) {
    if (!key.startsWith(steeringPrefix)) continue;
    const [name = ''] = key.slice(steeringPrefix.length).split('.');
    if (!steeringNames.some((known) => known === name))
      throw new PodwrightError('E_INVALID', `annotation ${key}: there are ${steeringNames.join(', ')}`);
  }
}

function wrong(name: SteeringName, value: string, remedy: string): PodwrightError {
  return new PodwrightError(
    'E_INVALID',
    `annotation ${steeringPrefix}${name}: ${JSON.stringify(value)}: ${remedy}`,
  );
}

function duration(said: Said, name: 'start-after' | 'run-for' | 'live-for'): number | undefined {
  const value = said(name);
  if (value === undefined) return undefined;
  const ms = durationMs(value);
  if (ms === undefined) throw wrong(name, value, 'write a duration, such as 30s or 1h');
  return ms;
}

function durationMs(value: string): number | undefined {
  try {
    const ms = parseDurationMs(value);
    return ms >= 0 ? ms : undefined;
  } catch {
    return undefined;
  }
}

function code(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,3}$/.test(value) || Number(value) > 255) throw wrong('exit-code', value, 'write 0 to 255');
  return Number(value);
}

function flag(said: Said, name: 'ignore-term'): boolean {
  const value = said(name);
  if (value === undefined || value === 'false') return false;
  if (value !== 'true') throw wrong(name, value, 'write true or false');
  return true;
}

/** `true`, `false`, or after how long. */
function readiness(said: Said): boolean | number {
  const value = said('ready');
  if (value === undefined || value === 'true') return true;
  if (value === 'false') return false;
  const ms = durationMs(value);
  if (ms === undefined) throw wrong('ready', value, 'write true, false, or after how long, such as 30s');
  return ms;
}

function usage(said: Said): { readonly cpuMilli: number; readonly memoryBytes: number } {
  const amount = <T>(name: 'cpu' | 'memory', read: (text: string) => T): T | undefined => {
    const value = said(name);
    if (value === undefined) return undefined;
    try {
      return read(value);
    } catch {
      throw wrong(name, value, `write a quantity, such as ${name === 'cpu' ? '250m' : '64Mi'}`);
    }
  };
  return {
    cpuMilli: amount('cpu', (text) => quantityToMilli(parseQuantity(text))) ?? 1,
    memoryBytes: amount('memory', (text) => quantityToInteger(parseQuantity(text))) ?? memoryBytesDefault,
  };
}

const memoryBytesDefault = 1_048_576;

/** What a container uses now; annotations that cannot be read count for nothing here, as they keep it from starting. */
export function usageOf(
  pod: Pod,
  container: string,
): { readonly cpuMilli: number; readonly memoryBytes: number } {
  try {
    return usage(saidOf(pod, container));
  } catch {
    return { cpuMilli: 1, memoryBytes: memoryBytesDefault };
  }
}

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

/** Why a probe fails now; undefined: it passes. */
export function probeFailure(
  pod: Pod,
  container: string,
  kind: ProbeKind,
  ranMs: number,
): string | undefined {
  const said = saidOf(pod, container);
  const name = kind === 'readiness' ? 'ready' : 'live-for';
  const because = `annotation ${steeringPrefix}${name} is ${JSON.stringify(said(name))}`;
  try {
    if (kind === 'startup') return undefined;
    if (kind === 'liveness') return ranMs >= (duration(said, 'live-for') ?? Infinity) ? because : undefined;
    const ready = readiness(said);
    const isReady = typeof ready === 'boolean' ? ready : ranMs >= ready;
    return isReady ? undefined : because;
  } catch (error) {
    return describeError(error);
  }
}
