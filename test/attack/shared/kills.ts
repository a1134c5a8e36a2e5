/** Who is killed in a campaign, and when. Never a majority of the members of the store; the seed decides the rest. */
import { systemClock } from '#base/clock.ts';
import { eventually } from '#test/cluster/cluster.ts';
import type { Random } from '#test/fuzz/damage.ts';
import type { Takeover } from './history.ts';
import { electionMs } from './pulse.ts';
import type { CampaignServer } from './servers.ts';
import { measureTakeover } from './takeover.ts';

/** `leader`: whoever runs scheduler and controllers; `follower`: a server that does not. */
export type Victim = 'leader' | 'follower' | 'servers' | 'member';

/** The members of the store, where it has any of its own. */
export interface Members {
  readonly count: number;
  kill(member: number): Promise<void>;
  start(member: number): Promise<void>;
  /** Whether it has a leader and answers. */
  isHealthy(member: number): Promise<boolean>;
  /** How long between two moments they took no write. */
  outageMs(fromMs: number, toMs: number): number;
}

export interface KillOptions {
  readonly servers: readonly CampaignServer[];
  readonly members: Members | undefined;
  readonly random: Random;
  /** Between kills, on average. */
  readonly paceMs: number;
  /** The longest difference of a wrong clock. */
  readonly shiftMsMax: number;
  readonly say: (line: string) => void;
}

export interface Killing extends AsyncDisposable {
  readonly counts: Readonly<Record<string, number>>;
  readonly takeovers: readonly Takeover[];
  /** What was not as it should be. */
  readonly faults: readonly string[];
  /** Rounds that are over, each with one kill of servers or of a member. */
  readonly rounds: number;
}

/** How often each, of a round of kills. */
const deck: readonly Victim[] = ['leader', 'member', 'follower', 'member', 'leader', 'servers', 'member'];
const healthPatienceMs = 120_000;
const healthPaceMs = 300;
const downMsMax = 2500;

/** Kills until it is disposed; then everything runs again. */
export function startKilling(options: KillOptions): Killing {
  const killer = new Killer(options);
  const stop = new AbortController();
  const running = killer.run(stop.signal).catch((error: unknown) => void killer.faults.push(String(error)));
  return {
    counts: killer.counts,
    takeovers: killer.takeovers,
    faults: killer.faults,
    get rounds() {
      return killer.rounds;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
      await killer.allRun();
    },
  };
}

class Killer {
  readonly counts: Record<string, number> = {};
  readonly takeovers: Takeover[] = [];
  readonly faults: string[] = [];
  rounds = 0;
  readonly #options: KillOptions;

  constructor(options: KillOptions) {
    this.#options = options;
  }

  /** Members go on dying while a server is being replaced: two lines of kills, each waiting for its own. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#repeat((victim) => victim !== 'member', signal),
      this.#options.members && this.#repeat((victim) => victim === 'member', signal),
    ]);
  }

  async allRun(): Promise<void> {
    const { servers, members } = this.#options;
    for (const server of servers) await this.#isReady(server);
    for (let member = 0; member < (members?.count ?? 0); member++) await this.#isHealthy(member);
  }

  async #repeat(isWanted: (victim: Victim) => boolean, signal: AbortSignal): Promise<void> {
    const { random, paceMs, servers } = this.#options;
    const known = servers.length > 1 ? deck.filter(isWanted) : [...deck.filter(isWanted).slice(0, 1)];
    for (let turn = 0; !signal.aborted; turn++) {
      await systemClock.sleep(Math.round(paceMs / 2) + random(paceMs), signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#kill(known[turn === 0 ? 0 : random(known.length)] ?? 'leader');
      this.rounds++;
    }
  }

  async #kill(victim: Victim): Promise<void> {
    this.counts[victim] = (this.counts[victim] ?? 0) + 1;
    if (victim === 'member') await this.#killMember();
    else if (victim === 'servers') await this.#killServers(this.#options.servers);
    else await this.#killServer(victim);
  }

  async #killMember(): Promise<void> {
    const { members, random, say } = this.#options;
    if (members === undefined) return;
    for (let member = 0; member < members.count; member++) await this.#isHealthy(member);
    const member = random(members.count);
    say(`kill member ${member}`);
    await members.kill(member);
    await systemClock.sleep(random(downMsMax));
    await members.start(member);
    await this.#isHealthy(member);
  }

  async #killServers(servers: readonly CampaignServer[]): Promise<void> {
    const { random, say } = this.#options;
    for (const server of servers) await this.#isReady(server);
    say(`kill ${servers.map(({ name }) => name).join(' and ')}`);
    await Promise.all(servers.map((server) => server.kill()));
    await systemClock.sleep(random(downMsMax));
    for (const server of servers) server.start();
    for (const server of servers) await this.#isReady(server);
  }

  /** The one server of a cluster is followed by itself. */
  async #killServer(victim: 'leader' | 'follower'): Promise<void> {
    const { servers, members, random, say } = this.#options;
    for (const server of servers) await this.#isReady(server);
    const leads = await eventually(
      'a leader',
      async () => servers.find(({ isLeading }) => isLeading || servers.length === 1),
      120_000,
    );
    const other = servers.find((server) => server !== leads) ?? leads;
    const killed = victim === 'leader' ? leads : other;
    const asked = `${this.takeovers.length}-${random(1_000_000)}`;
    say(`kill ${killed.name}, ${victim}`);
    this.#shiftClocks();
    const killedMs = systemClock.monotonic();
    await killed.kill();
    const again = this.#startAgain(killed);
    again.catch(() => undefined); // Awaited below; a takeover that fails first is told.
    if (other === killed) await again;
    if (victim === 'leader') {
      await using transport = other.connect();

      const { madeMs, ...measured } = await measureTakeover(transport, asked, killedMs);
      const lastedMs = Math.max(measured.boundMs, measured.replicaSetMs);
      const outageMs = Math.max(
        members?.outageMs(killedMs, killedMs + lastedMs) ?? 0,
        madeMs - electionMs,
        0,
      );
      const takeover = { ...measured, outageMs };
      this.takeovers.push(takeover);
      say(`taken over ${JSON.stringify(takeover, roundNumbers)}`);
    }
    await again;
  }

  async #startAgain(server: CampaignServer): Promise<void> {
    await systemClock.sleep(this.#options.random(downMsMax));
    server.start();
    await this.#isReady(server);
  }

  #shiftClocks(): void {
    const { servers, random, shiftMsMax } = this.#options;
    for (const server of servers) {
      if (server.isClockWrong) server.shiftClock(random(2 * shiftMsMax) - shiftMsMax);
    }
  }

  /** One that ended by itself is started again, and told of in the end. */
  async #isReady(server: CampaignServer): Promise<void> {
    await eventually(
      `${server.name} is ready`,
      async () => {
        if (!server.isRunning) server.start();
        return server.isReady;
      },
      healthPatienceMs,
    );
  }

  async #isHealthy(member: number): Promise<void> {
    const { members } = this.#options;
    const look = async (): Promise<boolean> => {
      if ((await members?.isHealthy(member)) === true) return true;
      await systemClock.sleep(healthPaceMs); // Each question is a handshake.
      return false;
    };
    await eventually(`member ${member} is healthy`, look, healthPatienceMs);
  }
}

function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value;
}
