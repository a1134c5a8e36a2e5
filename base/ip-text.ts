/**
 * The text of addresses, read by hand: every element of every Service passes here, and leaves no garbage. For base/ip.ts, which says
 * what is an address.
 */

const [dot, zero, colon] = [0x2e, 0x30, 0x3a];

/** The groups of the IPv6 text that is being read. */
const groups = new Uint16Array(8);

/** The family, and the address as four words, the highest first (IPv4 is the last); undefined: none, and `words` may hold anything. */
export function readIpText(text: string, words: Uint32Array): 4 | 6 | undefined {
  if (text.includes(':')) return readIpv6(text, words) ? 6 : undefined;
  const value = readDotted(text, 0);
  if (value < 0) return undefined;
  words.fill(0);
  words[3] = value;
  return 4;
}

/** Four octets from there to the end of the text, as one number; -1: they are none. */
function readDotted(text: string, from: number): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === dot) {
      if (octet < 0 || dots === 3) return -1;
      value = value * 256 + octet;
      octet = -1;
      dots++;
    } else {
      const digit = code - zero;
      // After a zero comes no digit: some read 010 as ten and some as eight.
      if (digit < 0 || digit > 9 || octet === 0) return -1;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return -1;
    }
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/** RFC 4291 section 2.2, all three forms. */
function readIpv6(text: string, words: Uint32Array): boolean {
  const end = text.length;
  let count = 0;
  let gap = -1; // Before which group `::` stands.
  let at = 0;
  if (text.startsWith('::')) {
    gap = 0;
    at = 2;
  }
  while (at < end && count < 8) {
    const start = at;
    let group = 0;
    for (; at < end && at - start < 5; at++) {
      const digit = hexOf(text.charCodeAt(at));
      if (digit < 0) break;
      group = group * 16 + digit;
    }
    if (at === start || at - start > 4) return false;
    if (at < end && text.charCodeAt(at) === dot) {
      const ipv4 = count > 6 ? -1 : readDotted(text, start);
      if (ipv4 < 0) return false;
      groups[count++] = ipv4 / 65_536;
      groups[count++] = ipv4;
      at = end;
      break;
    }
    groups[count++] = group;
    if (at === end) break;
    if (text.charCodeAt(at++) !== colon || at === end) return false;
    if (text.charCodeAt(at) !== colon) continue;
    if (gap >= 0) return false;
    gap = count;
    at++;
  }
  // The gap is one group at least.
  if (at < end || (gap < 0 ? count !== 8 : count === 8)) return false;
  spread(words, count, gap);
  return true;
}

/** Makes words of so many groups, those from `gap` on at the end. */
function spread(words: Uint32Array, count: number, gap: number): void {
  const zeros = 8 - count;
  const groupAt = (index: number): number => {
    if (gap < 0 || index < gap) return groups[index] ?? 0;
    return index < gap + zeros ? 0 : (groups[index - zeros] ?? 0);
  };
  for (let index = 0; index < 4; index++) {
    words[index] = groupAt(index * 2) * 65_536 + groupAt(index * 2 + 1);
  }
}

function hexOf(code: number): number {
  if (code >= zero && code <= 0x39) return code - zero;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
