import { createHash } from 'node:crypto';

/**
 * Deals a flow its hand: `handSize` different queues of `queues`, the same whenever it is asked, and seldom all those of another flow
 * (shuffle sharding; KEP-1040, Assigning a Request to a Queue). Pure.
 */
export function dealHand(
  flow: string,
  { queues, handSize }: { readonly queues: number; readonly handSize: number },
): readonly number[] {
  let hash = createHash('sha256').update(flow).digest().readBigUInt64BE(0);
  const hand: number[] = [];
  for (let dealt = 0; dealt < Math.min(handSize, queues); dealt++) {
    const left = BigInt(queues - dealt);
    let place = Number(hash % left);
    hash /= left;
    // The place among those that are left; each card dealt before, in order, moves it on.
    for (const taken of hand.toSorted((a, b) => a - b)) if (taken <= place) place++;
    hand.push(place);
  }
  return hand;
}
