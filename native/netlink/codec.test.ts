import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import {
  attributeBytesMax,
  MessageWriter,
  parseAcknowledgement,
  parseAttributeList,
  parseAttributes,
  parseMessages,
  textOf,
  u32Of,
} from './codec.ts';
import { decodeAddress, decodeEvent, decodeLink, decodeRoute } from './rtnetlink-decode.ts';

/** RTM_NEWLINK of a veth as the kernel lays it out (header, struct ifinfomsg, attributes), not made by our encoder. */
const linkMessage = Buffer.from(
  '5c0000001000020007000000000000000000010006000000431001000000000009000300657468300000000008000400' +
    'aa05000008000500090000000a0001007a3663d3623600001400120009000100766574680000000004000200',
  'hex',
);

describe('MessageWriter', () => {
  it('what it writes is what parsing gives back', () => {
    const writer = new MessageWriter(16)
      .message(16, 0x5, 7)
      .raw(Buffer.from([1, 2, 3]))
      .text(3, 'eth0')
      .u8(4, 9)
      .u16Be(5, 0x1234)
      .u32(6, 0xffff_ffff)
      .u32Be(7, 1)
      .u64Be(8, 2n)
      .nested(9, (inner) => inner.u32(1, 5).nested(2, (deep) => deep.text(1, '')))
      .finish()
      .message(17, 0, 8)
      .finish();
    const [first, second] = parseMessages(writer.bytes());

    expect(second).toMatchObject({ type: 17, flags: 0, sequence: 8 });
    expect(first).toMatchObject({ type: 16, flags: 5, sequence: 7 });
    expect(first?.payload.subarray(0, 4)).toEqual(Buffer.from([1, 2, 3, 0]));
    const attributes = parseAttributes(first?.payload ?? Buffer.alloc(0), 4);
    expect(textOf(attributes.get(3))).toBe('eth0');
    expect(attributes.get(4)).toEqual(Buffer.from([9]));
    expect(attributes.get(5)).toEqual(Buffer.from([0x12, 0x34]));
    expect(u32Of(attributes.get(6))).toBe(0xffff_ffff);
    expect(attributes.get(7)).toEqual(Buffer.from([0, 0, 0, 1]));
    expect(attributes.get(8)).toEqual(Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]));
    const inner = parseAttributes(attributes.get(9) ?? Buffer.alloc(0));
    expect(u32Of(inner.get(1))).toBe(5);
    expect(parseAttributeList(inner.get(2) ?? Buffer.alloc(0))).toEqual([[1, Buffer.from([0])]]);
  });

  it('refuses an attribute that 16 bits cannot count', () => {
    const attempt = () => new MessageWriter().message(1, 0, 1).attribute(1, Buffer.alloc(attributeBytesMax));
    expect(attempt).toThrow(expect.objectContaining({ code: 'E_LIMIT' }));
    const nested = () =>
      new MessageWriter().message(1, 0, 1).nested(1, (inner) => {
        for (let index = 0; index < 9_000; index++) inner.u32(1, index);
      });
    expect(nested).toThrow(expect.objectContaining({ code: 'E_LIMIT' }));
  });
});

describe('parseAcknowledgement()', () => {
  it("reads errno and the kernel's words", () => {
    const payload = Buffer.alloc(20);
    payload.writeInt32LE(-17, 0);
    const bytes = new MessageWriter().message(2, 0x300, 4).raw(payload).text(1, 'it exists').finish().bytes();
    const [message] = parseMessages(bytes);
    expect(message && parseAcknowledgement(message)).toEqual({ sequence: 4, errno: 17, text: 'it exists' });
  });

  it('is undefined for another type', () => {
    const [message] = parseMessages(new MessageWriter().message(16, 0, 1).finish().bytes());
    expect(message && parseAcknowledgement(message)).toBeUndefined();
  });
});

/** Everything that reads bytes of the kernel. */
function parseEverything(bytes: Buffer): void {
  for (const message of parseMessages(bytes)) {
    parseAcknowledgement(message);
    decodeLink(message);
    decodeAddress(message);
    decodeRoute(message);
    decodeEvent(message);
  }
}

/** Malformed input may be refused with E_INVALID, and with nothing else. */
function survives(bytes: Buffer): void {
  try {
    parseEverything(bytes);
  } catch (error) {
    if (!(error instanceof PodwrightError) || error.code !== 'E_INVALID') throw error;
  }
}

describe('parsing of malformed input', () => {
  it('reads the message unharmed', () => {
    const [message] = parseMessages(linkMessage);
    expect(message && decodeLink(message)).toMatchObject({
      index: 6,
      name: 'eth0',
      kind: 'veth',
      mac: '7a:36:63:d3:62:36',
      mtu: 1450,
      isUp: true,
      master: undefined,
      peerIndex: 9,
    });
  });

  it('survives truncation at every byte', () => {
    for (let length = 0; length <= linkMessage.length; length++) {
      survives(linkMessage.subarray(0, length));
      const whole = Buffer.from(linkMessage.subarray(0, length));
      if (length >= 16) whole.writeUInt32LE(length, 0); // A message whose length agrees with the cut.
      survives(whole);
    }
  });

  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  it(`survives 20,000 mutations (FUZZ_SEED=${seed})`, () => {
    const random = mulberry32(seed);
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(linkMessage);
      const changes = 1 + Math.floor(random() * 4);
      for (let change = 0; change < changes; change++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      survives(bytes);
    }
  });
});

/** A small generator of repeatable numbers in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
