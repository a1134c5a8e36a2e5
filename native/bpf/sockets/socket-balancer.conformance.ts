/** What every balancer of sockets does; run on the fake and on the kernel. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SocketEnd, SocketBalancer } from './socket-balancer.ts';

export interface SocketBalancerHarness extends AsyncDisposable {
  readonly balancer: SocketBalancer;
  /** Another on the same cgroup, as of a later agent. */
  readonly another: () => SocketBalancer;
  /** Who answers at the frontend, and whom the socket says that it is connected to; undefined: nobody. */
  readonly connect: (frontend: SocketEnd) => Promise<Connected | undefined>;
  readonly servers: Readonly<Record<'a' | 'b' | 'six', SocketEnd>>;
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

export const wordsOf = ({ ip, port }: SocketEnd): string => `${ip} ${port}`;

export function socketBalancerConformance(
  name: string,
  createHarness: () => Promise<SocketBalancerHarness>,
): void {
  describe(name, () => {
    let harness: SocketBalancerHarness;
    beforeEach(async () => void (harness = await createHarness()));
    afterEach(async () => harness[Symbol.asyncDispose]());

    it('leads connections of both families, and of IPv4 by sockets of IPv6; sockets say what they asked for', async () => {
      const { balancer, connect, servers } = harness;
      expect(await connect(frontend4)).toBeUndefined();
      await balancer.replace([
        { frontend: frontend4, backends: [servers.a] },
        { frontend: frontend6, backends: [servers.six] },
      ]);
      const led = (to: SocketEnd, frontend: SocketEnd): Connected => ({
        server: wordsOf(to),
        peer: wordsOf(frontend),
      });
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
      await balancer.replace([{ frontend: frontend4, backends: [servers.a, servers.b] }]);
      expect(await reached()).toEqual([wordsOf(servers.a), wordsOf(servers.b)].toSorted());
      await balancer.change([{ frontend: frontend4, backends: [servers.b] }]);
      expect(await reached()).toEqual([wordsOf(servers.b)]);
      await balancer.change([
        { frontend: frontend4, backends: [] },
        { frontend: other4, backends: [servers.a] },
      ]);
      expect(await reached()).toEqual(['']);
      expect((await connect(other4))?.server).toBe(wordsOf(servers.a));
    });

    it('stays when the balancer is disposed; another replaces what it left, and remove() leaves nothing', async () => {
      const { balancer, another, connect, servers } = harness;
      await balancer.replace([{ frontend: frontend4, backends: [servers.a] }]);
      balancer[Symbol.dispose]();
      expect((await connect(frontend4))?.server).toBe(wordsOf(servers.a));
      using second = another();

      await expect(second.change([])).rejects.toThrow('replace() is first');
      await second.replace([{ frontend: other4, backends: [servers.b] }]);
      expect(await connect(frontend4)).toBeUndefined();
      expect((await connect(other4))?.server).toBe(wordsOf(servers.b));
      second.remove();
      second.remove();
      expect(await connect(other4)).toBeUndefined();
    });

    it('is E_INVALID for what is no address', async () => {
      const { balancer, servers } = harness;
      const broken = { ip: '10.0.0.x', port: 1 };
      for (const each of [
        { frontend: broken, backends: [servers.a] },
        { frontend: frontend4, backends: [broken] },
      ])
        await expect(balancer.replace([each])).rejects.toThrow('10.0.0.x is no IP address');
    });
  });
}
