import { expect, test } from 'vitest';
import { ByteRoom } from './byte-room.ts';

test('ByteRoom gives no more than there is, and takes it back', () => {
  const room = new ByteRoom(10);
  expect([room.take(6), room.take(5), room.take(4)]).toEqual([true, false, true]);
  room.give(6);
  expect([room.takenBytes, room.take(7), room.take(6)]).toEqual([4, false, true]);
});
