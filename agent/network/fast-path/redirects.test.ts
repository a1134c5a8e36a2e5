import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { PodNetwork, PodNetworkRequest } from '#agent/network/pod-network.ts';
import { FakePacketRedirector } from '#native/bpf/redirect/packet-redirector.fake.ts';
import type { PodLink } from '#native/bpf/redirect/packet-redirector.ts';
import { withRedirects } from './redirect-network.ts';
import { createRedirects, removeRedirects } from './redirects.ts';

const link = (number: number): PodLink => ({
  ips: [`10.244.0.${number}`],
  ifname: `veth${number}`,
  mac: `02:00:00:00:00:0${number}`,
});
const [a, b] = [link(1), link(2)];

function start() {
  const redirector = new FakePacketRedirector();
  for (const { ifname } of [a, b]) redirector.interfaces.set(ifname, undefined);
  const redirects = createRedirects({ redirector, log: silentLogger });
  let last = (): boolean => false;
  const connect = (): boolean => {
    last = redirector.connect(a, b);
    return last();
  };
  const passesBy = (): boolean => last();
  return { redirector, redirects, connect, passesBy };
}

describe('createRedirects()', () => {
  it('lets nobody in before it is known whom policies concern', () => {
    const { redirects, connect } = start();
    redirects.attach('a', a);
    redirects.attach('b', b);
    expect(connect()).toBe(false);
    redirects.setConcerned(new Set());
    expect(connect()).toBe(true);
  });

  it('a pod that a policy comes to concern has all of its packets seen, also those of connections from before', () => {
    for (const concerned of [a, b]) {
      const { redirects, connect, passesBy } = start();
      redirects.setConcerned(new Set());
      redirects.attach('a', a);
      redirects.attach('b', b);
      expect(connect()).toBe(true);
      redirects.setConcerned(new Set(concerned.ips));
      expect(passesBy()).toBe(false);
      expect(connect()).toBe(false);
      redirects.setConcerned(new Set());
      expect(passesBy()).toBe(false); // What rules may have forbidden meanwhile does not pass by them.
      expect(connect()).toBe(true);
    }
  });

  it('a pod that is concerned from the beginning is never let in', () => {
    const { redirector, redirects } = start();
    redirects.setConcerned(new Set(a.ips));
    redirects.attach('a', a);
    expect(redirector.pods.size).toBe(0);
  });

  it('a pod that goes is known no more; the next with its address has no connections of its', () => {
    const { redirects, connect, passesBy } = start();
    redirects.setConcerned(new Set());
    redirects.attach('a', a);
    redirects.attach('b', b);
    expect(connect()).toBe(true);
    redirects.detach('b');
    redirects.detach('b');
    expect(passesBy()).toBe(false);
    redirects.attach('c', b);
    expect(passesBy()).toBe(false);
    redirects.setConcerned(new Set());
    expect(connect()).toBe(true);
  });

  it('a policy is not taken to be in force while what it concerns could not be withdrawn', () => {
    const { redirector, redirects, passesBy, connect } = start();
    redirects.setConcerned(new Set());
    redirects.attach('a', a);
    redirects.attach('b', b);
    connect();
    redirector.nextError = new PodwrightError('E_KERNEL', 'remove an entry: ENOMEM');
    expect(() => redirects.setConcerned(new Set(a.ips))).toThrow('ENOMEM');
    expect(passesBy()).toBe(true);
    redirects.setConcerned(new Set(a.ips)); // As the next commit does.
    expect(passesBy()).toBe(false);
  });

  it('what cannot be let in goes by the stack, and is tried again', () => {
    const { redirector, redirects, connect } = start();
    redirects.setConcerned(new Set());
    redirector.nextError = new PodwrightError('E_KERNEL', 'attach: ENOMEM');
    redirects.attach('a', a);
    redirects.attach('b', b);
    expect(connect()).toBe(false);
    redirects.setConcerned(new Set());
    expect(connect()).toBe(true);
    redirects.attach('gone', { ...a, ips: ['10.244.0.9'], ifname: 'veth9' });
    expect(redirector.pods.has('10.244.0.9')).toBe(false);
  });

  it('is off where this kernel cannot; what an earlier agent left goes', () => {
    const { redirector, redirects } = start();
    redirector.refusal = 'EINVAL';
    redirects.setConcerned(new Set());
    redirects.attach('a', a);
    redirects.setRoutes([{ destination: '10.244.1.0/24', gateway: '192.0.2.1', linkIndex: 2 }]);
    removeRedirects([a], { redirector, log: silentLogger });
    redirects.setConcerned(new Set(a.ips));
    redirects.detach('a');
    redirector.refusal = undefined;
    redirector.admit(b);
    removeRedirects([a, b], { redirector, log: silentLogger });
    expect(redirector.pods.size).toBe(0);
  });
});

describe('withRedirects()', () => {
  it('lets a pod in after all else is done for it, and withdraws it before its address is free', async () => {
    const { redirector, redirects } = start();
    redirects.setConcerned(new Set());
    const seen: string[] = [];
    const note = (word: string): void => void seen.push(`${word} ${redirector.pods.size}`);
    const network = withRedirects(
      {
        add: async () => (note('add'), { ips: a.ips, link: a }),
        del: async () => note('del'),
      } as unknown as PodNetwork,
      redirects,
    );
    const request = { sandboxId: 'a' } as PodNetworkRequest;
    const { signal } = new AbortController();
    await network.add(request, signal);
    expect(redirector.pods.size).toBe(1);
    await network.del(request, signal);
    expect(seen).toEqual(['add 0', 'del 0']);
  });
});
