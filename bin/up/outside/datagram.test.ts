import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { carryDatagrams, flowsMax, type DatagramCarrier } from './carry-datagrams.ts';
import { decodePacket, encodeDatagram, encodeRefusal, type Datagram } from './datagram.ts';
import { hasDefaultRoute } from './render-way-out.ts';

const ipv4: Datagram = {
  family: 4,
  source: '10.244.0.5',
  sourcePort: 4000,
  target: '192.0.2.7',
  targetPort: 123,
  payload: Buffer.from('hello'),
};
const ipv6: Datagram = { ...ipv4, family: 6, source: 'fd00::5', target: '2001:db8::7' };

describe('packets', () => {
  test.each([
    ipv4,
    ipv6,
    { ...ipv4, payload: Buffer.alloc(0) },
    { ...ipv6, payload: Buffer.alloc(1452, 'x') },
  ])('of $source are read as they are written', (datagram) => {
    const packet = encodeDatagram(datagram);
    expect(decodePacket(packet)).toEqual({ kind: 'datagram', datagram });
    expect(decodePacket(Buffer.concat([packet, Buffer.alloc(7)]))).toEqual({ kind: 'datagram', datagram });
    for (let length = 0; length < packet.length; length++)
      expect(decodePacket(packet.subarray(0, length)).kind).toBe('none');
  });

  test('bytes of a datagram and of a refusal, as Linux writes them', () => {
    const packet = encodeDatagram({ ...ipv4, payload: Buffer.from('hi') });
    // Header checksum and UDP checksum by hand, RFC 1071.
    expect(packet.toString('hex')).toBe('4500001e000000004011adcf0af40005c00002070fa0007b000aba556869');
    const refusal = encodeRefusal(packet, 4, 'port');
    expect(refusal.subarray(12, 22).toString('hex')).toBe('c00002070af400050303');
    expect(refusal.subarray(28)).toEqual(packet);
    const six = encodeRefusal(encodeDatagram(ipv6), 6, 'port');
    expect([six[6], six[40], six[41]]).toEqual([58, 1, 4]);
  });

  test('of what nobody is told', () => {
    const packet = encodeDatagram(ipv4);
    const part = Buffer.from(packet);
    part.writeUInt16BE(0x2000, 6);
    const toGroup = encodeDatagram({ ...ipv4, target: '224.0.0.251' });
    const error = encodeRefusal(packet, 4, 'port');
    const noPort = encodeDatagram({ ...ipv4, targetPort: 0 });
    const sixError = encodeRefusal(encodeDatagram(ipv6), 6, 'port');
    const toGroup6 = encodeDatagram({ ...ipv6, target: 'ff02::fb' });
    for (const each of [part, toGroup, error, noPort, sixError, toGroup6])
      expect(decodePacket(each)).toEqual({ kind: 'none' });
  });

  test('whatever comes, it is understood or not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x45, 0x4f, 0x60), (bytes, first) => {
        const packet = Buffer.concat([Buffer.of(first), bytes]);
        const found = decodePacket(packet);
        if (found.kind === 'other') encodeRefusal(packet, found.family, 'prohibited');
      }),
      { numRuns: 500 },
    );
  });
});

describe('datagrams that are carried', () => {
  const servers: Socket[] = [];
  let carrier: DatagramCarrier | undefined;
  afterEach(() => {
    carrier?.[Symbol.dispose]();
    for (const server of servers.splice(0)) server.close();
  });
  const serve = async (): Promise<number> => {
    const server = createSocket('udp4');
    servers.push(server);
    server.on('message', (message, from) => server.send(`${message.toString()}!`, from.port, from.address));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    return server.address().port;
  };
  const start = (clock = systemClock): Buffer[] => {
    const written: Buffer[] = [];
    carrier = carryDatagrams({
      ownCidrs: ['10.244.0.0/16'],
      clock,
      write: (packet) => void written.push(packet),
    });
    return written;
  };
  const send = (targetPort: number, more: Partial<Datagram> = {}): void =>
    carrier?.take(encodeDatagram({ ...ipv4, target: '127.0.0.1', targetPort, ...more }));
  const payloads = (written: readonly Buffer[]): readonly string[] =>
    written.map((packet) => {
      const found = decodePacket(packet);
      return found.kind === 'datagram' ? found.datagram.payload.toString() : found.kind;
    });

  test('go out by one socket for each pair of ends, and answers come from whom they were for', async () => {
    const port = await serve();
    const written = start();
    for (const word of ['a', 'b']) send(port, { payload: Buffer.from(word) });
    send(port, { sourcePort: 4001, payload: Buffer.from('c') });
    await expect.poll(() => payloads(written).toSorted()).toEqual(['a!', 'b!', 'c!']);
    expect(carrier?.count()).toBe(2);
    const first = decodePacket(written[0] ?? Buffer.alloc(0));
    expect(first).toMatchObject({ datagram: { source: '127.0.0.1', sourcePort: port, target: ipv4.source } });
  });

  test('are refused where nobody is', async () => {
    const port = await serve();
    servers.pop()?.close();
    const written = start();
    send(port);
    await expect.poll(() => written.length).toBe(1);
    expect(written[0]?.subarray(20, 22)).toEqual(Buffer.of(3, 3));
    expect(carrier?.count()).toBe(0);
  });

  test('are refused for addresses of the cluster, as is what is no datagram', () => {
    const written = start();
    send(80, { target: '10.244.9.9' });
    const tcp = encodeDatagram(ipv4);
    tcp[9] = 6;
    carrier?.take(tcp);
    expect(written.map((packet) => [...packet.subarray(20, 22)])).toEqual([
      [3, 13],
      [3, 13],
    ]);
  });

  test('flows that are silent go, and of more than there may be the one that was for longest', async () => {
    const port = await serve();
    const clock = createFakeClock();
    start(clock);
    for (let i = 0; i < flowsMax + 5; i++) send(port, { sourcePort: 10_000 + i });
    expect(carrier?.count()).toBe(flowsMax);
    clock.advance(200_000);
    expect(carrier?.count()).toBe(0);
  });
});

test('a machine with a way of IPv6', () => {
  const line = (network: string, flags: string): string =>
    `${network} 00 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000400 00000001 00000000 ${flags} eth0\n`;
  expect(hasDefaultRoute('')).toBe(false);
  expect(hasDefaultRoute(line('0'.repeat(32), '00200200'))).toBe(false);
  expect(hasDefaultRoute(line('0'.repeat(32), '00000003'))).toBe(true);
  expect(hasDefaultRoute(line(`fe80${'0'.repeat(28)}`, '00000001'))).toBe(false);
});
