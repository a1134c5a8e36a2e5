/** What every redirector of packets does; run on the fake and on the kernel. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PacketRedirector, PodLink } from './packet-redirector.ts';

export interface RedirectorHarness extends AsyncDisposable {
  readonly redirector: PacketRedirector;
  /** Another on the same cables, as of a later agent. */
  readonly another: () => PacketRedirector;
  readonly pods: Readonly<Record<'a' | 'b', PodLink>>;
  /** A connection from a to b begins. */
  readonly open: () => Promise<OpenFlow>;
}

export interface OpenFlow extends AsyncDisposable {
  /** Gets more of it, and says whether that passed by the node's stack. */
  readonly passesBy: () => Promise<boolean>;
}

export function packetRedirectorConformance(
  name: string,
  createHarness: () => Promise<RedirectorHarness>,
): void {
  describe(name, () => {
    let harness: RedirectorHarness;
    beforeEach(async () => void (harness = await createHarness()));
    afterEach(async () => harness[Symbol.asyncDispose]());

    it('takes what follows on a beginning that it saw, of pods that are both let in', async () => {
      const { redirector, pods, open } = harness;
      await using earlier = await open();

      redirector.admit(pods.a);
      await using half = await open();

      redirector.admit(pods.b);
      await using whole = await open();

      expect([await earlier.passesBy(), await half.passesBy(), await whole.passesBy()]).toEqual([
        false,
        false,
        true,
      ]);
      expect(await whole.passesBy()).toBe(true);
    });

    it('leaves all to the stack once a pod is withdrawn, and takes only what begins after it is let in again', async () => {
      const { redirector, pods, open } = harness;
      for (const pod of [pods.a, pods.b]) redirector.admit(pod);
      for (const pod of [pods.a, pods.b]) {
        await using flow = await open();

        expect(await flow.passesBy()).toBe(true);
        redirector.withdraw(pod);
        redirector.withdraw(pod);
        expect(await flow.passesBy()).toBe(false);
        redirector.admit(pod);
        expect(await flow.passesBy()).toBe(false);
        await using next = await open();

        expect(await next.passesBy()).toBe(true);
      }
    });

    it('goes on when it is disposed; another takes the cables over, one by one', async () => {
      const { redirector, another, pods, open } = harness;
      for (const pod of [pods.a, pods.b]) redirector.admit(pod);
      await using flow = await open();

      redirector[Symbol.dispose]();
      expect(await flow.passesBy()).toBe(true);
      using second = another();

      second.admit(pods.a);
      await using between = await open();

      expect(await between.passesBy()).toBe(false);
      second.admit(pods.b);
      expect(await flow.passesBy()).toBe(false);
      await using after = await open();

      expect(await after.passesBy()).toBe(true);
      for (const pod of [pods.a, pods.b]) second.withdraw(pod);
      expect(await after.passesBy()).toBe(false);
    });

    it('is E_NOT_FOUND without an interface, E_INVALID for what is no address; withdraws what is not there', () => {
      const { redirector, pods } = harness;
      expect(() => redirector.admit({ ...pods.a, ifname: 'none' })).toThrow('no interface none');
      expect(() => redirector.admit({ ...pods.a, ips: ['10.0.0.x'] })).toThrow('10.0.0.x is no IP address');
      redirector.withdraw({ ...pods.a, ifname: 'none' });
      expect(() =>
        redirector.setRoutes([{ destination: '10.0.0.0', gateway: '192.0.2.1', linkIndex: 1 }]),
      ).toThrow('is no network');
    });
  });
}
