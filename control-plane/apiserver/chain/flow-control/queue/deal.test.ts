import { describe, expect, it } from 'vitest';
import { dealHand } from './deal.ts';

describe('dealHand()', () => {
  it.each([
    { queues: 128, handSize: 6 },
    { queues: 16, handSize: 4 },
    { queues: 4, handSize: 4 },
    { queues: 1, handSize: 1 },
    { queues: 10_000_000, handSize: 2 },
  ])('gives $handSize different queues of $queues', ({ queues, handSize }) => {
    for (let flow = 0; flow < 200; flow++) {
      const hand = dealHand(`flow-${flow}`, { queues, handSize });
      expect(new Set(hand).size).toBe(handSize);
      expect(hand.every((queue) => queue >= 0 && queue < queues)).toBe(true);
      expect(dealHand(`flow-${flow}`, { queues, handSize })).toEqual(hand);
    }
  });

  it('spreads flows evenly, and seldom gives two the same hand', () => {
    const times = new Map<number, number>();
    const hands = new Set<string>();
    for (let flow = 0; flow < 4_000; flow++) {
      const hand = dealHand(`user-${flow}`, { queues: 16, handSize: 4 });
      hands.add(hand.toSorted((a, b) => a - b).join(' '));
      for (const queue of hand) times.set(queue, (times.get(queue) ?? 0) + 1);
    }
    expect(hands.size).toBeGreaterThan(1_600); // Of 1,820.
    for (const count of times.values()) expect(count).toBeGreaterThan(850);
    for (const count of times.values()) expect(count).toBeLessThan(1_150);
  });
});
