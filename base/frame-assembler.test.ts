import { array, assert, nat, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { FrameAssembler } from './frame-assembler.ts';

const shape = { headerBytes: 2, frameBytes: (header: Buffer): number => 2 + header.readUInt16BE(0) };

function frame(body: Uint8Array): Buffer {
  const header = Buffer.alloc(2);
  header.writeUInt16BE(body.length);
  return Buffer.concat([header, body]);
}

test('gives the frames of a stream, wherever it is cut', () => {
  assert(
    property(array(uint8Array({ maxLength: 300 })), array(nat(50), { minLength: 1 }), (bodies, cuts) => {
      const frames = bodies.map(frame);
      const stream = Buffer.concat(frames);
      const assembler = new FrameAssembler(shape);
      const got: Buffer[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const end = at + 1 + (cuts[turn % cuts.length] ?? 0);
        got.push(...assembler.push(stream.subarray(at, end)));
        at = end;
      }
      expect(got).toEqual(frames);
      expect(assembler.isAtBoundary).toBe(true);
    }),
  );
});

test('copies no byte more than twice when they come one by one', () => {
  const assembler = new FrameAssembler({
    headerBytes: 4,
    frameBytes: (header) => 4 + header.readUInt32BE(0),
  });
  const size = 1_000_000;
  const header = Buffer.alloc(4);
  header.writeUInt32BE(size);
  let frames = [...assembler.push(header)];
  const piece = Buffer.of(7);
  // Joined anew with each piece, this would copy 500 GB.
  for (let i = 0; i < size; i++) frames = [...assembler.push(piece)];
  expect(frames.map(({ length }) => length)).toEqual([size + 4]);
});
