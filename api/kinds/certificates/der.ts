/** One element of DER (ITU-T X.690). */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** The element with its header. */
  readonly whole: Uint8Array;
}

/** Tags of universal types, constructed where they are. */
export const derTags = { integer: 0x02, bitString: 0x03, oid: 0x06, sequence: 0x30, context0: 0xa0 } as const;

const lengthBytesMax = 4;

/** The elements that the bytes consist of; undefined where they do not. */
export function derElements(bytes: Uint8Array): readonly DerElement[] | undefined {
  const elements: DerElement[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const element = elementAt(bytes, offset);
    if (element === undefined) return undefined;
    elements.push(element);
    offset += element.whole.length;
  }
  return elements;
}

/** The element that the bytes begin with. */
export function firstDerElement(bytes: Uint8Array): DerElement | undefined {
  return elementAt(bytes, 0);
}

function elementAt(bytes: Uint8Array, offset: number): DerElement | undefined {
  const tag = bytes[offset] ?? 0;
  const first = bytes[offset + 1];
  if (first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const start = offset + 2 + lengthBytes;
  // An indefinite length is no DER.
  if (first === 0x80 || lengthBytes > lengthBytesMax || start > bytes.length) return undefined;
  const length =
    lengthBytes === 0 ? first : bytes.subarray(offset + 2, start).reduce((sum, byte) => sum * 256 + byte, 0);
  if (start + length > bytes.length) return undefined;
  return {
    tag,
    content: bytes.subarray(start, start + length),
    whole: bytes.subarray(offset, start + length),
  };
}

/** `1.2.840.113549.1.1.11`: an object identifier from its content. */
export function oidText(content: Uint8Array): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (arcs.length === 0) {
      const root = Math.min(Math.floor(value / 40), 2);
      arcs.push(root, value - root * 40);
    } else arcs.push(value);
    value = 0;
  }
  return arcs.join('.');
}
