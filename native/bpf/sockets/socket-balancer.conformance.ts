/** What every balancer of sockets does; run on the fake and on the kernel. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BalancedFrontend, SocketEnd, SocketBalancer } from './socket-balancer.ts';

export interface SocketBalancerHarness extends AsyncDisposable {
  readonly balancer: SocketBalancer;
  /** Another on the same cgroup, as of a later agent. */
  readonly another: () => SocketBalancer;
  /** Who answers at the frontend, and whom the socket says that it is connected to; undefined: nobody. */
  readonly connect: (frontend: SocketEnd) => Promise<Connected | undefined>;
  /**
   * A socket of UDP of either family: who answers what is sent by it, and whom the socket says that the answer is from. One that is
   * connected sends to nobody else, and names its peer alike.
   */
  readonly openDatagrams: (connectedTo?: SocketEnd) => Promise<(to: SocketEnd) => Promise<Connected>>;
  /** Where somebody answers what nobody leads away, by its own name: as rules would. */
  readonly places: readonly SocketEnd[];
  readonly place6: SocketEnd;
  /** Each answers connections and datagrams. */
  readonly servers: Readonly<Record<'a' | 'b' | 'six', SocketEnd>>;
  /** Further ones of IPv4, of datagrams. */
  readonly more: readonly SocketEnd[];
}

export interface Connected {
  readonly server: string;
  readonly peer: string;
}

/** Addresses that nobody listens at, and that no packet to leaves the machine. */
export const frontend4: SocketEnd = { ip: '127.9.0.1', port: 80 };
const mapped4: SocketEnd = { ip: '::ffff:127.9.0.1', port: 80 };
const other4: SocketEnd = { ip: '127.9.0.1', port: 81 };
const frontend6: SocketEnd = { ip: '::1', port: 80 };

const protocol = 'tcp' as const;

export const wordsOf = ({ ip, port }: SocketEnd): string => `${ip} ${port}`;

const led = (to: SocketEnd, frontend: SocketEnd): Connected => ({
  server: wordsOf(to),
  peer: wordsOf(frontend),
});

const mapped = ({ ip, port }: SocketEnd): SocketEnd => ({ ip: `::ffff:${ip}`, port });

export function socketBalancerConformance(
  name: string,
  createHarness: () => Promise<SocketBalancerHarness>,
): void {
  describe(name, () => {
    let harness: SocketBalancerHarness;
    beforeEach(async () => void (harness = await createHarness()));
    afterEach(async () => harness[Symbol.asyncDispose]());
    datagramCases(() => harness);

    it('leads connections of both families, and of IPv4 by sockets of IPv6; sockets say what they asked for', async () => {
      const { balancer, connect, servers } = harness;
      expect(await connect(frontend4)).toBeUndefined();
      await balancer.replace([
        { protocol, frontend: frontend4, backends: [servers.a] },
        { protocol, frontend: frontend6, backends: [servers.six] },
      ]);
      expect(await connect(frontend4)).toEqual(led(servers.a, frontend4));
      expect(await connect(mapped4)).toEqual(led(servers.a, mapped4));
      expect(await connect(frontend6)).toEqual(led(servers.six, frontend6));
      expect(await connect(other4)).toBeUndefined();
      expect(await connect(servers.a)).toEqual(led(servers.a, servers.a));
    });

    it('takes any of the backends, and follows changes', async () => {
      const { balancer, connect, servers } = harness;
      const reached = async (): Promise<readonly string[]> => {
        const seen = new Set<string>();
        for (let count = 0; count < 40; count++) seen.add((await connect(frontend4))?.server ?? '');
        return [...seen].toSorted();
      };
      await balancer.replace([{ protocol, frontend: frontend4, backends: [servers.a, servers.b] }]);
      expect(await reached()).toEqual([wordsOf(servers.a), wordsOf(servers.b)].toSorted());
      await balancer.change([{ protocol, frontend: frontend4, backends: [servers.b] }]);
      expect(await reached()).toEqual([wordsOf(servers.b)]);
      await balancer.change([
        { protocol, frontend: frontend4, backends: [] },
        { protocol, frontend: other4, backends: [servers.a] },
      ]);
      expect(await reached()).toEqual(['']);
      expect((await connect(other4))?.server).toBe(wordsOf(servers.a));
    });

    it('stays when the balancer is disposed; another replaces what it left, and remove() leaves nothing', async () => {
      const { balancer, another, connect, servers } = harness;
      await balancer.replace([{ protocol, frontend: frontend4, backends: [servers.a] }]);
      balancer[Symbol.dispose]();
      expect((await connect(frontend4))?.server).toBe(wordsOf(servers.a));
      using second = another();

      await expect(second.change([])).rejects.toThrow('replace() is first');
      await second.replace([{ protocol, frontend: other4, backends: [servers.b] }]);
      expect(await connect(frontend4)).toBeUndefined();
      expect((await connect(other4))?.server).toBe(wordsOf(servers.b));
      await second.remove();
      await second.remove();
      expect(await connect(other4)).toBeUndefined();
    });

    it('is E_INVALID for what is no address', async () => {
      const { balancer, servers } = harness;
      const broken = { ip: '10.0.0.x', port: 1 };
      for (const each of [
        { protocol, frontend: broken, backends: [servers.a] },
        { protocol, frontend: frontend4, backends: [broken] },
      ] as const)
        await expect(balancer.replace([each])).rejects.toThrow('10.0.0.x is no IP address');
    });
  });
}

/** `frontend` for datagrams, to these. */
const udp = (frontend: SocketEnd, ...backends: readonly SocketEnd[]): BalancedFrontend => ({
  protocol: 'udp',
  frontend,
  backends,
});

function datagramCases(current: () => SocketBalancerHarness): void {
  it('leads datagrams of both families, and of IPv4 by sockets of IPv6; answers are from whom was asked', async () => {
    const { balancer, openDatagrams, servers, places, place6 } = current();
    const [first = place6, second = place6] = places;
    const ask = await openDatagrams();
    expect(await ask(first)).toEqual(led(first, first));
    await balancer.replace([
      udp(first, servers.a),
      udp(place6, servers.six),
      { protocol: 'tcp', frontend: second, backends: [servers.b] },
    ]);
    expect(await ask(first)).toEqual(led(servers.a, first));
    expect(await ask(place6)).toEqual(led(servers.six, place6));
    expect(await ask(second)).toEqual(led(second, second));
    expect(await ask(mapped(first))).toEqual(led(servers.a, mapped(first)));
    await balancer.change([udp(first)]);
    expect(await ask(first)).toEqual(led(first, first));
  });

  it('keeps a socket of datagrams with its backend, whatever else comes and goes, until that goes', async () => {
    const { balancer, another, openDatagrams, servers, places, place6 } = current();
    const [frontend = place6] = places;
    await balancer.replace([udp(frontend, servers.a)]);
    const ask = await openDatagrams();
    const expectAll = async (server: SocketEnd): Promise<void> => {
      for (let count = 0; count < 10; count++) expect(await ask(frontend)).toEqual(led(server, frontend));
    };
    await expectAll(servers.a);
    await balancer.change([udp(frontend, servers.b, servers.a)]);
    await expectAll(servers.a);
    using later = another();

    await later.replace([udp(frontend, servers.b, servers.a)]); // Of an agent that knows no socket.
    await expectAll(servers.a);
    await later.change([udp(frontend, servers.b)]);
    await expectAll(servers.b);
    await later.change([udp(frontend, servers.a, servers.b)]);
    await expectAll(servers.b);
    const others = new Set<string>();
    for (let count = 0; count < 40; count++) others.add((await (await openDatagrams())(frontend)).server);
    expect([...others].toSorted()).toEqual([wordsOf(servers.a), wordsOf(servers.b)].toSorted());
  });

  it('moves connected sockets of datagrams when their backend goes, and to the rules where none is left', async () => {
    const { balancer, another, openDatagrams, servers, places, place6 } = current();
    const [frontend = place6, other = place6] = places;
    const ends = [frontend, mapped(frontend), place6];
    const all = (server: SocketEnd, six = servers.six): readonly BalancedFrontend[] => [
      udp(frontend, server),
      udp(place6, six),
    ];
    await balancer.replace(all(servers.a));
    const sockets = await Promise.all(ends.map((end) => openDatagrams(end)));
    const elsewhere = await openDatagrams(servers.a);
    const answers = async (): Promise<readonly Connected[]> => {
      const given: Connected[] = [];
      for (const [at, ask] of sockets.entries()) given.push(await ask(ends[at] ?? frontend));
      return given;
    };
    const from = (server: SocketEnd, six = servers.six): readonly Connected[] =>
      ends.map((end) => led(end === place6 ? six : server, end));
    expect(await answers()).toEqual(from(servers.a));
    expect(await elsewhere(servers.a)).toEqual(led(servers.a, servers.a));
    expect(await balancer.change([udp(frontend, servers.b, servers.a)])).toEqual({ count: 0, failures: [] });
    expect(await answers()).toEqual(from(servers.a));
    expect(await balancer.change([udp(frontend, servers.b), udp(other, servers.a)])).toEqual({
      count: 2,
      failures: [],
    });
    expect(await answers()).toEqual(from(servers.b));
    expect(await elsewhere(servers.a)).toEqual(led(servers.a, servers.a));
    using later = another();

    expect(await later.replace(all(servers.a))).toEqual({ count: 2, failures: [] });
    expect(await answers()).toEqual(from(servers.a));
    expect(await later.change([udp(frontend)])).toEqual({ count: 2, failures: [] });
    expect(await answers()).toEqual(from(frontend));
    expect(await later.remove()).toEqual({ count: 1, failures: [] });
    expect(await answers()).toEqual(from(frontend, place6));
  });

  it('leaves datagrams alone where their socket could not tell whose answer one is', async () => {
    const { balancer, openDatagrams, servers, places, place6 } = current();
    const [first = place6, second = place6] = places;
    await balancer.replace([udp(first, servers.a), udp(second, servers.a)]);
    const ask = await openDatagrams();
    expect(await ask(first)).toEqual(led(servers.a, first));
    expect(await ask(second)).toEqual(led(second, second));
    // The backend itself is asked, too: its answers are its own from then on.
    expect(await ask(servers.a)).toEqual(led(servers.a, servers.a));
    expect(await ask(first)).toEqual(led(first, first));
    expect(await (await openDatagrams())(first)).toEqual(led(servers.a, first));
  });

  it('leads a socket to four frontends at most', async () => {
    const { balancer, openDatagrams, servers, more, places } = current();
    const backends = [servers.a, servers.b, ...more];
    await balancer.replace(places.flatMap((place, at) => udp(place, backends[at] ?? place)));
    const ask = await openDatagrams();
    for (const _ of [1, 2])
      for (const [at, place] of places.entries())
        expect(await ask(place)).toEqual(led(at < 4 ? (backends[at] ?? place) : place, place));
  });
}
