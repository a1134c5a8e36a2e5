/**
 * Nodes ask each other, from one pod address to the other, whether packets of full size pass, and say what is broken. A few of the others at a
 * time, in a ring: a node of a large cluster asks no more than one of a small. Whoever fails is asked again sooner.
 */
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { familyOfIp, familyOfNetwork, type IpFamily } from '#base/ip.ts';
import type { Node } from '#api/generated/objects.ts';
import { internalIpsOf } from '#agent/network/fabric/fabric-plan.ts';
import type { FabricState } from '#agent/network/fabric/fabric-options.ts';
import { fabricAnnotation, nodeFabricOf } from '#agent/network/fabric/node-fabric.ts';
import { fabricIpsOf, ipOfFamily, type Path } from '#agent/network/fabric/paths.ts';
import { targetOf } from '#agent/network/fabric/tunnel.ts';
import { diagnose, type Questions, type Verdict } from './diagnose.ts';
import { openEchoSocket, type EchoSocket } from './echo-socket.ts';

/** UDP: of what has checksums, and of what has none. */
export const probePort = 8_473;
const barePort = probePort + 1;

/** How often others are asked, and how many of them at a time. */
const [roundMs, perRoundMax] = [30_000, 16];
/** A path that is new, or that began to fail, is asked for again; and one that was told of. */
const [soonMs, faultMs] = [1_000, 5_000];
/** How long an answer is waited for. */
const answerMsDefault = 1_000;
/** So often in a row it must fail before that is told: a node that starts is not there at once. */
const failuresMin = 3;

export interface SelfTestOptions {
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly nodes: { list(): readonly Node[]; get(name: string): Node | undefined };
  readonly netns?: string;
  /** How long an answer is waited for; default: a second. */
  readonly answerMs?: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when what is said of any node is another. */
  readonly onChange: (faults: readonly NodeFault[]) => void;
}

/** What is broken on the way to a node. */
export interface NodeFault {
  readonly node: string;
  readonly fault: string;
  readonly message: string;
}

export interface SelfTest extends Disposable {
  /** The fabric has looked: what is new is asked for. */
  setState(state: FabricState): void;
  /** Asks all others now, and says what it found; for tests. */
  testAll(): Promise<void>;
}

export function startSelfTest(options: SelfTestOptions): SelfTest {
  return new Tester(options);
}

class Tester implements SelfTest {
  readonly #options: SelfTestOptions;
  readonly #sockets = new Map<string, EchoSocket>();
  #state: FabricState = { links: [], paths: [], problems: [], podMtu: 1500, mtuOf: () => 1500 };
  #known: ReadonlySet<string> = new Set();
  /** By destination: how often in a row it failed, and how. */
  readonly #failures = new Map<string, { count: number; verdict: NonNullable<Verdict>; node: string }>();
  readonly #due = new Set<string>();
  /** Why sockets could not be opened, as it was said. */
  readonly #unopened = new Set<string>();
  #ring = 0;
  #said = '[]';
  #timer: Disposable;
  #isOpen = true;
  #lastRoundMs: number;

  constructor(options: SelfTestOptions) {
    this.#options = options;
    this.#lastRoundMs = options.clock.monotonic();
    this.#timer = options.clock.after(soonMs, () => void this.#turn());
  }

  setState(state: FabricState): void {
    const keyOf = (path: Path): string => JSON.stringify(path);
    const before = new Set(this.#state.paths.map(keyOf));
    const isMtuChanged = this.#state.podMtu !== state.podMtu;
    for (const path of state.paths)
      if (isMtuChanged || !before.has(keyOf(path))) this.#due.add(path.destination);
    this.#state = state;
    const nodes = this.#options.nodes.list();
    this.#known = new Set([...nodes.flatMap(internalIpsOf), ...nodes.flatMap(fabricIpsOf)]);
    const destinations = new Set(state.paths.map(({ destination }) => destination));
    for (const destination of this.#failures.keys())
      if (!destinations.has(destination)) this.#failures.delete(destination);
    this.#say();
  }

  async testAll(): Promise<void> {
    await this.#test(this.#state.paths);
    this.#say();
  }

  /** Sockets are opened as their addresses come, for the others' questions too. */
  async #turn(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      this.#openSockets();
      await this.#test(this.#choose());
      this.#say();
    } catch (error) {
      log.warn({ error: describeError(error) }, 'the fabric cannot be tested now');
    }
    if (!this.#isOpen) return;
    // What was told of is asked for less often than what may pass by itself.
    const isNew = ({ count }: { readonly count: number }): boolean => count < failuresMin;
    const isBusy = this.#due.size > 0 || [...this.#failures.values()].some(isNew);
    const [mostMs, dueMs] = [this.#failures.size > 0 ? faultMs : roundMs, this.#lastRoundMs + roundMs];
    const leftMs = Math.min(mostMs, dueMs - clock.monotonic());
    this.#timer = clock.after(isBusy ? soonMs : Math.max(soonMs, leftMs), () => void this.#turn());
  }

  /** Those that are due, those that failed, and when a round is over the next of the ring. */
  #choose(): readonly Path[] {
    const { paths } = this.#state;
    const { clock } = this.#options;
    const chosen = paths
      .filter(({ destination }) => this.#due.has(destination) || this.#failures.has(destination))
      .slice(0, perRoundMax);
    if (clock.monotonic() - this.#lastRoundMs < roundMs) return chosen;
    this.#lastRoundMs = clock.monotonic();
    const inRing = Array.from(
      { length: Math.min(perRoundMax, paths.length) },
      (_, index) => paths[(this.#ring + index) % paths.length],
    ).filter((path) => path !== undefined);
    this.#ring = paths.length === 0 ? 0 : (this.#ring + inRing.length) % paths.length;
    return [...new Set([...chosen, ...inRing])];
  }

  async #test(paths: readonly Path[]): Promise<void> {
    this.#openSockets();
    await Promise.all(paths.map((path) => this.#testOne(path)));
  }

  async #testOne(path: Path): Promise<void> {
    this.#due.delete(path.destination);
    const { nodes } = this.#options;
    const node = nodes.get(path.node);
    const questions = node === undefined ? undefined : this.#questions(path, node);
    // Of one that is not there the cluster knows already; one of an earlier release answers nothing.
    if (node === undefined || questions === undefined || !isReady(node) || !hasAnnotation(node)) {
      this.#failures.delete(path.destination);
      return;
    }
    const before = this.#failures.get(path.destination);
    const facts = {
      mtu: this.#state.mtuOf(path),
      port: nodeFabricOf(node)?.port ?? 0,
      passed: before?.verdict.passes,
    };
    const verdict = await diagnose(path, facts, questions);
    const count = (before?.count ?? 0) + 1;
    if (verdict === undefined) this.#failures.delete(path.destination);
    else this.#failures.set(path.destination, { count, verdict, node: path.node });
  }

  #questions(path: Path, node: Node): Questions | undefined {
    const family = familyOfNetwork(path.destination);
    const target = targetOf(path);
    const pod = this.#sockets.get(`pod ${family}`);
    const bare = this.#sockets.get(`bare ${family}`);
    const past = [4, 6] as const;
    const outer = past.map(
      (each) => [this.#sockets.get(`node ${each}`), ipOfFamily(internalIpsOf(node), each)] as const,
    );
    if (pod === undefined) return undefined;
    return {
      pod: (packetBytes) => pod.ask(target, packetBytes),
      bare: bare === undefined ? undefined : () => bare.ask(target, 100),
      node: async () => {
        for (const [socket, ip] of outer)
          if (socket !== undefined && ip !== undefined && (await socket.ask(ip, 100)) === 'answered')
            return 'answered';
        return 'silent';
      },
    };
  }

  /** One that cannot be opened now is tried again: its address may come. */
  #openSockets(): void {
    const { nodeIps, nodes, nodeName, netns, clock, log, answerMs = answerMsDefault } = this.#options;
    const own = nodes.get(nodeName);
    const wanted = [
      ...(own === undefined ? [] : fabricIpsOf(own)).flatMap((ip) => [
        { name: 'pod', ip, port: probePort },
        // A receiver of IPv6 takes no datagram without a checksum (RFC 8200, section 8.1).
        ...(familyOfIp(ip) === 4 ? [{ name: 'bare', ip, port: barePort, hasNoChecksum: true }] : []),
      ]),
      ...nodeIps.map((ip) => ({ name: 'node', ip, port: probePort })),
    ];
    for (const { name, ip, ...rest } of wanted) {
      const family: IpFamily = familyOfIp(ip) ?? 4;
      const key = `${name} ${family}`;
      if (this.#sockets.has(key)) continue;
      try {
        const isKnown = (from: string): boolean => this.#known.has(from);
        const where = netns === undefined ? {} : { netns };
        this.#sockets.set(key, openEchoSocket({ ...where, ...rest, family, ip, isKnown, clock, answerMs }));
      } catch (error) {
        if (!isPodwrightError(error)) throw error;
        const why = describeError(error);
        if (!this.#unopened.has(why))
          log.warn({ ip, error: why }, 'others get no answer when they test the fabric');
        this.#unopened.add(why);
      }
    }
  }

  #say(): void {
    const faults = [...this.#failures.values()]
      .filter(({ count }) => count >= failuresMin)
      .map(({ node, verdict: { fault, message } }): NodeFault => ({ node, fault, message }))
      .toSorted((a, b) => (`${a.node} ${a.message}` < `${b.node} ${b.message}` ? -1 : 1));
    const text = JSON.stringify(faults);
    if (text === this.#said) return;
    this.#said = text;
    this.#options.onChange(faults);
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    this.#timer[Symbol.dispose]();
    for (const socket of this.#sockets.values()) socket[Symbol.dispose]();
    this.#sockets.clear();
  }
}

const hasAnnotation = (node: Node): boolean => node.metadata?.annotations?.[fabricAnnotation] !== undefined;

function isReady({ status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return ready === undefined || ready.status === 'True';
}
