import { describe, expect, it } from 'vitest';
import { renderInstructions } from '#native/bpf/instruction.ts';
import { packetRedirectorConformance } from './packet-redirector.conformance.ts';
import { FakePacketRedirector } from './packet-redirector.fake.ts';
import type { PodLink } from './packet-redirector.ts';
import { encodeAddress, encodePod, encodeRoute } from './redirect-layout.ts';
import { compileRedirect } from './redirect-program.ts';

const [a, b] = [1, 2].map((number) => ({
  ips: [`10.244.0.${number}`],
  ifname: `veth${number}`,
  mac: `02:00:00:00:00:0${number}`,
})) as unknown as readonly [PodLink, PodLink];

packetRedirectorConformance('the fake redirector', async () => {
  const redirector = new FakePacketRedirector(new Map([a, b].map(({ ifname }) => [ifname, undefined])));
  return {
    redirector,
    another: () => new FakePacketRedirector(redirector.interfaces),
    pods: { a, b },
    open: async () => {
      const passesBy = redirector.connect(a, b);
      return { passesBy: async () => passesBy(), [Symbol.asyncDispose]: async () => undefined };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
});

describe('what the kernel is given to redirect packets', () => {
  it('is the program that is written down', async () => {
    await expect(renderInstructions(compileRedirect())).toMatchFileSnapshot('golden/redirect.txt');
  });

  it('has addresses of both families in 16 bytes, prefixes counted from their beginning', () => {
    const hex = ({ key, value }: ReturnType<typeof encodeRoute>): readonly string[] =>
      [key, value].map((bytes) => bytes.toString('hex'));
    expect(encodeAddress('10.244.1.2').toString('hex')).toBe('00000000000000000000ffff0af40102');
    expect(hex(encodeRoute({ destination: '10.244.1.0/24', gateway: '192.0.2.1', linkIndex: 3 }))).toEqual([
      '7800000000000000000000000000ffff0af40100',
      `0300000002000000c0000201${'00'.repeat(12)}`,
    ]);
    expect(hex(encodeRoute({ destination: 'fd00:1::/64', gateway: 'fd00::1', linkIndex: 4 }))).toEqual([
      `40000000fd000001${'00'.repeat(12)}`,
      `040000000a000000fd00${'00'.repeat(13)}01`,
    ]);
    expect(encodePod({ ifindex: 5, generation: 6, mac: '02:00:00:00:00:07' }).toString('hex')).toBe(
      '05000000060000000200000000070000',
    );
  });

  it.each([
    () => encodeAddress('10.244.1'),
    () => encodePod({ ifindex: 1, generation: 1, mac: '02:00' }),
    () => encodeRoute({ destination: '10.244.1.0', gateway: '192.0.2.1', linkIndex: 3 }),
    () => encodeRoute({ destination: '10.244.1.0/24', gateway: 'x', linkIndex: 3 }),
  ])('refuses what is none (%#)', (work) => {
    expect(work).toThrow(/^redirect packets: .* is no /);
  });
});
