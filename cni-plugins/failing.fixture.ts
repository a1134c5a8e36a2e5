/** A machine that plugins change, of which one change fails: of links, tables, files, rules of iptables, frames to a DHCP server. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { createFakeNetlink, type FakeNetlink } from '#native/netlink/netlink.fake.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { createFakeNft, type FakeNft } from '#native/nft/nft.fake.ts';
import type { Nft } from '#native/nft/nft.ts';
import { renderNftOp } from '#native/nft/render.ts';
import { kernelError } from '#native/sys/errno.ts';
import { startDhcpDaemon, type DhcpDaemon } from './dhcp/daemon.ts';
import { createTestServer, type TestServer } from './dhcp/server.fixture.ts';
import { createFakeIptables, type FakeIptables } from './firewall/iptables.fixture.ts';

/** The changes that were asked for, in their order. */
export interface Faults {
  readonly steps: string[];
  /** Of `steps`, from 0: that one is refused, and not made. */
  failAt: number | undefined;
}

export interface FailingMachine extends Faults {
  /** What plugins act through. */
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly iptables: FakeIptables;
  readonly dhcp: DhcpDaemon;
  /** What was really changed. */
  readonly kernel: FakeNetlink;
  readonly tables: FakeNft;
  readonly server: TestServer;
}

const directories = new Map<string, (what: string) => void>();

/** Plugins keep files in `dataDir`; see `failingFiles`. */
export async function createFailingMachine(dataDir: string): Promise<FailingMachine> {
  const faults: Faults = { steps: [], failAt: undefined };
  const step = (what: string): void => {
    faults.steps.push(what);
    if (faults.steps.length - 1 === faults.failAt) throw kernelError(what, 'ENOBUFS');
  };
  directories.set(dataDir, step);
  const kernel = createFakeNetlink();
  const tables = createFakeNft();
  const server = createTestServer();
  return Object.assign(faults, {
    netlink: failingNetlink(kernel, step),
    nft: failingNft(tables, step),
    iptables: createFakeIptables((what) => step(what)),
    dhcp: await startDaemon(join(dataDir, 'dhcp'), kernel, (frame) => {
      step('send a frame to the DHCP server');
      return server.answer(frame);
    }),
    kernel,
    tables,
    server,
  });
}

function failingNetlink(kernel: Netlink, step: (what: string) => void): Netlink {
  const apply: Netlink['apply'] = async (where, ops) => {
    for (const op of ops) {
      step(renderNetOp(op));
      await kernel.apply(where, [op]);
    }
  };
  return {
    createNetns: (path) => kernel.createNetns(path),
    removeNetns: (path) => kernel.removeNetns(path),
    state: (where) => kernel.state(where),
    policy: (where) => kernel.policy(where),
    sysctls: (where, keys) => kernel.sysctls(where, keys),
    neighbours: (where, link) => kernel.neighbours(where, link),
    watch: (where, onEvent) => kernel.watch(where, onEvent),
    apply,
    applyAll: async (changes) => {
      for (const { netns: where, ops } of changes) await apply(where, ops);
    },
  };
}

function failingNft(tables: FakeNft, step: (what: string) => void): Nft {
  const commit: Nft['commit'] = async (where, ops) => {
    step(ops.map((op) => renderNftOp(op)).join('; '));
    await tables.commit(where, ops);
  };
  return { ...tables, commit };
}

/** On a clock that stands: its server answers at once. */
async function startDaemon(
  stateDir: string,
  netlink: FakeNetlink,
  answer: (frame: Uint8Array) => Uint8Array | undefined,
): Promise<DhcpDaemon> {
  return startDhcpDaemon({
    netlink,
    openLink: async (path, ifname) => {
      const { links } = await netlink.state({ kind: 'path', path });
      if (!links.some(({ name }) => name === ifname)) throw new PodwrightError('E_NOT_FOUND', `no ${ifname}`);
      const waiting: Uint8Array[] = [];
      return {
        mac: '02:00:00:00:00:07',
        send: (frame) => {
          const reply = answer(frame);
          if (reply !== undefined) waiting.push(reply);
        },
        receiveNow: () => waiting.shift(),
        [Symbol.dispose]: () => undefined,
      };
    },
    stateDir,
    clock: createFakeClock(1e12),
    random: () => 0.5,
    onProblem: () => undefined,
  });
}

/** Until it is disposed, a change of a file below the directory of a machine is a step of it; what is written and fails leaves an empty file. */
export function failingFiles(): Disposable {
  const { writeFileSync, linkSync, unlinkSync, renameSync } = fs;
  const step = (what: string, path: unknown): void => {
    if (typeof path !== 'string') return;
    for (const [directory, tell] of directories) {
      if (!path.startsWith(`${directory}/`)) continue;
      try {
        tell(`${what} ${path}`);
      } catch {
        const said = `ENOSPC: no space left on device, ${what} '${path}'`;
        throw Object.assign(new Error(said), { code: 'ENOSPC', syscall: what, path });
      }
    }
  };
  const changed = {
    writeFileSync: ((path, data, options) => {
      try {
        step('write', path);
      } catch (error) {
        writeFileSync(path, '', options);
        throw error;
      }
      writeFileSync(path, data, options);
    }) satisfies typeof writeFileSync,
    linkSync: ((from, to) => (step('link', to), linkSync(from, to))) satisfies typeof linkSync,
    unlinkSync: ((path) => (step('unlink', path), unlinkSync(path))) satisfies typeof unlinkSync,
    renameSync: ((from, to) => (step('rename', to), renameSync(from, to))) satisfies typeof renameSync,
  };
  Object.assign(fs, changed);
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]: () => {
      Object.assign(fs, { writeFileSync, linkSync, unlinkSync, renameSync });
      syncBuiltinESMExports();
      directories.clear();
    },
  };
}
