import type { NftRule } from '#native/nft/nft.ts';
import type { MatchDraft } from './matches.ts';
import { digestOf } from './peer-set.ts';

/** Rules of the kernel that a policy is in one direction; each is looked at in its turn. What is more allows nothing. */
export const rulesMax = 2_000;

/** What compiling has made so far, for one family. */
export interface Draft extends MatchDraft {
  readonly chains: Map<string, readonly NftRule[]>;
  readonly counters: Set<string>;
}

/** Names of the kernel's chains and counters have at most 255 bytes. */
const nameBytesMax = 255;

/** What it cuts ends in a digest of the whole. */
export function bounded(text: string): string {
  return text.length <= nameBytesMax ? text : `${text.slice(0, nameBytesMax - 13)}-${digestOf(text)}`;
}
