/**
 * A container with CAP_SYS_PTRACE against every process that appears beside it: none has anything of the host's, of the supervisor's, or any
 * right that the container's own processes do not have. `ATTACK_SECONDS=600` is the long form; by default each takes a second.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKernelPod } from '#native/launch/kernel.fixture.ts';
import type { KernelPod } from '#native/launch/kernel.fixture.ts';
import { execOf, quiet, readAll } from '#native/launch/launcher.conformance.ts';
import type { ContainerLaunch, LaunchSecurity, SupervisorSpec } from '#native/launch/launch.ts';

const seconds = Number(process.env['ATTACK_SECONDS'] ?? 1);
const secret = `secret-${process.pid}-${Date.now()}`;
const canRun = process.getuid?.() === 0 && existsSync('/usr/bin/gcc');

interface Report {
  readonly hits: readonly string[];
  readonly seen: number;
  readonly caught: number;
}

describe.skipIf(!canRun)('whoever may trace (needs root, busybox-static and gcc)', () => {
  let directory: string;
  let marker: string;
  beforeAll(() => {
    directory = mkdtempSync('/tmp/podwright-attack-');
    marker = join(directory, 'precious');
    writeFileSync(marker, "the host's");
    const source = fileURLToPath(new URL('attacker.c', import.meta.url));
    execFileSync('gcc', ['-O2', '-static', '-o', join(directory, 'attacker'), source]);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function createPod(spec: Partial<SupervisorSpec> = {}): Promise<KernelPod> {
    const pod = await createKernelPod(spec);
    const place = join(pod.directory, 'root/attack');
    mkdirSync(place);
    execFileSync('cp', [join(directory, 'attacker'), place]);
    chmodSync(join(place, 'attacker'), 0o755);
    return pod;
  }

  function attackerOf(pod: KernelPod, security: Partial<LaunchSecurity>): ContainerLaunch {
    const container = pod.container('');
    const { dev, ino } = statSync('/dev/null');
    const place = pod.directory.slice('/tmp/'.length);
    return {
      ...container,
      args: ['/attack/attacker', String(seconds), marker.slice(1), place, secret, `${dev}:${ino}`],
      security: { ...container.security, capabilities: ['CAP_SYS_PTRACE'], ...security },
    };
  }

  /** What the attacker says in the end, while `victim` is run over and over. */
  async function attack(
    pod: KernelPod,
    attacker: ContainerLaunch,
    victim: (pid: number, round: number) => Promise<unknown>,
  ): Promise<Report> {
    // One that is over, but that the supervisor has had in its hands.
    const past = pod.container('printf $SECRET');
    await pod.run({ ...past, env: [...past.env, `SECRET=${secret}`], pidNamespace: attacker.pidNamespace });
    const logPath = join(pod.directory, 'attacker.log');
    const { pid } = await pod.supervisor.launch('attacker', attacker, { ...quiet, logPath });
    await expect.poll(() => readFileSync(logPath, 'utf8'), { timeout: 60_000 }).toContain('ready');
    const state = { isOver: false };
    const over = pod.exitOf('attacker').then(() => (state.isOver = true));
    for (let round = 0; !state.isOver; round++) await victim(pid, round).catch(() => undefined);
    await over;
    const log = readFileSync(logPath, 'utf8');
    const [, seen = '0', caught = '0'] = /seen (\d+) caught (\d+)/.exec(log) ?? [];
    return {
      hits: log.split('\n').filter((line) => line.includes('HIT')),
      seen: Number(seen),
      caught: Number(caught),
    };
  }

  const variants: readonly { readonly name: string; readonly security: Partial<LaunchSecurity> }[] = [
    { name: 'unconfined', security: { seccomp: 'unconfined', noNewPrivileges: false } },
    {
      name: 'restricted but for SYS_PTRACE',
      security: { seccomp: 'runtime-default', noNewPrivileges: true },
    },
  ];

  for (const { name, security } of variants) {
    it(
      `gets nothing of execs, as probes and hooks are: ${name}`,
      { timeout: 60_000 + seconds * 2000 },
      async () => {
        await using pod = await createPod();

        const attacker = attackerOf(pod, security);
        const report = await attack(pod, attacker, async (pid, round) => {
          const exec = { ...execOf(attacker, pid, ''), args: ['/bin/true'] };
          const { streams } = await pod.supervisor.exec(`e${round}`, exec, {
            ...quiet,
            tty: round % 8 === 0,
          });
          await readAll(streams.stdout);
        });
        expect(report.hits).toEqual([]);
        expect(report.caught).toBeGreaterThan(0);
      },
    );

    it(
      `gets nothing of a sibling that restarts in a shared pid namespace: ${name}`,
      { timeout: 60_000 + seconds * 2000 },
      async () => {
        await using pod = await createPod({ pidNamespace: true });

        const attacker: ContainerLaunch = { ...attackerOf(pod, security), pidNamespace: 'pod' };
        const sibling: ContainerLaunch = {
          ...pod.container(''),
          args: ['/bin/true'],
          security: attacker.security,
          pidNamespace: 'pod',
        };
        const report = await attack(pod, attacker, async (_, round) => {
          await pod.supervisor.launch(`s${round}`, sibling, quiet);
          await pod.exitOf(`s${round}`);
        });
        expect(report.hits).toEqual([]);
        expect(report.caught).toBeGreaterThan(0);
      },
    );

    it(
      `gets nothing of a container that joins its pid namespace to debug it: ${name}`,
      { timeout: 60_000 + seconds * 2000 },
      async () => {
        await using pod = await createPod();

        const attacker = attackerOf(pod, security);
        const report = await attack(pod, attacker, async (pid, round) => {
          const debug: ContainerLaunch = {
            ...pod.container(''),
            args: ['/bin/true'],
            security: attacker.security,
            pidNamespace: { ofPid: pid },
          };
          await pod.supervisor.launch(`d${round}`, debug, quiet);
          await pod.exitOf(`d${round}`);
        });
        expect(report.hits).toEqual([]);
        expect(report.caught).toBeGreaterThan(0);
      },
    );
  }
});
