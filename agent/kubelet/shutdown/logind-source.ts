/**
 * systemd-logind says that the machine goes down, and waits for who holds a delay lock ("Inhibitor Locks",
 * systemd.io/INHIBITOR_LOCKS). The lock is a descriptor, which a program of systemd's holds for as long as its input is open: it is
 * let go of with the agent, however that ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { openBus, systemBus, type Bus } from '#native/dbus/bus.ts';
import type { BusMessage } from '#native/dbus/message.ts';
import type { ShutdownSource } from './node-shutdown.ts';

export interface LogindOptions {
  /** What all groups have together. */
  readonly seconds: number;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Undefined: the system's. */
  readonly busPath?: string;
  /** Takes a delay lock; for tests another. */
  readonly inhibit?: () => Promise<AsyncDisposable>;
  /** Where logind has its drop-ins. */
  readonly configDirectory?: string;
}

const manager = {
  destination: 'org.freedesktop.login1',
  path: '/org/freedesktop/login1',
  interface: 'org.freedesktop.login1.Manager',
} as const;

export function createLogindSource(options: LogindOptions): ShutdownSource {
  const { logger, inhibit = inhibitShutdown } = options;
  let bus: Bus | undefined;
  let lock: AsyncDisposable | undefined;
  const release = async (): Promise<void> => {
    const held = lock;
    lock = undefined;
    await held?.[Symbol.asyncDispose]();
  };
  const hold = async (): Promise<void> => {
    lock ??= await inhibit();
  };
  return {
    start: async (onChange) => {
      const tell = (isGoingDown: boolean): void => {
        // A shutdown that was called off leaves no lock: the next one is to be held, too.
        if (!isGoingDown)
          hold().catch((error: unknown) =>
            logger.warn({ error: describeError(error) }, 'shutdowns are not held back'),
          );
        onChange(isGoingDown);
      };
      bus = await openBus(options.busPath ?? systemBus, {
        clock: options.clock,
        onSignal: (message) => hear(message, tell),
      });
      const rule = `type='signal',interface='${manager.interface}',member='PrepareForShutdown',path='${manager.path}'`;
      await call(bus, 'AddMatch', [rule]);
      await ensureDelay(bus, options);
      await hold();
    },
    release,
    [Symbol.asyncDispose]: async () => {
      bus?.[Symbol.dispose]();
      await release();
    },
  };
}

function hear(
  { interface: from, member, body: [first] }: BusMessage,
  tell: (isGoingDown: boolean) => void,
): void {
  if (from === manager.interface && member === 'PrepareForShutdown' && first?.type === 'b') tell(first.value);
}

async function call(bus: Bus, member: string, texts: readonly string[]): Promise<void> {
  await bus.call({
    destination: 'org.freedesktop.DBus',
    path: '/org/freedesktop/DBus',
    interface: 'org.freedesktop.DBus',
    member,
    arguments: texts.map((value) => ({ type: 's', value })),
  });
}

/** logind waits so long at most (InhibitDelayMaxSec): told to wait for what pods have, as the kubelet does it. */
async function ensureDelay(
  bus: Bus,
  { seconds, logger, configDirectory = '/etc/systemd/logind.conf.d' }: LogindOptions,
): Promise<void> {
  const present = await delaySeconds(bus);
  if (present >= seconds) return;
  await mkdir(configDirectory, { recursive: true });
  const file = path.join(configDirectory, '99-kubelet.conf');
  const about = '# Kubelet logind override: written by podwright for shutdownGracePeriod';
  await writeFile(file, `${about}\n[Login]\nInhibitDelayMaxSec=${Math.ceil(seconds)}\n`);
  await bus.call({
    destination: 'org.freedesktop.systemd1',
    path: '/org/freedesktop/systemd1',
    interface: 'org.freedesktop.systemd1.Manager',
    member: 'KillUnit',
    arguments: [
      { type: 's', value: 'systemd-logind.service' },
      { type: 's', value: 'all' },
      { type: 'i', value: 1 }, // SIGHUP: it reads its files again.
    ],
  });
  const then = await delaySeconds(bus);
  if (then < seconds)
    logger.warn(
      { file, seconds, waits: then },
      'the machine waits for pods less than shutdownGracePeriod: systemd-logind has another InhibitDelayMaxSec',
    );
}

async function delaySeconds(bus: Bus): Promise<number> {
  const [value] = await bus.call({
    ...manager,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'Get',
    arguments: [
      { type: 's', value: manager.interface },
      { type: 's', value: 'InhibitDelayMaxUSec' },
    ],
  });
  return value?.type === 't' ? Number(value.value) / 1_000_000 : 0;
}

/** @throws {E_UNSUPPORTED} where systemd's program is not there, or is not let */
async function inhibitShutdown(): Promise<AsyncDisposable> {
  const holder = spawn(
    'systemd-inhibit',
    [
      ...[
        '--what=shutdown',
        '--mode=delay',
        '--who=kubelet',
        '--why=Kubelet needs time to handle node shutdown',
      ],
      ...['sh', '-c', 'echo held; exec cat >/dev/null'],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const ended = endOf(holder);
  const held = Promise.withResolvers<void>();
  holder.stdout.once('data', () => held.resolve());
  let words = '';
  holder.stderr.on('data', (chunk: Buffer) => (words = `${words}${chunk.toString()}`.slice(0, 500)));
  void ended.then((why) =>
    held.reject(
      new PodwrightError('E_UNSUPPORTED', `hold shutdowns back by systemd-inhibit: ${words.trim() || why}`),
    ),
  );
  await held.promise;
  return {
    [Symbol.asyncDispose]: async () => {
      holder.stdin.end();
      await ended;
    },
  };
}

function endOf(holder: ChildProcess): Promise<string> {
  const end = Promise.withResolvers<string>();
  holder.once('error', (error) => end.resolve(error.message));
  holder.once('close', (code) => end.resolve(`it ended with ${code}`));
  return end.promise;
}
